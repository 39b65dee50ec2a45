"""A connection that is opened when it is first needed, and closed when nobody holds it any more."""

import os
import weakref

from store.connect import connect
from store.settings import Settings
from store.store import Store


class Lab:
    """What all runs of one answer share. A process that was forked connects anew."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._process = 0

    @property
    def store(self) -> Store:
        """Raises StoreUnavailable."""
        if self._store is None or self._process != os.getpid():
            opened = connect(self._settings)
            self._store, self._process = opened, os.getpid()
            weakref.finalize(self, opened.close)
        return self._store
