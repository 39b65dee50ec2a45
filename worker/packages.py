"""Which packages the interpreter of a run has: asked beside the training, once for all runs of a process."""

from pathlib import Path
from typing import Any

from store.store import Store
from worker.facts import interpreter_identity, python_facts, python_of
from worker.launch import Launch

_PATIENCE_S = 5.0


class Packages:
    """What has been asked already is a fact of the next attempt from its beginning."""

    def __init__(self, store: Store, cache_dir: Path) -> None:
        self._store, self._cache_dir = store, cache_dir
        self._known: dict[str, dict[str, Any]] = {}
        self._unanswered: Launch | None = None

    def is_asked(self, launch: Launch) -> bool:
        """Whether asking would tell nothing new."""
        return python_of(launch) is None or interpreter_identity(launch) in self._known

    def known(self, launch: Launch) -> dict[str, Any]:
        """Version of Python and id of the list of packages, when they have been asked for; else nothing."""
        return self._known.get(interpreter_identity(launch), {})

    def ask(self, launch: Launch) -> dict[str, Any]:
        """The same, whatever that takes; nothing when it does not say. Raises StoreUnavailable."""
        facts = python_facts(launch, self._cache_dir)
        if facts is None:
            self._unanswered = launch  # perhaps the run was over before
            return {}
        return self._remember(launch, facts)

    def ask_again(self) -> None:
        """Between two runs, so that a sweep of short ones has its packages noted too. Raises StoreUnavailable."""
        if self._unanswered is not None:
            launch, self._unanswered = self._unanswered, None
            self._remember(launch, python_facts(launch, self._cache_dir, _PATIENCE_S))

    def _remember(self, launch: Launch, facts: dict[str, Any] | None) -> dict[str, Any]:
        noted: dict[str, Any] = {}
        if facts is not None:
            noted = {"python": facts["python"], "packages": self._store.add_blob("\n".join(facts["packages"]))}
        self._known[interpreter_identity(launch)] = noted
        return noted
