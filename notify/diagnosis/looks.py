"""The samples of an attempt as arrays."""

from dataclasses import dataclass

import numpy as np

from notify.diagnosis.chart import Chart
from notify.diagnosis.robust import Array


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What was seen of the process tree: arrays (n), oldest first; `times` in Unix seconds, rising."""

    times: Array
    cpu_s: Array
    memory_bytes: Array
    io_bytes: Array
    disk_free_bytes: Array

    def __len__(self) -> int:
        return len(self.times)

    def since(self, time: float) -> "Looks":
        """The later ones."""
        kept = self.times >= time
        return Looks(
            times=self.times[kept],
            cpu_s=self.cpu_s[kept],
            memory_bytes=self.memory_bytes[kept],
            io_bytes=self.io_bytes[kept],
            disk_free_bytes=self.disk_free_bytes[kept],
        )


def looks_of(chart: Chart) -> Looks:
    """Those whose time is known."""
    known = [(one.at.timestamp(), one) for one in chart.samples if one.at is not None]
    known.sort(key=lambda item: item[0])
    rows = [(at, s.cpu_s, s.memory_bytes, s.read_bytes + s.written_bytes, s.disk_free_bytes) for at, s in known]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    fresh = np.diff(table[:, 0], prepend=-np.inf) > 0
    times, cpu, memory, io, free = table[fresh].T
    return Looks(times=times, cpu_s=cpu, memory_bytes=memory, io_bytes=io, disk_free_bytes=free)
