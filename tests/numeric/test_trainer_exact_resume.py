"""A run that is cut anywhere and goes on is the run that was never cut, to the last bit."""

from __future__ import annotations

import io
import json
import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trainer_examples import classifier, language_model, text, with_optimizer
from trainer_process import Run

from trainer.validation import load_config


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


VARIANTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "adam": (classifier, "adam", {"dtype": "float64", "watch": ["layers", "heads", "confusion"], "watch_every": 5}),
    "nesterov": (classifier, "nesterov", {"early_stopping": "moving-average", "patience": 5, "watch": ["samples"]}),
    "rmsprop": (language_model, "rmsprop", {"early_stopping": "minimum", "patience": 8, "alpha": 0.1}),
    "l-bfgs": (language_model, "l-bfgs", {"watch": ["layers", "samples"], "epochs": 25}),
}
CUTS = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([signal.SIGKILL, signal.SIGTERM])), min_size=2, max_size=3
)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_a_run_cut_anywhere_by_any_signal_and_started_again_on_other_threads_ends_with_the_same_bits(
    name: str, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp(name)
    make, optimizer, more = VARIANTS[name]
    params = {**with_optimizer(make(folder), optimizer), **more}
    whole = Run(folder / "whole", params)
    whole.finish()

    @settings(max_examples=2, deadline=None, phases=[Phase.generate])  # no shrinking: an example takes seconds
    @given(cuts=CUTS, threads=st.sampled_from([1, 2]), every=st.integers(1, 30))
    def cut_anywhere(cuts: list[tuple[int, int]], threads: int, every: int) -> None:
        cut = Run(tmp_path_factory.mktemp(name) / "run", {**params, "threads": threads, "checkpoint_every": every})
        for n_lines, number in cuts:
            cut.signal_after(n_lines, number)
        cut.finish()
        assert cut.final_bytes() == whole.final_bytes()
        assert cut.series() == whole.series()

    cut_anywhere()


def test_a_checkpoint_alone_tells_the_model_and_holds_its_best_weights(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {**classifier(tmp_path), "epochs": 3, "threads": 2, "checkpoint_every": 5})
    run.finish()
    with np.load(io.BytesIO(run.final_bytes()), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    given = json.loads(found["configuration"].tobytes())
    assert given["data"]["train"] == str(tmp_path / "x.npz")
    assert load_config(given) == replace(load_config(run.params), threads=1, checkpoint_every=0)
    assert [head["name"] for head in json.loads(found["heads"].tobytes())] == ["mood", "when"]
    assert {f"best_{name}" for name in found if name.startswith("weight_")} < found.keys()
    assert [line for line in run.lines() if "_checkpoint" in line][-1]["_best"] is True


def test_a_checkpoint_of_a_language_model_holds_its_words(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {**language_model(tmp_path), "epochs": 1})
    run.finish()
    with np.load(io.BytesIO(run.final_bytes()), allow_pickle=False) as arrays:
        assert len(arrays["words"]) == arrays["weight_U"].shape[0]
        assert "rain" in arrays["words"].tolist()


def test_output_and_files_of_a_run_are_those_of_its_epochs(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {**classifier(tmp_path), "epochs": 3, "watch": ["confusion", "samples"]})
    output = run.finish()
    assert [line.split(",")[0] for line in output.splitlines()] == ["epoch 1", "epoch 2", "epoch 3"]
    kept = [line["_artifact"] for line in run.lines() if "_artifact" in line]
    folder = tmp_path / "run"
    names = ("answers-at-end.json", "confusion-mood-from-epoch-1.csv", "samples.csv")
    assert sorted(kept) == [str(folder / name) for name in names]
    assert len((folder / "confusion-mood-from-epoch-1.csv").read_text().splitlines()) == 1 + 3 * 3


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
    assert not np.isfinite(run.series()[-1]["loss"])
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
