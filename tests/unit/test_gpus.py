"""Which GPUs a worker offers, and which of them a run gets."""

import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from queueing.cli.parser import build_parser
from store.errors import UserError
from worker.gpu_choice import Seat, choose, need_bytes
from worker.gpus import Gpu, GpuProcess, cuda_variables, offered, read_gpus
from worker.sampler import gpu_samples

GB = 10**9
FAKE = Path(__file__).parent.parent / "fakes" / "nvml" / "pynvml.py"
FOUR = tuple(
    Gpu(index=i, uuid=f"GPU-{letter}", cuda_name=str(i), total_bytes=80 * GB) for i, letter in enumerate("abcd")
)


def names(choice: str, table: tuple[Gpu, ...] = FOUR, environ: Mapping[str, str] = {}) -> list[str]:
    return [gpu.cuda_name for gpu in offered(choice, table, environ)]


# ── reading ──
@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file with the table."""
    spec = importlib.util.spec_from_file_location("pynvml", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "table.json"))
    return tmp_path / "table.json"


def test_no_library_and_no_driver_mean_no_gpus(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_gpus() == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_gpus() == ()


def test_the_table_is_read_as_far_as_a_device_tells(nvml: Path) -> None:
    nvml.write_text(
        json.dumps(
            [
                {"uuid": "GPU-a", "total": 80e9, "used": 5e9, "processes": [[7, 4e9], [8, None]], "busy": 40,
                 "milliwatts": 90500, "celsius": 50},
                {"uuid": "GPU-b"},
            ]
        )
    )  # fmt: skip
    first, second = read_gpus()
    assert first == Gpu(
        index=0, uuid="GPU-a", cuda_name="0", total_bytes=80 * GB, used_bytes=5 * GB,
        processes=(GpuProcess(pid=7, memory_bytes=4 * GB), GpuProcess(pid=8)), busy=0.4, power_w=90.5, celsius=50,
    )  # fmt: skip
    assert second == Gpu(index=1, uuid="GPU-b", cuda_name="1")
    assert read_gpus({1}) == (second,)
    assert read_gpus({5}) == ()


# ── offering ──
@pytest.mark.parametrize(
    ("choice", "cuda", "expected"),
    [
        ("auto", None, ["0", "1", "2", "3"]),
        ("all", None, ["0", "1", "2", "3"]),
        ("2", None, ["0", "1"]),
        ("0", None, []),
        ("3,", None, ["3"]),
        ("1,3", None, ["1", "3"]),
        ("GPU-b", None, ["GPU-b"]),
        ("auto", "2,0", ["2", "0"]),
        ("auto", "GPU-c,GPU-a", ["GPU-c", "GPU-a"]),
        ("1", "2,0", ["2"]),
        ("2,", "2,0", ["2"]),
        ("auto", "", []),
        ("auto", "1,-1,2", ["1"]),
        ("auto", "MIG-1,MIG-2", ["MIG-1", "MIG-2"]),
    ],
)
def test_a_worker_offers_what_it_is_told_of_what_it_may_see(choice: str, cuda: str | None, expected: list[str]) -> None:
    environ = {} if cuda is None else {"CUDA_VISIBLE_DEVICES": cuda}
    assert names(choice, environ=environ) == [name if choice != "GPU-b" else "1" for name in expected]


@pytest.mark.parametrize(
    ("choice", "cuda", "says"),
    [
        ("5", None, "there are 4"),
        ("4,", None, "no GPU '4'"),
        ("0,7", None, "no GPU '7'"),
        ("1,", "0,2", "there are: 0, 2"),
        ("2", "3", "there are 1"),
        ("GPU-x", None, "no GPU 'GPU-x'"),
    ],
)
def test_a_gpu_that_is_not_there_is_a_mistake(choice: str, cuda: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        names(choice, environ={} if cuda is None else {"CUDA_VISIBLE_DEVICES": cuda})


def test_without_nvml_the_user_is_believed_and_auto_means_none() -> None:
    assert names("auto", ()) == []
    assert names("2", ()) == ["0", "1"]
    assert names("4,6", ()) == ["4", "6"]
    with pytest.raises(UserError, match="labq\\[gpu\\]"):
        names("all", ())


@pytest.mark.parametrize("text", ["2", "0,1", "1,", "all", "auto", "GPU-3f-9", "GPU-a,GPU-b"])
def test_the_command_line_takes_numbers_and_lists(text: str) -> None:
    assert build_parser().parse_args(["worker", "--gpus", text]).gpus == text


@pytest.mark.parametrize("text", ["some", "-1", "1;2", ",1", "1,,2", ""])
def test_the_command_line_takes_nothing_else(text: str) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["worker", f"--gpus={text}"])


def test_cuda_counts_as_nvidia_smi_does_unless_somebody_chose_before_us() -> None:
    assert cuda_variables(FOUR[1:3], {}) == {"CUDA_VISIBLE_DEVICES": "1,2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert cuda_variables(FOUR[:1], {"CUDA_VISIBLE_DEVICES": "0"}) == {"CUDA_VISIBLE_DEVICES": "0"}
    assert cuda_variables((), {}) == {}


# ── choosing ──
def seat(index: int, *reserved_gb: int | None, used_gb: float = 0, slot: bool = True, stranger: bool = False) -> Seat:
    reserved = tuple(None if gb is None else gb * GB for gb in reserved_gb)
    gpu = replace(FOUR[index], used_bytes=int(used_gb * GB))
    return Seat(gpu=gpu, reserved=reserved, has_slot=slot, has_stranger=stranger)


@pytest.mark.parametrize(
    ("seats", "count", "need_gb", "chosen"),
    [
        ([seat(0), seat(1)], 1, None, [0]),
        ([seat(0, 10), seat(1)], 1, 10, [1]),
        ([seat(0, 10), seat(1, 10, 10)], 1, 10, [0]),
        ([seat(0, 50), seat(1, 20)], 1, 10, [1]),
        ([seat(0, 20)], 1, 60, [0]),
        ([seat(0, 21)], 1, 60, None),
        ([seat(0, 20, used_gb=30)], 1, 60, None),
        ([seat(0, 20)], 1, None, None),
        ([seat(0, None)], 1, 1, None),
        ([seat(0, 10, slot=False)], 1, 10, None),
        ([seat(0, stranger=True)], 1, None, None),
        ([seat(0, stranger=True)], 1, 1, None),
        ([seat(0), seat(1, 10), seat(2)], 2, 10, [0, 2]),
        ([seat(0), seat(1, 10), seat(2)], 3, 10, [0, 2, 1]),
        ([seat(0), seat(1, 10), seat(2)], 3, None, None),
        ([seat(0)], 1, 90, None),
    ],
)
def test_runs_share_a_gpu_when_all_of_them_fit(
    seats: list[Seat], count: int, need_gb: int | None, chosen: list[int] | None
) -> None:
    found = choose(seats, count, None if need_gb is None else need_gb * GB)
    assert [one.gpu.index for one in found.seats] == (chosen or [])
    assert bool(found.problem) == (chosen is None)


def test_why_no_gpu_can_be_had_is_said() -> None:
    assert choose([seat(0, stranger=True), seat(1, 75)], 1, 10 * GB).problem == (
        "a GPU with 10.0 GB free is needed, none can be had; others compute on 1 of 2"
    )
    assert choose([seat(0), seat(1, 1)], 2, None).problem == "2 times a GPU of its own is needed, 1 can be had"


def test_gpus_without_known_memory_are_shared_by_number_alone() -> None:
    blind = Gpu(index=0, uuid="gpu-0", cuda_name="0")
    assert choose([Seat(gpu=blind, reserved=(None,))], 1, None).seats
    assert not choose([Seat(gpu=blind, reserved=(None,), has_slot=False)], 1, None).seats


def test_the_need_is_declared_or_measured_with_a_margin_or_unknown() -> None:
    assert (need_bytes(5, 100), need_bytes(None, 100), need_bytes(None, 0)) == (5, 110, None)


# ── measuring ──
def test_what_a_run_holds_of_a_gpu_is_what_its_processes_hold() -> None:
    me, parent = 2**22 + 5, 1  # process 1 is always here
    mine = replace(FOUR[0], used_bytes=9, processes=(GpuProcess(pid=me, memory_bytes=4), GpuProcess(pid=parent)))
    assert gpu_samples([mine], frozenset({me}))[0].memory_bytes == 4
    assert gpu_samples([mine], frozenset({7}))[0].memory_bytes == 0
    unknown = replace(mine, processes=(GpuProcess(pid=me),))
    assert gpu_samples([unknown], frozenset({me}))[0].memory_bytes == 9
    in_a_container = replace(mine, processes=(GpuProcess(pid=2**22 + 9, memory_bytes=4),))
    assert gpu_samples([in_a_container], frozenset({7}))[0].memory_bytes == 9
