"""Slots on GPUs, shared by all workers of a machine: files locked by whoever holds them.

The kernel gives a lock back when its holder dies, however that happens. Decisions are made one at a time, under a lock
of their own, so that two workers never count on the same memory.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from worker.gpu_choice import Seat, is_full_of_nobody
from worker.gpus import Gpu

_DECISION = "decision.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """GPUs that this process holds a slot of each on, until it ends or releases them."""

    gpus: tuple[Gpu, ...] = ()
    descriptors: tuple[int, ...] = ()

    def release(self) -> None:
        """Others may have them."""
        for descriptor in self.descriptors:
            os.ftruncate(descriptor, 0)  # what is written there is of somebody who holds it, or died holding it
            os.close(descriptor)


NOTHING = Held()


class Slots:
    """The slots of one machine, `per_gpu` on each GPU as far as this worker is concerned."""

    def __init__(self, folder: Path, per_gpu: int, is_ours: Callable[[int], bool]) -> None:
        self._folder, self._per_gpu, self._is_ours = folder, per_gpu, is_ours

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Nobody else on this machine looks or takes meanwhile. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open(self._folder / _DECISION)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def seats(self, gpus: Sequence[Gpu]) -> list[Seat]:
        """How taken each GPU is. While deciding."""
        return [self._seat(gpu) for gpu in gpus]

    def take(self, seats: Sequence[Seat], run_id: str, reserve_bytes: int | None) -> Held:
        """A slot on each. While deciding. Raises OSError."""
        descriptors = [self._take(seat.gpu, run_id, reserve_bytes) for seat in seats]
        return Held(gpus=tuple(seat.gpu for seat in seats), descriptors=tuple(descriptors))

    def _seat(self, gpu: Gpu) -> Seat:
        reserved = tuple(self._reserved(path) for path in self._files(gpu) if _is_held(path))
        strangers = any(not self._is_ours(process.pid) for process in gpu.processes)
        return Seat(
            gpu=gpu,
            reserved=reserved,
            has_slot=len(reserved) < self._per_gpu,
            has_stranger=strangers or (not reserved and is_full_of_nobody(gpu)),
        )

    def _files(self, gpu: Gpu) -> list[Path]:
        return sorted(self._folder.glob(f"{_file_name(gpu)}.*.slot"))

    def _reserved(self, path: Path) -> int | None:
        try:
            found = json.loads(path.read_text())["reserve_bytes"]
        except (OSError, ValueError, KeyError):
            return None
        return found if isinstance(found, int) else None

    def _take(self, gpu: Gpu, run_id: str, reserve_bytes: int | None) -> int:
        """The first free file; those of workers with more slots per GPU count as any other."""
        number = 0
        while True:
            descriptor = _open(self._folder / f"{_file_name(gpu)}.{number}.slot")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                number += 1
                continue
            text = json.dumps({"run": run_id, "pid": os.getpid(), "reserve_bytes": reserve_bytes})
            os.ftruncate(descriptor, 0)
            os.write(descriptor, text.encode())
            return descriptor


def left_slots(folder: Path) -> list[tuple[Path, str]]:
    """Files of slots whose holder died, and what it had written there. Raises OSError."""
    if not folder.is_dir():
        return []
    with Slots(folder, 1, lambda _: True).deciding():
        found = [(path, path.read_text(errors="replace")) for path in sorted(folder.glob("*.slot"))]
        return [(path, text) for path, text in found if text and not _is_held(path)]


def forget_slot(path: Path) -> bool:
    """Remove the file, if nobody holds it. Nobody takes it meanwhile. Raises OSError."""
    with Slots(path.parent, 1, lambda _: True).deciding():
        if not path.exists() or _is_held(path):
            return False
        path.unlink()
        return True


def works_for(runs_dir: Path) -> Callable[[int], bool]:
    """Whether a process belongs to a run in that folder. Those of other users do not tell, and so do not."""

    def is_ours(pid: int) -> bool:
        try:
            folder = psutil.Process(pid).environ().get("LABQ_DIR", "")
        except psutil.Error:
            return False
        return bool(folder) and Path(folder).is_relative_to(runs_dir)

    return is_ours


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_held(path: Path) -> bool:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _file_name(gpu: Gpu) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", gpu.uuid)
