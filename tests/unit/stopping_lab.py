"""A lab without processes: runs that report a line per tick, workers that claim, and the round that judges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from queueing.doorbell import Doorbell
from queueing.retry import verdict
from queueing.stopping.round import Round, judge_runs
from store.changes import Change
from store.experiments import Experiment
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.runs import Checkpoint, Ending, Run, Task
from store.settings import Settings
from store.states import ENDED, Reason, State
from store.store import RunQuery
from store.workers import Worker

Curve = Callable[[int], float]
SETTINGS = Settings(repair_s=0.001)


class Bell:
    """Nobody hears it."""

    def tell(self, _channels: Any) -> None: ...
    def ring(self, _tickets: Any) -> None: ...


@dataclass
class Lab:
    """`curves`: of each run, its loss after so many epochs; `epochs`: how long a run goes on."""

    stopping: dict[str, Any]
    curves: dict[str, Curve]
    epochs: int = 81
    workers: int = 4
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    done: dict[str, int] = field(default_factory=dict)
    saved: dict[str, int] = field(default_factory=dict)
    trained: int = 0
    rounds: list[Round] = field(default_factory=list)
    bell: Doorbell = field(default_factory=lambda: cast(Doorbell, Bell()))

    def __post_init__(self) -> None:
        if isinstance(self.store, MemoryStore):
            self.store.now = lambda: self.now  # type: ignore[method-assign]
        self.store.add_experiment(
            Experiment(name="exp", owner="me", source="f", text="", created_at=self.now, stopping=self.stopping)
        )
        self.enqueue(list(self.curves))

    def enqueue(self, names: Sequence[str]) -> None:
        self.store.add_runs([
            Run(id=name, key=name, experiment="exp", params={}, task=Task(workdir="/"), queued_at=self.now, index=number)
            for number, name in enumerate(names)
        ])  # fmt: skip

    # ── time ──
    def until_over(self, ticks: int = 5000) -> "Lab":
        for _ in range(ticks):
            if all(run.state in ENDED for run in self.runs()):
                return self
            self.tick()
        raise AssertionError({run.id: (run.state, run.judged) for run in self.runs() if run.state not in ENDED})

    def tick(self, *, judging: bool = True) -> None:
        self.now += timedelta(seconds=1)
        self.claim()
        for run in self.running():
            self.report(run)
        if judging:
            self.judge()
        for run in self.running():
            self.heed(run)

    def claim(self) -> None:
        for number in range(len(self.running()), self.workers):
            run = self.store.claim(Worker(name=f"w{number}", host="h", pid=1, cpus=4, memory_bytes=1 << 30), 60.0)
            if run is None:
                return
            self.store.begin(run.id, run.attempt, run.checkpoint, {})
            self.done[run.id] = self.saved.get(run.id, 0)

    def report(self, run: Run) -> None:
        epoch = self.done[run.id] + 1
        self.done[run.id] = epoch
        self.trained += 1
        run = self.store.run(run.id)
        line = run.shipped.events_lines + 1
        point = Point(
            name="loss",
            step=epoch,
            time=self.now.timestamp(),
            value=self.curves[run.id](epoch),
            line=line,
            index=line - 1,
        )
        shipment = Shipment(
            events_from=run.shipped.events_bytes,
            events_to=line * 10,
            lines_to=line,
            segments=segments([point]),
            output_from=0,
        )
        self.store.ship(run.id, run.attempt, shipment, summarize(run.summary, segments([point])))
        if epoch >= self.epochs:
            self.end(run, None)

    def judge(self) -> Round | None:
        done = judge_runs(self.store, self.bell, SETTINGS, "w0")
        if done is not None:
            self.rounds.append(done)
        return done

    def heed(self, run: Run) -> None:
        """A run that is asked to leave checkpoints and leaves."""
        if run.wish is None:
            return
        self.checkpoint(run)
        self.end(run, Reason.STOPPED)

    def checkpoint(self, run: Run) -> None:
        self.saved[run.id] = self.done[run.id]
        checkpoint = Checkpoint(
            id="", run=run.id, attempt=run.attempt, step=self.done[run.id], line=run.shipped.events_lines, name="c",
            is_dir=False, size_bytes=0, sha256="", created_at=self.now,
        )  # fmt: skip
        self.store.publish_checkpoint(checkpoint, Path(__file__), 1)

    def end(self, run: Run, reason: Reason | None) -> None:
        self.store.settle(run.id, run.attempt, lambda now: verdict(now, Ending(reason=reason)))

    # ── what there is ──
    def runs(self) -> list[Run]:
        return self.store.runs(RunQuery())

    def running(self) -> list[Run]:
        return [run for run in self.runs() if run.state is State.RUNNING]

    def in_state(self, state: State) -> list[str]:
        return [run.id for run in self.runs() if run.state is state]

    def person(self, name: str, apply: Any) -> Run:
        return self.store.change([name], Change(name="x", apply=apply, by="me")).runs[0]

    def with_curve(self, name: str, curve: Curve) -> None:
        self.curves = {**self.curves, name: curve}
        self.enqueue([name])


def constant(value: float) -> Curve:
    return lambda _epoch: value


def falling(final: float, start: float = 1.0, half: float = 5.0) -> Curve:
    """From `start` towards `final`, half of the way every `half` epochs."""
    return lambda epoch: final + (start - final) * 0.5 ** (epoch / half)
