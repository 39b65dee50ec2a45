"""A run that is cut anywhere and goes on is the run that was never cut, to the last bit."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_process import Run

from trainer.loop import Loop, Outcome, initial_state
from trainer.models import Model, load_model
from trainer.origin import origin
from trainer.state import TrainingState
from trainer.validation import load_config


def text(n: int) -> str:
    draw = random.Random(5)
    words = ["the", "rain", "in", "spain", "stays", "mainly", "on", "a", "plain", "dog"]
    return "\n".join(" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(n))


def write_sequences(path: Path, n: int) -> None:
    draw = np.random.default_rng(6)
    offsets = np.cumsum([0, *draw.integers(1, 6, n)])
    labels = np.concatenate([np.eye(3)[draw.integers(0, 3, n)], draw.integers(0, 2, (n, 2))], axis=1)
    np.savez(path, values=draw.normal(0, 1, (offsets[-1], 4)), offsets=offsets, labels=labels)


def language_model(folder: Path, n: int = 150) -> dict[str, Any]:
    (folder / "text.txt").write_text(text(n))
    return {
        "model": "language-model", "n_hidden": 6, "vocabulary_size": 12, "learning_rate": 0.1, "batch_size": 2,
        "initial_momentum": 0.5, "final_momentum": 0.8, "momentum_switchover": 3, "learning_rate_decay": 0.9,
        "halve_on_rise": True, "clip_norm": 5, "epochs": 40, "log_every": 7,
        "data": {"train": str(folder / "text.txt"), "valid_fraction": 0.2},
    }  # fmt: skip


def classifier(folder: Path, n: int = 200) -> dict[str, Any]:
    write_sequences(folder / "x.npz", n)
    heads = [{"name": "mood", "kind": "softmax", "size": 3}, {"name": "when", "kind": "sigmoid", "size": 2}]
    return {
        "model": "classifier", "n_hidden": 7, "batch_size": 9, "noise": 0.2, "l1": 1e-4, "learning_rate": 0.05,
        "epochs": 60, "early_stopping": "minimum", "patience": 50, "log_every": 4,
        "data": {"train": str(folder / "x.npz"), "valid_fraction": 0.2}, "head": heads,
    }  # fmt: skip


@pytest.mark.parametrize("make", [language_model, classifier])
def test_a_killed_run_ends_with_the_same_bits(make: Any, tmp_path: Path) -> None:
    params = make(tmp_path)
    whole = Run(tmp_path / "whole", params)
    whole.finish()
    cut = Run(tmp_path / "cut", {**params, "checkpoint_every": 13, "checkpoint_every_s": 0.02})
    draw = random.Random(7)
    killed = [cut.kill_after(draw.randint(1, 60)) for _ in range(4)]
    assert killed.count(-signal.SIGKILL) >= 2
    cut.finish()
    assert cut.final_bytes() == whole.final_bytes()
    assert cut.series() == whole.series()
    points = [(name, line["step"]) for line in whole.series() for name in line if name != "step"]
    assert len(points) == len(set(points))


def test_a_run_told_to_stop_checkpoints_and_leaves_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    params = language_model(tmp_path)
    whole = Run(tmp_path / "whole", params)
    whole.finish()
    cut = Run(tmp_path / "cut", params)
    assert cut.signal_after(20, signal.SIGTERM) == 0
    assert "_checkpoint" in cut.lines()[-1]
    cut.finish()
    assert cut.final_bytes() == whole.final_bytes()
    assert cut.series() == whole.series()


def test_a_run_told_to_stop_while_it_reads_its_data_leaves_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = Run(tmp_path / "run", {**language_model(tmp_path), "data": {"train": str(pipe)}})
    child = run.start()
    with open(pipe, "w") as writer:  # opens when the trainer has opened it to read
        child.send_signal(signal.SIGTERM)
        writer.write(text(10))
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert run.lines() == []


def test_a_finished_run_that_is_started_again_adds_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {**language_model(tmp_path), "epochs": 2})
    run.finish()
    series, final = run.series(), run.final_bytes()
    run.finish()
    assert run.series() == series
    assert run.final_bytes() == final


def test_a_run_that_diverges_says_so_and_keeps_no_checkpoint_of_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {**classifier(tmp_path), "learning_rate": 1e30})
    run.finish()
    assert run.lines()[-1]["_stop"] == "diverged"
    assert not np.isfinite(run.series()[-2]["loss"])
    assert not any("_checkpoint" in line for line in run.lines())


def test_a_checkpoint_of_other_parameters_is_refused_by_name(tmp_path: Path) -> None:
    params = {**language_model(tmp_path), "epochs": 1}
    Run(tmp_path / "run", params).finish()
    (tmp_path / "run" / "params.json").write_text('{"model": "language-model"}')
    other = Run.__new__(Run)
    other.__dict__.update(Run(tmp_path / "other", {**params, "learning_rate": 0.2}).__dict__)
    other.events, other.checkpoints = tmp_path / "run" / "events", tmp_path / "run" / "checkpoints"
    child = other.start()
    _, error = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "learning_rate was 0.1 and is 0.2" in error
    assert "Traceback" not in error


class Killed(Exception):
    pass


class Recorder:
    """Keeps what a run reports; kills it, or tells it to stop, at the n-th question whether to stop."""

    def __init__(self, came_from: Any, every: int) -> None:
        self.came_from, self.every = came_from, every
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.saved: dict[str, np.ndarray] | None = None
        self.n_saved = 0
        self.questions_left, self.gently = -1, False

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics.append((step, metrics))

    def progress(self, done: int, total: int, *, now: bool = False) -> None:
        assert 0 <= done <= total

    def checkpoint_if_due(self, state: TrainingState) -> None:
        if state.update % self.every == 0:
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        self.saved = {name: value.copy() for name, value in state.to_arrays(self.came_from).items()}
        self.n_saved = len(self.metrics)

    def told_to_stop(self) -> bool:
        self.questions_left -= 1
        if self.questions_left == 0 and not self.gently:
            raise Killed
        return self.questions_left == 0

    def stop(self, reason: str) -> None:
        self.metrics.append((-1, {reason: 0.0}))

    def forget(self) -> None:
        """Drop what was reported after the last checkpoint."""
        del self.metrics[self.n_saved :]


@pytest.fixture(scope="module", params=[language_model, classifier])
def small(request: Any, tmp_path_factory: Any) -> tuple[Any, Model]:
    params = request.param(tmp_path_factory.mktemp("small"), n=40)
    config = replace(load_config(params), epochs=5)
    return config, load_model(config)


def go_on(small: tuple[Any, Model], recorder: Recorder, stretch_s: float) -> Outcome:
    config, model = small
    state = initial_state(config, model)
    if recorder.saved is not None:
        state.restore(recorder.saved)
    return Loop(config, model, state, recorder, stretch_s).run()


CUTS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=5)


@settings(max_examples=15, deadline=None)
@given(cuts=CUTS, every=st.integers(1, 20), stretch_s=st.sampled_from([0.0, 0.05]))
def test_cuts_stretches_and_checkpoints_change_nothing(
    small: tuple[Any, Model], cuts: list[tuple[int, bool]], every: int, stretch_s: float
) -> None:
    came_from = origin(small[0], small[1].data())
    whole = Recorder(came_from, 10**9)
    assert go_on(small, whole, 0.05) is Outcome.FINISHED
    cut = Recorder(came_from, every)
    for cut.questions_left, cut.gently in cuts:
        try:
            go_on(small, cut, stretch_s)
        except Killed:
            cut.forget()
    cut.questions_left = -1
    assert go_on(small, cut, stretch_s) is Outcome.FINISHED
    assert cut.saved is not None
    assert whole.saved is not None
    assert cut.metrics == whole.metrics
    assert all((cut.saved[name] == value).all() for name, value in whole.saved.items())
