"""What the run uses of this machine, every few seconds: to MongoDB, in a thread of its own.

Samples are looks, not history: while MongoDB is away they are lost, and nothing waits for them.
"""

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from store.errors import LabqError, Superseded
from store.logbook import warn
from store.runs import Run
from store.samples import GpuSample, Peaks, Sample, highest, peaks_of
from store.settings import Settings
from store.store import Store
from worker.gpus import Gpu, read_gpus
from worker.machine import free_disk_bytes
from worker.threads import start
from worker.tree import TreeUse, tree_use

_FIRST_S = 1.0


class Sampler:
    """Looks at the descendants of this process, or of `root`. `peaks` is the most it has seen."""

    def __init__(
        self, store: Store, settings: Settings, run: Run, folder: Path, gpus: Sequence[Gpu], root: int | None = None
    ) -> None:
        self._root = root or os.getpid()
        self._store, self._settings, self._run, self._folder = store, settings, run, folder
        self._gpus = tuple(gpu for gpu in gpus if gpu.total_bytes is not None)
        self.peaks = Peaks()
        self._last = TreeUse()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)

    def start(self) -> None:
        """The first look comes soon: most runs that fail do so in their first minute."""
        start(self._thread)

    def stop(self) -> None:
        """No further looks."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        """Whatever goes wrong here must not cost the run."""
        pause_s = min(_FIRST_S, self._settings.sample_s)
        while not self._stop.wait(pause_s):
            pause_s = self._settings.sample_s
            try:
                self.look()
            except Superseded:
                return  # the keeper hears of it too
            except (LabqError, OSError) as error:
                warn("sample-lost", run=self._run.id, attempt=self._run.attempt, error=error)

    def look(self) -> None:
        """Once. Raises LabqError, OSError."""
        use = self._monotonic(tree_use(self._root))
        sample = Sample(
            run=self._run.id,
            attempt=self._run.attempt,
            host=socket.gethostname(),
            cpu_s=round(use.cpu_s, 2),
            memory_bytes=use.memory_bytes,
            read_bytes=use.read_bytes,
            written_bytes=use.written_bytes,
            disk_free_bytes=free_disk_bytes(self._folder),
            gpus=gpu_samples(self._table(), use.pids),
        )
        self.peaks = highest([self.peaks, peaks_of(sample)])
        self._store.add_sample(sample, self.peaks, self._settings.samples_keep_s)

    def _table(self) -> tuple[Gpu, ...]:
        return read_gpus({gpu.index for gpu in self._gpus}) if self._gpus else ()

    def _monotonic(self, use: TreeUse) -> TreeUse:
        """What a dead process used, and its parent has not asked for yet, is missing for a moment: never count down."""
        last = self._last
        self._last = TreeUse(
            cpu_s=max(last.cpu_s, use.cpu_s),
            memory_bytes=use.memory_bytes,
            read_bytes=max(last.read_bytes, use.read_bytes),
            written_bytes=max(last.written_bytes, use.written_bytes),
            pids=use.pids,
        )
        return self._last


def gpu_samples(table: Sequence[Gpu], pids: frozenset[int]) -> tuple[GpuSample, ...]:
    """What the run's processes hold of each of its GPUs.

    Inside a container the driver names processes by numbers that mean nothing to us: then all that is used counts as
    the run's, which is too much where runs share a GPU, and never too little.
    """
    return tuple(
        GpuSample(
            index=gpu.index, memory_bytes=_held(gpu, pids), busy=gpu.busy, power_w=gpu.power_w, celsius=gpu.celsius
        )
        for gpu in table
    )


def _held(gpu: Gpu, pids: frozenset[int]) -> int:
    mine = [one for one in gpu.processes if one.pid in pids]
    sizes = [one.memory_bytes for one in mine if one.memory_bytes is not None]
    strange = not mine and not any(Path(f"/proc/{one.pid}").exists() for one in gpu.processes)
    return gpu.used_bytes if strange or len(sizes) < len(mine) else sum(sizes)
