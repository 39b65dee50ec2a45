"""Reading the lab round by round, and never more often than it can bear."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from queueing.live.pace import Mark, watched
from queueing.top.compose import Lengths, Read, compose
from queueing.top.picture import Picture
from store.errors import StoreUnavailable
from store.runs import Run
from store.settings import Settings
from store.store import Store

RUNS_AT_MOST = 200
ENDED_AT_MOST = 50
WAITING_AT_MOST = 1000
COUNT_SHARE = 20
"""Counting a million runs takes a second: the pause after it is that many times as long."""


class Reader:
    """Remembers between two rounds how far each run was, and the last counts."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._marks: dict[tuple[str, int], tuple[Mark, ...]] = {}
        self._lengths: Lengths | None = None
        self._counted_at: datetime | None = None
        self._count_again = 0.0

    def read(self) -> Picture:
        """One round. Raises StoreUnavailable."""
        now, running = self._store.now(), self._store.running(RUNS_AT_MOST)
        self._watch(running, now)
        self._count(now)
        return compose(
            Read(
                now=now,
                workers=self._store.workers(self._settings.living_s),
                drains=self._store.drains(),
                running=running,
                ended=self._store.recently_ended(ENDED_AT_MOST),
                samples=self._store.newest_samples([run.id for run in running], 4 * self._settings.sample_s),
                waiting=self._store.waiting_experiments(WAITING_AT_MOST),
                lengths=self._lengths,
                counted_at=self._counted_at,
                marks=self._marks,
            )
        )

    def _watch(self, running: Sequence[Run], now: datetime) -> None:
        self._marks = {
            (run.id, run.attempt): watched(self._marks.get((run.id, run.attempt), ()), run.progress, now)
            for run in running
            if run.progress is not None
        }

    def _count(self, now: datetime) -> None:
        began = time.monotonic()
        if began < self._count_again:
            return
        with suppress(StoreUnavailable):  # too many to be counted in time; if it is away, all else fails as well
            self._lengths, self._counted_at = self._store.queue_lengths(), now
        self._count_again = time.monotonic() + COUNT_SHARE * (time.monotonic() - began)
