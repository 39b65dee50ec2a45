"""Runs in the hands of a Python programme: `labq.submit`, `labq.as_completed`.

import labq
run = labq.submit("exp.toml", {"lr": 0.1})      # the file without its sweep, with these parameters
print(run.wait().state, run.result())           # waits out servers that are away; {"val_loss": 0.31, ...}
for run in labq.as_completed(labq.submit_all("sweep.toml")):
    print(run.id, run.result())
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from queueing.definition import define_table
from queueing.doorbell import Doorbell
from queueing.enqueue import enqueue
from queueing.expand import Definition, runs
from queueing.people import carry_out, pause_change, requeue_change, resume_change, stop_change
from queueing.reading import read_file
from queueing.waiting import endings
from store.changes import Change
from store.connect import connect, redis_url
from store.errors import IllegalTransition, RunFailed, UserError
from store.runs import Run
from store.settings import Settings, load
from store.states import State

_PLACE = "submitted from Python"


class Handle:
    """One run. Nothing is remembered but its id: every question is answered by MongoDB."""

    def __init__(self, run_id: str, settings: Settings | None = None) -> None:
        self.id = run_id
        self._settings = settings or load().settings

    def __repr__(self) -> str:
        return f"<labq run {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def run(self) -> Run:
        """All that is known of it now. Raises StoreUnavailable."""
        with closing(connect(self._settings)) as store:
            return store.run(self.id)

    @property
    def state(self) -> State:
        """Where it is now. Raises StoreUnavailable."""
        return self.run.state

    def wait(self, timeout: float | None = None) -> Run:
        """Until it has ended, however; seconds. Raises TimeoutError. Servers that are away meanwhile are waited for."""
        return next(endings(self._settings, [self.id], timeout))

    def result(self, timeout: float | None = None) -> dict[str, float]:
        """The last value of each metric. Waits; raises RunFailed when the run did not finish, TimeoutError."""
        run = self.wait(timeout)
        if run.state is not State.FINISHED:
            said = run.ending.message.strip() if run.ending else ""
            raise RunFailed(f"run {run.id} {run.state}: {': '.join(filter(None, [str(run.reason or ''), said]))}")
        return {name: summary.last for name, summary in run.summary.items()}

    def report(self, **values: float) -> Run:
        """Add figures found after its end: `run.report(testerr=0.12, valerr=0.1)`. Raises IllegalTransition."""
        numbers = {name: float(value) for name, value in values.items()}
        with closing(connect(self._settings)) as store:
            return store.report(self.id, numbers)

    def stop(self) -> Run:
        """Cancel; a running one gets its grace first. Raises IllegalTransition, as the three below."""
        return self._change(stop_change())

    def pause(self) -> Run:
        """Keep from starting; a running one checkpoints first."""
        return self._change(pause_change())

    def resume(self) -> Run:
        """Let a paused or ended one go on from where it is."""
        return self._change(resume_change())

    def requeue(self, *, scratch: bool = False) -> Run:
        """Back into the queue; `scratch`: its checkpoints are forgotten."""
        return self._change(requeue_change(scratch=scratch))

    def _change(self, change: Change) -> Run:
        doorbell = _doorbell(self._settings)
        with closing(connect(self._settings)) as store, closing(doorbell):
            changed = carry_out(store, doorbell, [self.id], change)
        if changed.refused:
            raise IllegalTransition(changed.refused[self.id])
        return changed.runs[0]


def submit(experiment: str | Path | Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Handle:
    """Queue one run of an experiment file, or of a table with the same keys. One that is known is not run again.

    With `params` the file's sweep and optimizer are left out, and these stand before its own. Raises BadExperiment,
    StoreUnavailable; UserError when it makes several runs.
    """
    settings = load().settings
    definition = _definition(experiment, params, settings)
    if definition.size != 1 or definition.study is not None:
        raise UserError(f"{definition.name} makes {definition.size} runs: labq.submit_all, or name the parameters")
    return _queued(definition, settings)[0]


def submit_all(experiment: str | Path | Mapping[str, Any]) -> list[Handle]:
    """Queue all runs of a sweep; those that are known already are among the handles too. Raises as `submit`."""
    settings = load().settings
    definition = _definition(experiment, None, settings)
    if definition.study is not None:
        raise UserError(f"{definition.name} has an optimizer: labq.enqueue it, then labq.runs({definition.name!r})")
    return _queued(definition, settings)


def handle(run: str) -> Handle:
    """Of a run that is there: an id or its beginning. Raises NoSuchRun, AmbiguousId, StoreUnavailable."""
    settings = load().settings
    with closing(connect(settings)) as store:
        return Handle(store.run(run).id, settings)


def as_completed(which: Iterable[Handle | Run | str], timeout: float | None = None) -> Iterator[Handle]:
    """The runs as they end, each once. One query looks for all of them. Raises TimeoutError."""
    settings = load().settings
    ids = [one if isinstance(one, str) else one.id for one in which]
    for run in endings(settings, ids, timeout):
        yield Handle(run.id, settings)


def _definition(
    experiment: str | Path | Mapping[str, Any], params: Mapping[str, Any] | None, settings: Settings
) -> Definition:
    if isinstance(experiment, Mapping):
        table, path = dict(experiment), Path.cwd() / _PLACE
        text = json.dumps(table, default=str)
    else:
        path = Path(experiment)
        table, text = read_file(path)
    if params is not None:
        own = table.get("params", {})
        kept = {name: value for name, value in table.items() if name not in ("sweep", "optimizer")}
        table = {**kept, "params": {**own, **params} if isinstance(own, Mapping) else own}
    return define_table(table, text, path, settings)


def _queued(definition: Definition, settings: Settings) -> list[Handle]:
    with closing(connect(settings)) as store, closing(_doorbell(settings)) as doorbell:
        now = store.now()
        enqueue(definition, store, doorbell)
        return [Handle(run.id, settings) for run in runs(definition, now, "", {})]


def _doorbell(settings: Settings) -> Doorbell:
    return Doorbell(redis_url(settings), settings.redis_timeout_s)
