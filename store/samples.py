"""What a run used of its machine, every few seconds, and the most it ever used."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One GPU of the run. `memory_bytes` is what the run holds of it; None where the driver does not say."""

    index: int
    memory_bytes: int | None = None
    busy: float | None = None
    """Share of the last second in which the GPU worked, 0 to 1, for whomever."""
    power_w: float | None = None
    celsius: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the process tree of an attempt. CPU time and bytes count from the start of the attempt."""

    run: str
    attempt: int
    host: str
    cpu_s: float
    memory_bytes: int
    read_bytes: int
    written_bytes: int
    disk_free_bytes: int
    gpus: tuple[GpuSample, ...] = ()
    at: datetime | None = None
    """The server's clock when it was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The most that was seen of an attempt, or of all runs of an experiment. 0: never seen.

    `gpu_memory_bytes` is that of the fullest single GPU.
    """

    memory_bytes: int = 0
    gpu_memory_bytes: int = 0
    checkpoint_bytes: int = 0


def peaks_of(sample: Sample) -> Peaks:
    """What one sample alone says."""
    held = [gpu.memory_bytes or 0 for gpu in sample.gpus]
    return Peaks(memory_bytes=sample.memory_bytes, gpu_memory_bytes=max(held, default=0))


def highest(peaks: Iterable[Peaks]) -> Peaks:
    """Field by field."""
    every = list(peaks)
    return Peaks(
        memory_bytes=max((one.memory_bytes for one in every), default=0),
        gpu_memory_bytes=max((one.gpu_memory_bytes for one in every), default=0),
        checkpoint_bytes=max((one.checkpoint_bytes for one in every), default=0),
    )
