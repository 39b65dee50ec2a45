"""Runs and GPUs are taken together: whoever gets the run holds its GPUs."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store.memory import MemoryStore
from store.runs import Resources, Run, Task
from store.samples import Peaks, Sample
from store.settings import Settings
from store.workers import Worker
from worker.claiming import Claimed, claim
from worker.gpus import Gpu, GpuProcess

GB = 10**9
GPUS = tuple(Gpu(index=i, uuid=f"GPU-{i}", cuda_name=str(i), total_bytes=80 * GB) for i in range(2))
WORKER = Worker(name="w", host="h", pid=1, gpus=2, cpus=4, memory_bytes=8 * GB)


class Machine:
    """Claims as workers with two GPUs of three slots do."""

    def __init__(self, home: Path) -> None:
        self.store, self.settings, self.gpus = MemoryStore(), Settings(home=home), GPUS
        self._next = 0

    def add(self, **resources: int) -> None:
        self._next += 1
        run = Run(
            id=f"r{self._next}", key=f"k{self._next}", experiment="x", params={}, index=self._next,
            task=Task(command=("true",), workdir="/"), queued_at=datetime(2026, 1, 1, tzinfo=UTC),
            resources=Resources(**resources),
        )  # fmt: skip
        self.store.add_runs([run])

    def claim(self) -> Claimed | None:
        return claim(self.store, self.settings, WORKER, self.gpus, 3)

    def claim_gpus(self) -> list[int] | str | None:
        claimed = self.claim()
        if claimed is None:
            return None
        return claimed.objection.message if claimed.objection else [gpu.index for gpu in claimed.gpus.gpus]

    def measure(self, run: str, gpu_bytes: int) -> None:
        sample = Sample(
            run=run, attempt=1, host="h", cpu_s=0, memory_bytes=1, read_bytes=0, written_bytes=0, disk_free_bytes=0
        )
        self.store.add_sample(sample, Peaks(gpu_memory_bytes=gpu_bytes), 60)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_runs_are_measured_alone_and_later_ones_share(machine: Machine) -> None:
    for _ in range(4):
        machine.add(gpus=1)
    first = machine.claim()
    assert first is not None
    assert [gpu.index for gpu in first.gpus.gpus] == [0]
    machine.measure("r1", 20 * GB)
    assert machine.claim_gpus() == [1]
    assert machine.claim_gpus() == [1], "beside one of known need, not beside the one that is still measured"
    first.gpus.release()
    assert machine.claim_gpus() == [0]


def test_a_run_that_wants_more_than_is_free_is_not_even_claimed(machine: Machine) -> None:
    machine.add(gpus=1, gpu_memory_bytes=10 * GB)
    machine.add(gpus=2)
    machine.add()
    stranger = (GpuProcess(pid=2**22 + 1, memory_bytes=GB),)
    machine.gpus = (replace(GPUS[0], processes=stranger), GPUS[1])
    assert machine.claim_gpus() == [1]
    assert machine.claim_gpus() == [], "the run without GPUs; the one that wants two waits"
    assert machine.claim() is None


def test_a_run_for_which_no_gpu_has_the_memory_is_claimed_and_refused(machine: Machine) -> None:
    machine.add(gpus=1, gpu_memory_bytes=90 * GB)
    assert machine.claim_gpus() == "a GPU with 90.0 GB free is needed, none can be had"


def test_without_gpus_only_runs_without_are_claimed(machine: Machine) -> None:
    machine.gpus = ()
    machine.add()
    assert machine.claim_gpus() == []
    assert not machine.settings.slots_dir.exists()
