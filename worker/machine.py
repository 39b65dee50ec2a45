"""What this machine, or the container around us, has left."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from store.settings import Settings
from store.workers import Worker

_CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def total_memory_bytes() -> int:
    """Of the machine, or the limit of the container or batch job we are in."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _limits())])


def free_memory_bytes() -> int:
    """What a new process could use without swapping, or before the limit of our container."""
    return max(0, min([psutil.virtual_memory().available, *(limit - used for limit, used in _limits())]))


def free_disk_bytes(folder: Path) -> int:
    """On the disk of a folder that need not exist yet. Raises OSError."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def with_disk(worker: Worker, settings: Settings) -> Worker:
    """The worker with what is free where its run directories are, as far as it can be found out."""
    try:
        free_bytes = free_disk_bytes(settings.runs_dir)
    except OSError:
        return worker
    return replace(worker, disk_free_bytes=free_bytes, disk_floor_bytes=settings.disk_floor_mb * 10**6)


def own_cgroup(hierarchy: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> Path | None:
    """The folder of our cgroup of version 2, or None."""
    for line in _lines(membership):
        number, _, path = line.split(":", 2)
        folder = hierarchy / path.lstrip("/")
        if number == "0" and (folder / "cgroup.procs").exists():
            return folder
    return None


def _limits() -> Iterator[tuple[int, int]]:
    """Limit and use of every cgroup around us, versions 1 and 2, without the file cache that can be dropped."""
    for folder in _memory_cgroups():
        for limit, used in _LIMITS:
            with suppress(OSError, ValueError):
                yield int((folder / limit).read_text()), int((folder / used).read_text()) - _cache_bytes(folder)


def _memory_cgroups() -> Iterator[Path]:
    for line in _lines(Path("/proc/self/cgroup")):
        number, controllers, path = line.split(":", 2)
        if number == "0" or "memory" in controllers.split(","):
            root = _CGROUPS if number == "0" else _CGROUPS / "memory"
            folder = root / path.lstrip("/")
            yield folder
            yield from (parent for parent in folder.parents if parent.is_relative_to(root))


def _cache_bytes(folder: Path) -> int:
    """File pages that the kernel gives back when they are needed."""
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
