"""Its 32 runs: 4 lambdas of L1, 4 sigmas of noise, early stopping or not (after Knight 2015, section 4.2)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import product
from typing import Any

import numpy as np

from notify.made_up.words import DISK_FULL, OUT_OF_MEMORY, TRAINING
from store.metrics import Series
from store.runs import (
    Attempt,
    Checkpoint,
    Ending,
    MetricSummary,
    Notify,
    Progress,
    Resources,
    Run,
    Task,
)
from store.samples import Peaks
from store.states import Reason, State

NAME = "weather-rnn"
BEGIN = datetime(2026, 1, 9, 17, 30, tzinfo=UTC)
END = BEGIN + timedelta(hours=15, minutes=12)
L1, NOISE = (1e-6, 1e-5, 1e-4, 1e-3), (0.01, 0.1, 1.0, 10.0)
EPOCHS = 400
RUNS = 32
BEST, CRASHED, FULL, STOPPED, DIVERGED, OVER_FITTED = 12, 7, 27, 30, 24, 3
AT_ONCE, REACHED = 3, 260
_GB = 10**9


def run_id(index: int) -> str:
    """Twelve letters, as real ones."""
    return sha256(f"{NAME}{index}".encode()).hexdigest()[:12].translate(str.maketrans("01", "pq"))


def params(index: int) -> dict[str, Any]:
    """Of the run at this place."""
    l1, noise, stopping = list(product(L1, NOISE, (False, True)))[index]
    return {"n_hidden": 150, "learning_rate": 0.01, "l1": l1, "noise": noise, "early_stopping": stopping}


def series(index: int) -> tuple[Series, ...]:
    """val_loss, train_loss and val_accuracy of each epoch."""
    given = params(index)
    dice = np.random.default_rng(index)
    epochs = _epochs(index, early=given["early_stopping"])
    x = np.arange(epochs)
    floor = 0.19 + 0.004 * abs(math.log10(given["l1"]) + 4.3) + 0.02 * max(0.0, math.log10(given["noise"])) ** 2
    pull = 0.004 + 0.055 * max(0.0, math.log10(given["noise"]) + 0.3) + 30 * given["l1"]
    learnt = np.exp(-x / (26 + 9 * math.log10(given["noise"] * 100)))
    wiggle = dice.normal(0, 0.0016, epochs) + np.convolve(dice.normal(0, 0.001, epochs), np.ones(12) / 3, "same")
    over = 0.00016 * np.maximum(0, x - 120) * (given["noise"] < 1) * (given["l1"] < 1e-4)
    validation = floor + 0.33 * learnt + over + wiggle
    training = pull + 0.40 * learnt + 0.06 * np.exp(-x / 120) + 0.5 * wiggle
    if index == BEST:
        validation -= 0.012 * (1 - learnt)
    if index == DIVERGED:
        blow = np.exp(np.maximum(0, x - 60) / 9.0)
        validation, training = validation * blow, training * blow
        validation[96:], training[96:] = np.nan, np.nan
    accuracy = np.clip(1.02 - 1.75 * validation, 0, 1)
    times = tuple((BEGIN + timedelta(seconds=1800 * (index // 2) + 8 * step)).timestamp() for step in range(epochs))
    steps = tuple(range(epochs))
    named = {"train_loss": training, "val_accuracy": accuracy, "val_loss": validation}
    return tuple(
        Series(name=name, steps=steps, times=times, values=tuple(float(f"{value:.6g}") for value in values))
        for name, values in named.items()
    )


def run(index: int, *, done: int) -> Run:
    """So many have ended; the AT_ONCE after them have reached step REACHED."""
    started = BEGIN + timedelta(minutes=28 * index)
    ended = started + timedelta(minutes=52, seconds=37 * (index % 7))
    if index >= done + AT_ONCE:
        return _waiting(index)
    state, ending = _end_of(index) if index < done else (State.RUNNING, None)
    made = replace(_waiting(index), summary=summarized(reported(index, done=done)))
    is_over = state is not State.RUNNING
    told = Attempt(
        number=1,
        worker=f"gpu{1 + index % 2}-1",
        started_at=started,
        ended_at=ended if is_over else None,
        facts={"host": f"gpu{1 + index % 2}.lab", "gpus": ["GPU-3f2a"], "python": "3.12.4"},
        peaks=Peaks(memory_bytes=int(3.1 * _GB), gpu_memory_bytes=int(5.2 * _GB)),
        ending=ending,
    )
    checkpoint = Checkpoint(
        id="c", run=made.id, attempt=1, step=300, line=900, name="model.npz", is_dir=False, size_bytes=1_840_000,
        sha256="", created_at=ended,
    )  # fmt: skip
    return replace(
        made,
        state=state,
        reason=ending.reason if ending else None,
        attempt=1,
        ending=ending,
        started_at=started,
        ended_at=ended if is_over else None,
        history=(told,),
        checkpoint=checkpoint if state in (State.FAILED, State.RUNNING) else None,
        progress=Progress(done=_epochs(index, early=False) if is_over else REACHED, total=EPOCHS),
    )


def retried(done: int) -> Run:
    """The crashed run, when it had been interrupted, before it failed for good: it waits for its second try."""
    made = run(CRASHED, done=done)
    return replace(
        made,
        state=State.QUEUED,
        reason=Reason.KILLED,
        setbacks=2,
        ended_at=None,
        not_before=END + timedelta(seconds=30),
    )


def resumed(done: int) -> Run:
    """A running one in its second attempt."""
    made = run(done, done=done)
    first = replace(
        made.history[0],
        ended_at=made.history[0].started_at + timedelta(minutes=31),
        ending=Ending(reason=Reason.LOST, message="its worker gpu1-1 was not heard of for 20 s"),
    )
    second = replace(
        made.history[0], number=2, started_at=END - timedelta(minutes=12), resumed_from_step=240, worker="gpu2-2",
        facts={**made.history[0].facts, "host": "gpu2.lab"},
    )  # fmt: skip
    return replace(made, attempt=2, history=(first, second))


def output(index: int) -> bytes:
    """With a progress bar that draws over itself, and colours."""
    if index == CRASHED:
        return TRAINING + OUT_OF_MEMORY
    return TRAINING + (DISK_FULL if index == FULL else b"")


def reported(index: int, *, done: int) -> tuple[Series, ...]:
    """What has come of it so far."""
    if index < done:
        return series(index)
    if index >= done + AT_ONCE:
        return ()
    end = REACHED + 1
    return tuple(
        replace(one, steps=one.steps[:end], times=one.times[:end], values=one.values[:end]) for one in series(index)
    )


def summarized(many: Sequence[Series]) -> dict[str, MetricSummary]:
    """As the store keeps it."""
    found = {}
    for one in many:
        values = np.asarray(one.values)
        least, most = int(np.nanargmin(values)), int(np.nanargmax(values))
        found[one.name] = MetricSummary(
            last=one.values[-1], last_step=one.steps[-1], count=len(one.steps),
            min=one.values[least], min_step=one.steps[least], max=one.values[most], max_step=one.steps[most],
        )  # fmt: skip
    return found


def _epochs(index: int, *, early: bool) -> int:
    if index in (CRASHED, FULL):
        return 310
    return 150 + 9 * (index % 8) if early else EPOCHS


def _waiting(index: int) -> Run:
    return Run(
        id=run_id(index),
        key=str(index),
        experiment=NAME,
        params=params(index),
        index=index,
        task=Task(command=("python", "train.py", "--l1", "{l1}", "--noise", "{noise}"), workdir="/home/ada/weather"),
        resources=Resources(gpus=1, memory_bytes=4 * _GB),
        notify=Notify(to=("ada@lab.example",)),
        owner="ada",
        tags=("paper",),
        queued_at=BEGIN - timedelta(minutes=3),
        provenance={"git": {"commit": "9fceb02d0ae598e95dc970b74767f19372d61af8", "branch": "main", "dirty": True}},
    )


def _end_of(index: int) -> tuple[State, Ending | None]:
    if index == CRASHED:
        said = "ended by signal 9 (SIGKILL): the kernel ended it, as its memory limit of 4 GB was reached"
        ending = Ending(reason=Reason.OUT_OF_MEMORY, signal=9, peak_memory_bytes=int(3.99 * _GB), message=said)
        return State.FAILED, ending
    if index == FULL:
        said = "OSError: [Errno 28] No space left on device: 'checkpoints/epoch-310.npz'"
        return State.FAILED, Ending(reason=Reason.DISK_FULL, exit_code=1, message=said)
    if index == STOPPED:
        said = "median: val_loss 0.236 at step 100 is worse than the median 0.214"
        return State.CANCELLED, Ending(reason=Reason.STOPPED, exit_code=0, message=said)
    if index == DIVERGED:
        return State.FAILED, Ending(reason=Reason.DIVERGED, exit_code=1, message="val_loss is nan at step 96")
    return State.FINISHED, Ending(exit_code=0)
