"""`labq show RUN --resources`: what a run used of its machine, over time."""

from collections.abc import Sequence
from itertools import pairwise

from queueing.units import format_duration, format_size
from store.runs import Run
from store.samples import GpuSample, Sample

MOST_ROWS = 24


def print_resources(run: Run, samples: Sequence[Sample]) -> None:
    """The peaks of each attempt, then a table of at most MOST_ROWS looks at the newest one."""
    from rich.console import Console
    from rich.table import Table

    for attempt in run.history:
        if attempt.peaks.memory_bytes:
            gpu = attempt.peaks.gpu_memory_bytes
            on_gpu = f", {format_size(gpu)} on a GPU" if gpu else ""
            print(f"attempt {attempt.number}: peak {format_size(attempt.peaks.memory_bytes)}{on_gpu}")
    newest = [sample for sample in samples if sample.attempt == run.attempt]
    if not newest:
        print("no looks at its newest attempt are kept")
        return
    table = Table("after", "cores", "memory", "read/s", "written/s", "disk free", "GPUs", box=None, pad_edge=False)
    for row in rows(newest):
        table.add_row(*row)
    Console().print(table)


def rows(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """Each look but the first against the one shown before it: rates are means over what lies between."""
    shown = thinned(samples, MOST_ROWS + 1)
    first = shown[0]
    if len(shown) == 1:
        return [("0.0s", "", format_size(first.memory_bytes), "", "", format_size(first.disk_free_bytes), _gpus(first))]
    return [_row(first, before, after) for before, after in pairwise(shown)]


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Evenly spread, the first and the last among them."""
    if len(samples) <= most:
        return list(samples)
    return [samples[round(i * (len(samples) - 1) / (most - 1))] for i in range(most)]


def _row(first: Sample, before: Sample, after: Sample) -> tuple[str, ...]:
    between_s = max(_seconds(before, after), 0.001)
    return (
        format_duration(_seconds(first, after)),
        f"{max(0.0, after.cpu_s - before.cpu_s) / between_s:.1f}",
        format_size(after.memory_bytes),
        format_size(max(0, after.read_bytes - before.read_bytes) / between_s),
        format_size(max(0, after.written_bytes - before.written_bytes) / between_s),
        format_size(after.disk_free_bytes),
        _gpus(after),
    )


def _seconds(before: Sample, after: Sample) -> float:
    return (after.at - before.at).total_seconds() if before.at and after.at else 0.0


def _gpus(sample: Sample) -> str:
    return "; ".join(_gpu(gpu) for gpu in sample.gpus)


def _gpu(gpu: GpuSample) -> str:
    """`0: 5.2 GB 93% 240 W 61 °C`, without what the driver does not tell."""
    parts = [
        None if gpu.memory_bytes is None else format_size(gpu.memory_bytes),
        None if gpu.busy is None else f"{gpu.busy:.0%}",
        None if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        None if gpu.celsius is None else f"{gpu.celsius:.0f} °C",
    ]
    return f"{gpu.index}: " + " ".join(part for part in parts if part is not None)
