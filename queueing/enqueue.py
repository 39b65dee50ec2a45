"""Runs into the store, tickets into Redis."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from queueing.doorbell import Doorbell
from queueing.expand import Definition, runs
from queueing.git import snapshot
from queueing.stopping.round import let_go
from store.errors import DoorbellUnavailable
from store.experiments import Experiment
from store.identity import user_name
from store.rules import RuleBook, Scope
from store.runs import Run
from store.store import Store

T = TypeVar("T")
CHUNK = 1000
RING_AT_MOST = 500
"""A ticket wakes an idle worker; one that ends a run looks again by itself. So tickets are needed for as many runs as
there may be idle workers, not for all; the repair loop rings for the next ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What an enqueue did. `ids` are those of the new runs; `warning` says why no worker was rung."""

    experiment: str
    total: int
    ids: tuple[str, ...]
    warning: str = ""
    warm: int = 0
    """Earlier runs that the optimizer of a study was told."""

    @property
    def added(self) -> int:
        """How many runs are new."""
        return len(self.ids)


def enqueue(
    definition: Definition,
    store: Store,
    doorbell: Doorbell,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
    lease_s: float = 20.0,
) -> Enqueued:
    """Insert first, ring later: a crash in between leaves queued runs, which the repair loop rings for."""
    now = store.now()
    provenance = _provenance(definition, store)
    for text in definition.texts:
        store.add_blob(text)
    store.set_rules(_rules(definition))
    if definition.study is None:
        store.add_experiment(_experiment(definition, now))
        done = _enqueue_all(store, doorbell, definition, runs(definition, now, user_name(), provenance), on_progress)
    else:
        done = _open_study(store, doorbell, definition, provenance, now, lease_s)
    if definition.stopping is None:
        let_go(store, doorbell, definition.name)
    return done


def _enqueue_all(
    store: Store, doorbell: Doorbell, definition: Definition, made: Iterable[Run], on_progress: Callable[[int], None]
) -> Enqueued:
    ids: list[str] = []
    warning = ""
    to_ring = RING_AT_MOST
    for chunk, added in _stored(store, _chunks(made, CHUNK)):
        fresh = [run for run in chunk if run.id in added]
        ids += [run.id for run in fresh]
        if to_ring and not warning:
            warning = _ring(doorbell, [(run.id, run.attempt, run.queue) for run in fresh[:to_ring]])
            to_ring = max(0, to_ring - len(fresh))
        on_progress(len(chunk))
    return Enqueued(experiment=definition.name, total=definition.size, ids=tuple(ids), warning=warning)


def _stored(store: Store, chunks: Iterable[list[Run]]) -> Iterator[tuple[list[Run], set[str]]]:
    """Each chunk with the ids that were new. The next one is made while MongoDB takes this one."""
    with ThreadPoolExecutor(1, "enqueue") as beside:
        before: tuple[list[Run], Future[list[str]]] | None = None
        for chunk in chunks:
            this = (chunk, beside.submit(store.add_runs, chunk))
            if before is not None:
                yield before[0], set(before[1].result())
            before = this
        if before is not None:
            yield before[0], set(before[1].result())


def _open_study(
    store: Store, doorbell: Doorbell, definition: Definition, provenance: dict[str, Any], now: datetime, lease_s: float
) -> Enqueued:
    from queueing.optimize.opening import open_study

    opened = open_study(definition, store, doorbell, provenance, _experiment(definition, now), lease_s)
    return Enqueued(experiment=definition.name, total=definition.size, ids=opened.ids, warm=opened.warm)


def enqueue_runs(
    definition: Definition, store: Store, doorbell: Doorbell, make: Callable[[datetime, str, dict[str, Any]], list[Run]]
) -> list[Run]:
    """Queue the few runs that `make(now, owner, provenance)` returns; they come back, new or not."""
    now = store.now()
    made = make(now, user_name(), _provenance(definition, store))
    for text in definition.texts:
        store.add_blob(text)
    store.set_rules(_rules(definition))
    store.add_experiment(_experiment(definition, now))
    added = set(store.add_runs(made))
    _ring(doorbell, [(run.id, run.attempt, run.queue) for run in made if run.id in added])
    return made


def _ring(doorbell: Doorbell, tickets: list[tuple[str, int, str]]) -> str:
    try:
        doorbell.ring(tickets)
    except DoorbellUnavailable as error:
        return f"{error}; the runs are queued all the same, workers will find them a little later"
    return ""


def _experiment(definition: Definition, now: Any) -> Experiment:
    return Experiment(
        name=definition.name,
        owner=user_name(),
        source=definition.source,
        text=definition.text,
        tags=definition.tags,
        created_at=now,
        stopping=definition.stopping,
        diagnosis=definition.diagnosis,
        trainer=definition.task.trainer,
    )


def _rules(definition: Definition) -> RuleBook:
    """The newest file of an experiment says who is told; one without rules takes those of the last one back."""
    return RuleBook(
        scope=Scope.EXPERIMENT,
        holder=definition.name,
        rules=definition.rules,
        source=definition.source,
        by=user_name(),
    )


def _provenance(definition: Definition, store: Store) -> dict[str, Any]:
    """The diff is kept once, however many runs refer to it."""
    facts, diff = snapshot(Path(definition.task.workdir))
    if facts is None:
        return {"git": None}
    return {"git": {**facts, "diff": store.add_blob(diff) if diff else None}}


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
