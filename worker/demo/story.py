"""The story the demo tells, step by step."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from notify.curve import png
from store.errors import LabqError, StoreUnavailable
from store.notices import NoticeState
from store.runs import Run, short
from store.states import ENDED, State
from store.store import RunQuery
from worker.demo.experiment import EXPERIMENT, twin
from worker.demo.stage import LEASE_S, Stage
from worker.demo.telling import Teller

T = TypeVar("T")
PATIENCE_S = 300.0
KILL_FROM_STEP = 2000
_POLL_S = 0.1


class DemoFailed(LabqError):
    """The demo did not reach its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What happened, as `labq demo --json` prints it."""

    runs: int
    finished: int
    killed: int
    resumed: int
    identical: bool
    mails: int
    seconds: float


def tell_story(stage: Stage, tell: Teller, keep: Path | None) -> Report:
    """From an empty folder to the mails. Raises DemoFailed."""
    began_at = time.monotonic()
    tell.step("Starting a real MongoDB and a real Redis, in a temporary folder, on private sockets")
    stage.servers()
    tell.step("Enqueueing an experiment: 4 RNN language models on the text of Python's documentation")
    _enqueue(stage, tell, "docs-lm.toml", EXPERIMENT)
    victim = _first_run(stage)
    _enqueue(stage, tell, "twin.toml", twin(victim.params["n_hidden"], victim.params["learning_rate"]))
    tell.say("  (the fifth run is a twin of the first: it will show whether being killed made a difference)")
    tell.step("Starting two workers and the notifier (the first run compiles the kernels: a few seconds)")
    pids = {process.pid for process in (stage.start("worker"), stage.start("worker"))}
    stage.start("notify")
    with tell.progress(lambda: _everything(stage)):
        victim = _wait(stage, lambda: _in_the_middle(stage, victim.id), "a checkpoint")
        tell.step(f"kill -9 to the worker that carries run {short(victim.id)}, in the middle of its training")
        _kill_worker_of(stage, victim, pids)
        tell.say(f"  it is gone, and its training with it; its lease ends in {LEASE_S:g} s (20 s by default)")
        resumed = _wait(stage, lambda: _resumed(stage, victim.id), "the resume elsewhere")
        attempt = resumed.history[-1]
        tell.step(f"The other worker resumed it from step {attempt.resumed_from_step}, attempt {attempt.number}")
        _wait(stage, lambda: _all_ended(stage), "the end of all runs")
    _wait(stage, lambda: _mails(stage) >= 4, "the mails")
    runs = _everything(stage)
    _show_results(stage, tell, runs, keep)
    identical = _same(stage, victim.id, next(run.id for run in runs if run.experiment == "twin"))
    tell.step("The killed run and its undisturbed twin: " + ("identical, bit for bit" if identical else "DIFFERENT"))
    return Report(
        runs=len(runs),
        finished=sum(run.state is State.FINISHED for run in runs),
        killed=1,
        resumed=sum(any(attempt.resumed_from_step is not None for attempt in run.history) for run in runs),
        identical=identical,
        mails=_mails(stage),
        seconds=round(time.monotonic() - began_at, 1),
    )


# ── steps ──
def _enqueue(stage: Stage, tell: Teller, name: str, text: str) -> None:
    (stage.home / name).write_text(text)
    tell.say(f"  $ labq enqueue {name}")
    done = stage.labq("enqueue", name)
    if done.returncode != 0:
        raise DemoFailed(done.stderr.strip() or done.stdout.strip())
    tell.say("".join(f"  {line}\n" for line in done.stdout.splitlines()).rstrip())


def _first_run(stage: Stage) -> Run:
    return stage.store.runs(RunQuery(experiment="docs-lm"))[0]


def _kill_worker_of(stage: Stage, run: Run, pids: set[int]) -> None:
    holder = run.history[-1].worker
    pid = next((worker.pid for worker in stage.store.workers(60) if worker.name == holder), None)
    if pid not in pids:
        raise DemoFailed(f"the worker {holder} of run {run.id} is not one of ours")
    os.kill(pid, signal.SIGKILL)


def _show_results(stage: Stage, tell: Teller, runs: list[Run], keep: Path | None) -> None:
    tell.step("Results")
    tell.results(runs)
    grid = [run for run in runs if run.experiment == "docs-lm"]
    best = min(grid, key=lambda run: run.summary["val_loss"].last)
    series = [stage.store.series(best.id, name) for name in ("train_loss", "val_loss")]
    tell.curve(series, f"the best run, {short(best.id)}")
    mails = sorted((stage.home / "mail").glob("*.eml"))
    tell.step(f"{len(mails)} mails, each with its curve (no SMTP server is configured here, so they are .eml files)")
    for mail in mails:
        tell.say(f"  {mail.name}  {_subject(mail)}")
    if keep is not None:
        for mail in mails:
            shutil.copy(mail, keep)
        for run in grid:
            every = [stage.store.series(run.id, name) for name in stage.store.series_names(run.id)]
            (keep / f"{short(run.id)}.png").write_bytes(png(every, f"{run.experiment} {short(run.id)}"))
        tell.say(f"  kept in {keep}, with the curves as PNG")


# ── looking ──
def _everything(stage: Stage) -> list[Run]:
    return stage.store.runs(RunQuery())


def _in_the_middle(stage: Stage, run_id: str) -> Run | None:
    run = stage.store.run(run_id)
    if run.state in ENDED:
        raise DemoFailed(f"run {run_id} {run.state} before it could be killed\n{stage.log()}")
    return run if run.checkpoint is not None and run.checkpoint.step >= KILL_FROM_STEP else None


def _resumed(stage: Stage, run_id: str) -> Run | None:
    run = stage.store.run(run_id)
    return run if run.attempt > 1 and run.history[-1].resumed_from_step is not None else None


def _all_ended(stage: Stage) -> bool:
    return all(run.state in ENDED for run in _everything(stage))


def _mails(stage: Stage) -> int:
    return sum(notice.state is NoticeState.SENT for notice in stage.store.notices())


def _same(stage: Stage, one: str, other: str) -> bool:
    """Weights by their SHA-256, metrics point by point but for those that tell the time."""

    def outcome(run_id: str) -> tuple[object, ...]:
        names = [name for name in stage.store.series_names(run_id) if not name.startswith("clock_")]
        series = [stage.store.series(run_id, name) for name in names]
        checkpoint = stage.store.run(run_id).checkpoint
        points = [(s.name, s.steps, [value.hex() for value in s.values]) for s in series]
        return checkpoint and checkpoint.sha256, json.dumps(points)

    return outcome(one) == outcome(other)


def _subject(mail: Path) -> str:
    lines = mail.read_text(errors="replace").splitlines()
    return next((line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")), "")


def _wait(stage: Stage, condition: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(StoreUnavailable):
            if found := condition():
                return found
        time.sleep(_POLL_S)
    raise DemoFailed(f"waited {PATIENCE_S:.0f} s for {what}\n{stage.log()[-3000:]}")
