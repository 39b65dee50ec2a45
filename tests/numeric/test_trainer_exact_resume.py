"""A run that is cut anywhere and goes on is the run that was never cut, to the last bit."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_examples import classifier, language_model, text
from trainer_process import Run


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
