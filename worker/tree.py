"""What a process tree uses: looked at, never touched. Written for a look every second beside a training run.

psutil finds children by reading every process of the machine; Linux keeps a list of them per thread.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeUse:
    """Sums over the living processes of a tree; CPU time and bytes include what their dead children used."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    pids: frozenset[int] = frozenset()


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on, in no particular order."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def tree_use(pid: int) -> TreeUse:
    """What the descendants of a process use, the process itself left out."""
    cpu_s, memory, read, written, pids = 0.0, 0, 0, 0, []
    for process in _processes(pid):
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_info().rss
            pids.append(process.pid)
            counters = process.io_counters() if hasattr(process, "io_counters") else None
            read, written = (
                (read + counters.read_bytes, written + counters.write_bytes) if counters else (read, written)
            )
    return TreeUse(cpu_s=cpu_s, memory_bytes=memory, read_bytes=read, written_bytes=written, pids=frozenset(pids))


def resident_bytes(pid: int) -> int:
    """The resident memory of the descendants. Pages that several of them share count several times."""
    total = 0
    for process in _processes(pid):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def proportional_bytes(pid: int) -> int:
    """The same with shared pages divided among those that share them: exact, and dear for large processes."""
    total = 0
    for process in _processes(pid):
        with suppress(psutil.Error):
            total += _proportional(process)
    return total


def _proportional(process: psutil.Process) -> int:
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return process.memory_info().rss


def _processes(pid: int) -> Iterator[psutil.Process]:
    for child in descendants(pid):
        with suppress(psutil.Error):
            yield psutil.Process(child)


def _children(pid: int) -> list[int]:
    """A process or thread that is gone has none. Kernels without the list, and other systems, are asked via psutil."""
    if not _HAS_LISTS:
        return _children_by_search(pid)
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def _children_by_search(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


_HAS_LISTS = Path("/proc/thread-self/children").exists()
