"""Within one process: a training that is killed or told to stop anywhere, any number of times, is the uncut one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainer_examples import classifier, language_model, with_optimizer

from trainer.config import Config
from trainer.loop import Loop, Outcome, initial_state
from trainer.models import Model, load_model
from trainer.origin import kept_with_weights
from trainer.state import TrainingState
from trainer.validation import load_config
from trainer.watching_clock import PREFIX

MODELS = {"language-model": language_model, "classifier": classifier}
OPTIMIZERS = ("sgd", "nesterov", "adagrad", "rmsprop", "adam", "cg", "bfgs", "l-bfgs")
STOPPING: dict[str, dict[str, Any]] = {
    "none": {},
    "moving-average": {"early_stopping": "moving-average", "patience": 2},
    "minimum": {"early_stopping": "minimum", "patience": 2, "alpha": 0.3},
}


class Killed(Exception):
    pass


class Recorder:
    """Keeps what a run reports; kills it, or tells it to stop, at the n-th question whether to stop."""

    def __init__(self, kept: Any, every: int) -> None:
        self.kept, self.every = kept, every
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.saved: dict[str, np.ndarray] | None = None
        self.n_saved = 0
        self.reasons: set[str] = set()
        self.questions_left, self.gently = -1, False

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics.append((step, {name: v for name, v in metrics.items() if not name.startswith(PREFIX)}))

    def say(self, line: str) -> None:
        assert line.startswith("epoch ")

    def progress(self, done: int, total: int, *, now: bool = False) -> None:
        assert 0 <= done <= total

    def checkpoint_if_due(self, state: TrainingState) -> None:
        if state.update % self.every == 0:
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        self.saved = {name: value.copy() for name, value in state.to_arrays(self.kept).items()}
        self.n_saved = len(self.metrics)

    def artifact(self, name: str, text: str, *, append: bool = False) -> None:
        assert text

    def told_to_stop(self) -> bool:
        self.questions_left -= 1
        if self.questions_left == 0 and not self.gently:
            raise Killed
        return self.questions_left == 0

    def stop(self, reason: str) -> None:
        self.reasons.add(reason)  # said again by a run that goes on after its end: a remark, not a point of a series

    def forget(self) -> None:
        """Drop what was reported after the last checkpoint."""
        del self.metrics[self.n_saved :]


@dataclass(frozen=True)
class Variant:
    model: str
    optimizer: str
    dtype: str
    stopping: str
    watched: bool

    def params(self, folder: Path) -> dict[str, Any]:
        params = {**MODELS[self.model](folder, n=40), "early_stopping": "none", "patience": 10, "epochs": 5}
        params |= {**STOPPING[self.stopping], "dtype": self.dtype}
        if self.watched:
            more = ["heads", "confusion", "features"] if self.model == "classifier" else []
            params |= {"watch": ["layers", "samples", *more], "watch_every": 3}
        return with_optimizer(params, self.optimizer)


VARIANTS = st.builds(
    Variant,
    model=st.sampled_from(sorted(MODELS)),
    optimizer=st.sampled_from(OPTIMIZERS),
    dtype=st.sampled_from(["float32", "float64"]),
    stopping=st.sampled_from(sorted(STOPPING)),
    watched=st.booleans(),
)
CUTS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    return tmp_path_factory.mktemp("data")


@cache
def loaded(variant: Variant, folder: Path, threads: int) -> tuple[Config, Model]:
    config = load_config({**variant.params(folder), "threads": threads})
    return config, load_model(config)


@cache
def uncut(variant: Variant, folder: Path) -> Recorder:
    recorder = recorder_of(variant, folder, 10**9)
    assert go_on(loaded(variant, folder, 1), recorder, 0.05) is Outcome.FINISHED
    return recorder


def recorder_of(variant: Variant, folder: Path, every: int) -> Recorder:
    return Recorder(kept_with_weights(*loaded(variant, folder, 1)), every)


def go_on(run: tuple[Config, Model], recorder: Recorder, stretch_s: float) -> Outcome:
    config, model = run
    state = initial_state(config, model)
    if recorder.saved is not None:
        state.restore(recorder.saved)
    return Loop(config, model, state, recorder, stretch_s).run()


def assert_same(cut: Recorder, whole: Recorder) -> None:
    assert cut.metrics == whole.metrics
    assert cut.reasons == whole.reasons
    assert cut.saved is not None
    assert whole.saved is not None
    assert cut.saved.keys() == whole.saved.keys()
    assert all(cut.saved[name].tobytes() == value.tobytes() for name, value in whole.saved.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variant=VARIANTS,
    cuts=CUTS,
    every=st.integers(1, 20),
    stretch_s=st.sampled_from([0.0, 0.05]),
    threads=st.sampled_from([1, 2]),
)
def test_cuts_stretches_checkpoints_and_threads_change_nothing(
    folder: Path, variant: Variant, cuts: list[tuple[int, bool]], every: int, stretch_s: float, threads: int
) -> None:
    cut = recorder_of(variant, folder, every)
    for cut.questions_left, cut.gently in cuts:
        try:
            go_on(loaded(variant, folder, threads), cut, stretch_s)
        except Killed:
            cut.forget()
    cut.questions_left = -1
    assert go_on(loaded(variant, folder, threads), cut, stretch_s) is Outcome.FINISHED
    assert_same(cut, uncut(variant, folder))


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_killed_at_every_possible_place_in_turn_changes_nothing(folder: Path, model: str, optimizer: str) -> None:
    variant = Variant(model, optimizer, "float32", "minimum", True)
    whole = uncut(variant, folder)
    full_batch = optimizer in ("cg", "bfgs", "l-bfgs")
    for place in range(1, 200, 9 if full_batch else 1):
        cut = recorder_of(variant, folder, 2)
        cut.questions_left = place
        try:
            go_on(loaded(variant, folder, 1), cut, 0.0)
            break  # there is no such place any more
        except Killed:
            cut.forget()
        cut.questions_left = -1
        go_on(loaded(variant, folder, 1), cut, 0.0)
        assert_same(cut, whole)
    assert place > 5


@pytest.mark.parametrize("model", sorted(MODELS))
def test_the_best_weights_are_those_of_the_least_validation_loss(folder: Path, model: str) -> None:
    variant = Variant(model, "nesterov", "float64", "none", False)
    _, network = loaded(variant, folder, 1)
    saved = uncut(variant, folder).saved
    assert saved is not None
    losses = [metrics["val_loss"] for _, metrics in uncut(variant, folder).metrics if "val_loss" in metrics]
    sums = np.zeros(network.validation_size)
    best = network.layout.pack({part.name: saved[f"best_weight_{part.name}"] for part in network.layout.parts})
    network.evaluate(0, network.n_valid, best, sums)
    assert sums[0] / sums[1] == pytest.approx(min(losses), rel=1e-12)
    assert float(saved["rates"][2]) == min(losses)


def test_without_validation_data_there_are_no_best_weights(folder: Path) -> None:
    config = load_config({**classifier(folder, n=20), "early_stopping": "none", "patience": 10, "epochs": 1,
                          "data": {"train": str(folder / "x.npz"), "valid_fraction": 0}})  # fmt: skip
    recorder = Recorder({}, 10**9)
    go_on((config, load_model(config)), recorder, 0.05)
    assert recorder.saved is not None
    assert not any(name.startswith("best") for name in recorder.saved)
