"""A round of the diagnosis: in any worker or notifier, one at a time under a short lease.

    glimpses ─► due ─► a look at each: chart ─► findings ─► kept, with an event for each that is new

What is left at its end is due in the next one. Whoever is killed in it has kept whole looks or none, and the next one
looks again; two at once find the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from notify.diagnosis import Siblings
from notify.looking.gather import experiments_runs, siblings_of
from notify.looking.look import Look, look_at
from store.errors import StoreUnavailable
from store.findings import Diagnosis
from store.glimpses import Glimpse
from store.logbook import warn
from store.runs import Run
from store.states import State
from store.store import Store

LOOKS_AT_MOST = 500
_KEPT_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did. `found`: the runs about which something new is known."""

    looked: int
    found: tuple[str, ...]


@dataclass(slots=True)
class _Around:
    """The other runs of an experiment, read once a round."""

    store: Store
    now: datetime
    _runs: dict[str, Sequence[Run]] = field(default_factory=dict)

    def siblings(self, run: Run) -> Siblings:
        """Of this run."""
        if run.experiment not in self._runs:
            self._runs[run.experiment] = experiments_runs(self.store, run.experiment)
        return siblings_of(self._runs[run.experiment], run, self.now)


def look_around(store: Store, due: Sequence[Glimpse], now: datetime, enough: Callable[[], bool]) -> Round:
    """Look at these runs in turn until it is `enough`; at one at least. Raises StoreUnavailable, StoreFailed."""
    known = store.diagnoses([one.id for one in due[:LOOKS_AT_MOST]])
    ruled = frozenset(store.remedied())
    around = _Around(store, now)
    found: list[str] = []
    quiet: list[Diagnosis] = []
    looked = 0
    for seen in due[:LOOKS_AT_MOST]:
        if looked and enough():
            break
        looked += 1
        look = _look(store, seen, known.get(seen.id), now, around)
        if not look.new:
            quiet.append(look.diagnosis)
        elif store.put_diagnosis(look.diagnosis, look.new, to_treat=seen.experiment in ruled):
            found.append(seen.id)
        if len(quiet) >= _KEPT_AT_ONCE:
            store.put_looks(quiet)
            quiet.clear()
    store.put_looks(quiet)
    return Round(looked=looked, found=tuple(found))


def _look(store: Store, seen: Glimpse, last: Diagnosis | None, now: datetime, around: _Around) -> Look:
    """A run that cannot be read loses this look, and no other run loses any."""
    try:
        run = store.run(seen.id)
        return look_at(store, run, last, now, around.siblings(run))
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - or one rule that stumbles
        warn("look-stumbled", run=seen.id, attempt=seen.attempt, error=repr(error))
        return Look(diagnosis=_unread(seen, last, now), new=())


def _unread(seen: Glimpse, last: Diagnosis | None, now: datetime) -> Diagnosis:
    """As if a look had found what is known already: else it would be the first of every round to come."""
    same = last is not None and last.attempt == seen.attempt
    return Diagnosis(
        run=seen.id,
        attempt=seen.attempt,
        findings=last.findings if last is not None and same else (),
        lines=seen.shipped.events_lines,
        output_bytes=seen.shipped.output_bytes,
        looked_at=now,
        over=seen.state is not State.RUNNING,
    )
