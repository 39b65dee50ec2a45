"""A lease that lasts as long as the work under it, however slow a server is, and not much longer than its holder."""

import threading
from collections.abc import Callable
from types import TracebackType

from store.errors import LabqError
from store.logbook import warn
from store.store import Store

LEASE_S = 60.0


class Holding:
    """Renews a notice's lease four times a lease, from a thread of its own, until the block is left.

    While MongoDB is away nobody can renew, and nobody else can claim either.
    """

    def __init__(
        self, store: Store, notice_id: str, owner: str, lease_s: float, be_seen: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._notice_id, self._owner, self._lease_s = store, notice_id, owner, lease_s
        self._be_seen = be_seen
        self._over = threading.Event()

    def __enter__(self) -> "Holding":
        threading.Thread(target=self._renew, name="holding", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()  # a renewal under way finds no lease any more

    def _renew(self) -> None:
        while not self._over.wait(self._lease_s / 4):
            try:
                self._store.renew_notice(self._notice_id, self._owner, self._lease_s)
                self._be_seen()
            except LabqError as error:
                warn("not-renewed", notice=self._notice_id, error=error)
