"""What is owed because of what happened."""

from collections.abc import Sequence
from dataclasses import replace

from store.memory.shared import Shared
from store.notices import NoticeState, gathered
from store.states import ENDED
from store.telling import Gathering, Owed, Remembered, SweepStanding, Telling


class Tellings(Shared):
    """Owed events, and what the rules remember."""

    def owed(self, limit: int) -> list[Owed]:
        """Oldest first."""
        return list(self._owed.values())[:limit]

    def owe(self, telling: Telling) -> bool:
        """All of it or nothing."""
        with self._lock:
            known = self.remembered([one.id for one in telling.remembered])
            beaten = any(one.version != (known[one.id].version if one.id in known else 0) for one in telling.remembered)
            if beaten or not set(telling.events) <= set(self._owed):
                return False
            for event in telling.events:
                del self._owed[event]
            for one in telling.remembered:
                self._remembered[one.id] = replace(one, version=one.version + 1)
            for notice in telling.notices:
                self._outbox.setdefault(notice.id, replace(notice, created_at=notice.created_at or self.now()))
            for gathering in telling.gatherings:
                self._gather(gathering)
            for notice in [one for one in self._outbox.values() if one.experiment in telling.sweeps]:
                if notice.state is NoticeState.GATHERING and notice.not_before is None:
                    self._outbox[notice.id] = replace(notice, state=NoticeState.OWED)
            return True

    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """By name."""
        return {one: self._remembered[one] for one in ids if one in self._remembered}

    def close_digests(self) -> int:
        """Those whose time has come are owed."""
        with self._lock:
            now = self.now()
            gathering = [one for one in self._outbox.values() if one.state is NoticeState.GATHERING]
            due = [one for one in gathering if one.not_before is not None and one.not_before <= now]
            self._outbox.update({one.id: replace(one, state=NoticeState.OWED) for one in due})
            return len(due)

    def sweep_standing(self, experiment: str) -> SweepStanding:
        """Whether every run has ended."""
        with self._lock:
            runs = [run for run in self._runs.values() if run.experiment == experiment]
            if not runs or any(run.state not in ENDED for run in runs):
                return SweepStanding(is_over=False)
            return SweepStanding(is_over=True, mark=f"{len(runs)}-{sum(run.attempt for run in runs)}")

    def _gather(self, gathering: Gathering) -> None:
        key = gathering.digest.digest
        is_open = (one for one in self._outbox.values() if one.digest == key and one.state is NoticeState.GATHERING)
        new = replace(gathering.digest, parts=(), more=0, state=NoticeState.GATHERING, created_at=self.now())
        digest = next(is_open, new)
        self._outbox[digest.id] = gathered(digest, gathering.parts)
