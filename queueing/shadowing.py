"""Our packages have plain names, and a folder on PYTHONPATH may hold a `store.py` of its own: ours come from here."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

OWN = frozenset({"labq", "notify", "queueing", "store", "trainer", "worker"})
_ROOT = str(Path(__file__).resolve().parent.parent)


class _OwnPackages:
    """Finds our top-level packages beside this one, wherever else the name exists."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """importlib's protocol."""
        return PathFinder.find_spec(name, [_ROOT], target) if path is None and name in OWN else None


def prefer_own_packages() -> None:
    """From now on; doing it twice changes nothing."""
    if _OwnPackages not in sys.meta_path:
        sys.meta_path.insert(0, _OwnPackages)
