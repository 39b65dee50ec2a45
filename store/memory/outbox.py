"""Messages owed."""

from dataclasses import replace
from datetime import timedelta

from store.memory.shared import Held, Shared
from store.notices import Notice, NoticeState


class Outbox(Shared):
    """Notices, claimed under a lease."""

    def notices(self, run_id: str | None = None) -> list[Notice]:
        """Notices, oldest first."""
        return [one for one in self._outbox.values() if run_id is None or run_id in (one.run, *_runs_in(one))]

    def claim_notice(self, owner: str, lease_s: float) -> Notice | None:
        """Take the oldest notice that is due, under a lease."""
        with self._lock:
            now = self.now()
            for notice in self._outbox.values():
                due = notice.state is NoticeState.OWED and (notice.not_before is None or notice.not_before <= now)
                held = self._locks.get(f"notice-{notice.id}")
                if due and (held is None or held.until <= now):
                    self._locks[f"notice-{notice.id}"] = Held(owner, now + timedelta(seconds=lease_s), now, now)
                    self._outbox[notice.id] = replace(notice, tries=notice.tries + 1)
                    return self._outbox[notice.id]
            return None


def _runs_in(digest: Notice) -> tuple[str, ...]:
    return tuple(part.run for part in digest.parts)
