"""Studies in memory: a store, a doorbell that nobody hears, and runs that end as a test says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from queueing.definition import define_table
from queueing.enqueue import enqueue
from queueing.expand import Definition
from queueing.optimize.spec import Spec, read_spec
from queueing.optimize.step import Stepped, step
from queueing.optimize.table import OptimizerTable
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.runs import Ending, Run
from store.settings import Settings
from store.states import Reason, State
from store.store import RunQuery, Settlement
from store.studies import Trial, TrialState
from store.workers import Worker

WORKER = Worker(name="w", host="h", pid=1, cpus=8, memory_bytes=1 << 40)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PARAMS = {"x": {"low": 0.0, "high": 1.0}, "n": {"low": 1, "high": 100, "type": "int"}, "c": ["a", "b"]}
FAILED = Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(reason=Reason.ERROR, message="boom"))


class SilentDoorbell:
    """Redis is away as far as anybody can tell, and nobody minds."""

    def ring(self, tickets: Any) -> None: ...

    def tell(self, channels: Any) -> None: ...

    def close(self) -> None: ...


def a_spec(params: dict[str, Any] = PARAMS, fixed: dict[str, Any] | None = None, **said: Any) -> Spec:
    table = OptimizerTable.model_validate({"metric": "val_loss", "trials": 20, **said, "params": params})
    spec, mistakes = read_spec(table, fixed or {})
    assert not mistakes, mistakes
    return spec


def told(number: int, value: float | None, params: dict[str, Any], **said: Any) -> Trial:
    state = TrialState.COMPLETE if value is not None else TrialState.OPEN
    made = Trial(
        study="s", number=number, params=params, runs=(f"r{number}",), state=state, asked_at=EPOCH, told_at=EPOCH,
        values=(value,) if value is not None else (),
    )  # fmt: skip
    return replace(made, **said)


class StudyLab:
    """One study on a MemoryStore."""

    def __init__(self, folder: Path, params: dict[str, Any] = PARAMS, name: str = "s", **said: Any) -> None:
        self.store, self.doorbell = MemoryStore(), SilentDoorbell()
        self.folder, self.name = folder, name
        self.table = {
            "name": name, "command": ["true"],
            "optimizer": {"metric": "val_loss", "trials": 6, "parallel": 2, "sampler": "random", **said, "params": params},
        }  # fmt: skip

    def definition(self, **optimizer: Any) -> Definition:
        table = {**self.table, "optimizer": {**self.table["optimizer"], **optimizer}}  # type: ignore[dict-item]
        return define_table(table, "", self.folder / "study.json", Settings(home=self.folder))

    def enqueue(self, **optimizer: Any) -> Any:
        return enqueue(self.definition(**optimizer), self.store, self.doorbell)  # type: ignore[arg-type]

    def step(self, **said: Any) -> Stepped:
        return step(self.store, self.doorbell, self.name, 20.0, **said)  # type: ignore[arg-type]

    def trials(self) -> list[Trial]:
        return self.store.trials(self.name)

    def runs(self, *states: State) -> list[Run]:
        return self.store.runs(RunQuery(experiment=self.name, states=states))

    def carry_out(self, run: Run | None = None, settlement: Settlement | None = None, **metrics: list[float]) -> Run:
        """Claim the next run, report these values, end it."""
        taken = self.store.claim(WORKER, 60.0)
        assert taken is not None
        assert run is None or run.id == taken.id
        begun = self.store.begin(taken.id, taken.attempt, None, {})
        points = tuple(
            Point(name=name, step=k, time=0.0, value=value, line=k + 1, index=k)
            for name, values in metrics.items()
            for k, value in enumerate(values)
        )
        shipped = Shipment(events_from=0, events_to=10, lines_to=len(points), segments=segments(points), output_from=0)
        self.store.ship(begun.id, begun.attempt, shipped, summarize({}, segments(points)))
        done = settlement or Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
        return self.store.settle(begun.id, begun.attempt, done)

    def work(self, loss: Callable[[Run], list[float]], most: int = 200) -> int:
        """Steps and runs in turn until there is nothing to do; returns how many runs there were."""
        for count in range(most):
            self.step()
            waiting = self.runs(State.QUEUED)
            if not waiting:
                return count
            self.carry_out(val_loss=loss(waiting[0]))
        raise AssertionError("the study does not end")
