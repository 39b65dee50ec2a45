"""The curves of one metric, as far as they have been read: only what is new is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from queueing.watch.curves import EMPTY, Curve, grain_for, grown
from store.glances import Beyond, Stroke
from store.runs import Run
from store.store import Store

STROKES_AT_ONCE = 300
"""Pieces of at most a thousand points: the server takes about 0.15 ms for each, so one question takes 50 ms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kept:
    """`version`: which attempt, and whether it had points; `count`: points of the series when all had been read.

    The points behind a checkpoint are dropped when an attempt begins, and surely are when it reports its first.
    """

    version: tuple[int, bool]
    attempt: int = 0
    points: int = 0
    count: int = -1
    grain: int = 1
    curve: Curve = EMPTY


class Book:
    """Reads the curves of one metric, a bounded piece in each round."""

    def __init__(self, store: Store, metric: str) -> None:
        self._store, self._metric = store, metric
        self._kept: dict[str, _Kept] = {}

    def read(self, runs: Sequence[Run], at_most: int = STROKES_AT_ONCE) -> int:
        """One round for these runs, the most wanted first. Returns how many of them have more to be read."""
        stale = [run for run in runs if self._is_stale(run)]
        asked = list(_few(stale, self._metric, at_most))
        for run in asked:
            self._begin(run)
        wanted = [self._beyond(run) for run in asked]
        strokes = self._store.strokes(self._metric, wanted, at_most) if wanted else []
        for run_id, some in groupby(strokes, key=lambda one: one.run):
            self._grow(run_id, list(some))
        unread = _unread(wanted, strokes, at_most)
        for run in asked:
            if run.id not in unread:
                self._settle(run)
        return len(stale) - len(asked) + len(unread)

    def curves(self, runs: Iterable[str]) -> dict[str, Curve]:
        """What is known of these."""
        return {run: self._kept[run].curve for run in runs if run in self._kept and len(self._kept[run].curve)}

    def _is_stale(self, run: Run) -> bool:
        if self._metric not in run.summary:
            return False
        kept = self._kept.get(run.id)
        return kept is None or kept.version != _version(run) or kept.count != run.summary[self._metric].count

    def _begin(self, run: Run) -> None:
        kept = self._kept.get(run.id)
        if kept is None or kept.version != _version(run):
            grain = grain_for(run.summary[self._metric].count)
            self._kept[run.id] = _Kept(version=_version(run), grain=grain)

    def _beyond(self, run: Run) -> Beyond:
        kept = self._kept[run.id]
        new = run.summary[self._metric].count - max(0, kept.count)
        grain = kept.grain if kept.count < 0 else grain_for(new)
        return Beyond(run=run.id, attempt=kept.attempt, points=kept.points, grain=grain)

    def _grow(self, run_id: str, strokes: Sequence[Stroke]) -> None:
        kept, last = self._kept[run_id], strokes[-1]
        curve = grown(kept.curve, strokes)
        self._kept[run_id] = replace(kept, attempt=last.attempt, points=last.points, curve=curve)

    def _settle(self, run: Run) -> None:
        self._kept[run.id] = replace(self._kept[run.id], count=run.summary[self._metric].count)


def _version(run: Run) -> tuple[int, bool]:
    return run.attempt, run.shipped.attempt == run.attempt and run.shipped.events_lines > 0


def _few(runs: Sequence[Run], metric: str, at_most: int) -> Iterable[Run]:
    """The first ones, of whose points about so many buckets are stored; one at least."""
    buckets = 0
    for run in runs:
        if buckets and buckets >= at_most:
            return
        yield run
        buckets += 1 + run.summary[metric].count // 1000


def _unread(wanted: Sequence[Beyond], strokes: Sequence[Stroke], at_most: int) -> set[str]:
    """Whose points did not all come: the store goes by grain and run, and stops when it has so many pieces."""
    if len(strokes) < at_most:
        return set()
    order = [one.run for one in sorted(wanted, key=lambda one: (one.grain, one.run))]
    return set(order[order.index(strokes[-1].run) :])
