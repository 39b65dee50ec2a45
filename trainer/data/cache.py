"""Prepared arrays kept on disk under a key, and shared by all runs of the machine.

An entry is a folder of .npy files and one of facts. It is written beside its place and renamed into it, never changed
afterwards, and checked against its digest whenever it is opened; so a power cut or a bad disk costs time, not
correctness. Where nothing can be written there is no cache. Never a pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Named
from trainer.data.damage import DAMAGE
from trainer.data.locks import free_of, locked

_FACTS = "facts.json"
_ENTRY = re.compile(r"[0-9a-f]{64}")
_NEW, _OLD = ".labq-new-", ".labq-old-"

Facts = dict[str, Any]  # what JSON can hold
Make = Callable[[], tuple[Named, Facts]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays, facts about them, and a digest of both that does not depend on whether they came from the cache."""

    arrays: Named
    facts: Facts
    digest: bytes


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries that together have at most limit_bytes; those not used for longest go first."""

    folder: Path
    limit_bytes: int

    def get(self, key: str, make: Make) -> Prepared:
        """The entry of the key, made when it is missing. Of processes that ask at once, one makes it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return _prepared(*make())
        if (found := self._open(key)) is not None:
            return found
        with locked(self.folder, key):
            return self._open(key) or self._put(key, _prepared(*make()))

    def _open(self, key: str) -> Prepared | None:
        """The entry, mapped into memory; None when it is missing or damaged."""
        entry = self.folder / key
        try:
            held = json.loads((entry / _FACTS).read_text(encoding="utf-8"))
            arrays = {name: _mapped(entry / f"{name}.npy") for name in held["arrays"]}
            found = _prepared(arrays, held["facts"])
            if found.digest.hex() != held["digest"]:
                return None
        except DAMAGE:
            return None
        _note_use(entry)
        return found

    def _put(self, key: str, made: Prepared) -> Prepared:
        """The same, but mapped from a new entry; `made` itself when that cannot be written."""
        self._sweep(key)
        size_bytes = sum(array.nbytes for array in made.arrays.values())
        if size_bytes > self.limit_bytes:
            return made
        new = self.folder / f"{_NEW}{key}-{uuid.uuid4().hex}"
        try:
            self._make_room(size_bytes)
            _write(new, made)
            self._discard(self.folder / key)  # there is one only when it is damaged
            new.rename(self.folder / key)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            return made
        return self._open(key) or made

    def _sweep(self, key: str) -> None:
        """Remove what killed processes left: a half-written entry is nobody's when its lock is free."""
        for left in self.folder.glob(f"{_NEW}*"):
            owner = left.name.removeprefix(_NEW).partition("-")[0]
            if owner == key or free_of(self.folder, owner):
                shutil.rmtree(left, ignore_errors=True)
        for left in self.folder.glob(f"{_OLD}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _make_room(self, size_bytes: int) -> None:
        """Processes that still have a discarded entry mapped keep its content."""
        entries = sorted(_use_of(entry) for entry in self.folder.iterdir() if _ENTRY.fullmatch(entry.name))
        held_bytes = sum(entry.size_bytes for entry in entries)
        for entry in entries:
            if held_bytes + size_bytes <= self.limit_bytes:
                return
            self._discard(entry.folder)
            held_bytes -= entry.size_bytes

    def _discard(self, entry: Path) -> None:
        """Gone in one step, so that nobody opens half of it."""
        old = self.folder / f"{_OLD}{uuid.uuid4().hex}"
        try:
            entry.rename(old)
        except FileNotFoundError:
            return
        shutil.rmtree(old, ignore_errors=True)


def usual_cache() -> Cache | None:
    """That of this user: RNN_DATA_CACHE (`off`: none), else in LABQ_HOME, else in the user's cache folder.

    RNN_DATA_CACHE_GB is its upper size, 4 when it is not a number.
    """
    folder = _usual_folder()
    return None if folder is None else Cache(folder, _limit_bytes(os.environ.get("RNN_DATA_CACHE_GB", "")))


def _usual_folder() -> Path | None:
    if named := os.environ.get("RNN_DATA_CACHE"):
        return None if named == "off" else Path(named)
    if home := os.environ.get("LABQ_HOME"):
        return Path(home, "cache", "data")
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "labq", "data")
    except RuntimeError:  # a user without a home
        return None


def prepared(key: str, make: Make, cache: Cache | None) -> Prepared:
    """From the cache, when there is one."""
    return _prepared(*make()) if cache is None else cache.get(key, make)


def _limit_bytes(gigabytes: str) -> int:
    try:
        return max(0, int(float(gigabytes) * 1e9))
    except (ValueError, OverflowError):
        return 4 * 10**9


def _prepared(arrays: Named, facts: Facts) -> Prepared:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return Prepared(arrays, facts, digest.digest())


def _mapped(file: Path) -> NDArray[Any]:
    """Shared with every process that maps it. The mapping is private: a stray write never reaches the file.

    Not read-only: Numba would compile every kernel once more for arrays that are.
    """
    return np.asarray(np.load(file, mmap_mode="c", allow_pickle=False))


def _write(folder: Path, made: Prepared) -> None:
    folder.mkdir()
    for name, array in made.arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    held = {"arrays": sorted(made.arrays), "facts": made.facts, "digest": made.digest.hex()}
    (folder / _FACTS).write_text(json.dumps(held), encoding="utf-8")


def _note_use(entry: Path) -> None:
    try:
        os.utime(entry / _FACTS)
    except OSError:
        pass  # a cache of somebody else, or one that was just discarded: still good to read


class _Use(NamedTuple):
    last_used: float
    size_bytes: int
    folder: Path


def _use_of(entry: Path) -> _Use:
    """Of an entry; one that is being discarded meanwhile counts as empty, one without facts as never used."""
    files = {file.name: file.stat() for file in _listed(entry)}
    last_used = files[_FACTS].st_mtime if _FACTS in files else 0.0
    return _Use(last_used, sum(file.st_size for file in files.values()), entry)


def _listed(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.exists()]
    except OSError:
        return []
