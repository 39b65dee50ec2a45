"""Slots on GPUs between real processes: one holder each, free again the moment it dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.gpu_choice import choose
from worker.gpu_slots import Slots, works_for
from worker.gpus import Gpu, GpuProcess

GB = 10**9
GPUS = [Gpu(index=i, uuid=f"GPU-{i}", cuda_name=str(i), total_bytes=80 * GB) for i in range(2)]
TAKER = """
import sys, time
from pathlib import Path
from worker.gpu_choice import choose
from worker.gpu_slots import Slots
from worker.gpus import Gpu

folder, per_gpu, need = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) or None
gpus = [Gpu(index=i, uuid=f"GPU-{i}", cuda_name=str(i), total_bytes=80 * 10**9) for i in range(2)]
slots = Slots(folder, per_gpu, lambda pid: True)
with slots.deciding():
    chosen = choose(slots.seats(gpus), 1, need)
    held = slots.take(chosen.seats, "run", need)
print([gpu.index for gpu in held.gpus], flush=True)
time.sleep(600)
"""


class Takers:
    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, list[subprocess.Popen[str]]()

    def start(self, per_gpu: int, need: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TAKER, str(self.folder), str(per_gpu), str(need)]
        taker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(taker)
        return taker


def got(taker: subprocess.Popen[str]) -> str:
    assert taker.stdout is not None
    return taker.stdout.readline().strip()


@pytest.fixture
def takers(tmp_path: Path) -> Iterator[Takers]:
    made = Takers(tmp_path / "slots")
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def test_many_at_once_never_share_a_slot(takers: Takers) -> None:
    several = [takers.start(per_gpu=1) for _ in range(5)]
    assert sorted(got(taker) for taker in several) == ["[0]", "[1]", "[]", "[]", "[]"]


def test_a_killed_holder_gives_its_slot_back_at_once(takers: Takers) -> None:
    first, second = takers.start(per_gpu=1), takers.start(per_gpu=1)
    holders = {got(first), got(second)}
    assert holders == {"[0]", "[1]"}
    first.kill()
    first.wait()
    assert got(takers.start(per_gpu=1)) in holders
    assert got(takers.start(per_gpu=1)) == "[]"


def test_measured_runs_share_and_unmeasured_ones_do_not(takers: Takers) -> None:
    need = 30 * GB
    assert sorted(got(takers.start(per_gpu=3, need=need)) for _ in range(5)) == ["[0]", "[0]", "[1]", "[1]", "[]"]
    assert got(takers.start(per_gpu=3)) == "[]"
    assert got(takers.start(per_gpu=3, need=20 * GB)) == "[0]"


def test_slots_of_workers_with_other_numbers_count_too(takers: Takers) -> None:
    for _ in range(4):
        got(takers.start(per_gpu=4, need=GB))
    assert got(takers.start(per_gpu=2, need=GB)) == "[]"
    assert got(takers.start(per_gpu=4, need=GB)) != "[]"


def test_a_released_slot_is_free(tmp_path: Path) -> None:
    slots = Slots(tmp_path, 1, lambda pid: True)
    with slots.deciding():
        held = slots.take(choose(slots.seats(GPUS), 2, None).seats, "run", None)
        assert [seat.has_slot for seat in slots.seats(GPUS)] == [False, False]
        held.release()
        assert [(seat.has_slot, seat.reserved) for seat in slots.seats(GPUS)] == [(True, ()), (True, ())]


def test_a_stranger_is_known_by_what_it_does_not_work_for(tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    ours = subprocess.Popen(["sleep", "60"], env={**os.environ, "LABQ_DIR": str(runs_dir / "abc-1")})
    theirs = subprocess.Popen(["sleep", "60"], env={**os.environ, "LABQ_DIR": str(tmp_path / "elsewhere" / "abc-1")})
    try:
        slots = Slots(tmp_path / "slots", 1, works_for(runs_dir))

        def stranger(*processes: GpuProcess, used_bytes: int = 0) -> bool:
            gpu = Gpu(index=0, uuid="u", cuda_name="0", total_bytes=80 * GB, used_bytes=used_bytes, processes=processes)
            with slots.deciding():
                return slots.seats([gpu])[0].has_stranger

        assert not stranger(GpuProcess(pid=ours.pid))
        assert stranger(GpuProcess(pid=ours.pid), GpuProcess(pid=theirs.pid))
        assert stranger(GpuProcess(pid=2**22 + 1)), "one that we cannot see: outside of our container"
        assert not stranger(used_bytes=GB // 2), "what the driver itself holds"
        assert stranger(used_bytes=20 * GB), "memory of a process that the driver does not name"
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()
