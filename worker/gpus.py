"""The GPUs of this machine as NVIDIA's driver describes them, and which of them a worker offers.

Read through NVML (the optional package nvidia-ml-py). No library, no driver, no GPU: an empty table; all else works.
Memory of a GPU that is used without NVML is unknown (`total_bytes` is None): it is counted, not measured.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from store.errors import UserError

AUTO, ALL = "auto", "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that computes on a GPU. None: the driver does not say how much memory it holds."""

    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU now. `index` is that of nvidia-smi; `cuda_name` is what CUDA_VISIBLE_DEVICES calls it."""

    index: int
    uuid: str
    cuda_name: str
    total_bytes: int | None = None
    used_bytes: int = 0
    processes: tuple[GpuProcess, ...] = ()
    busy: float | None = None
    power_w: float | None = None
    celsius: float | None = None


def preload() -> None:
    """Import the library, without loading the driver: each look of a worker is a fork, and would do it again."""
    with suppress(ImportError):
        import_module("pynvml")


def read_gpus(only: Collection[int] | None = None) -> tuple[Gpu, ...]:
    """The GPUs of the machine, or some of them; none where NVML is not there or does not answer."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        indices = range(nvml.nvmlDeviceGetCount()) if only is None else sorted(only)
        return tuple(_gpu(nvml, index) for index in indices)
    except nvml.NVMLError:
        return ()
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def offered(choice: str, table: Sequence[Gpu], environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Those GPUs that `--gpus` means, out of those that CUDA_VISIBLE_DEVICES leaves us. Raises UserError.

    A number is so many of them, a list names them as nvidia-smi does, by index or UUID.
    """
    visible = _visible(table, environ)
    if choice == AUTO:
        return visible
    if choice == ALL:
        if not visible:
            raise UserError("--gpus all: there is no GPU here, or nvidia-ml-py is missing: pip install 'labq[gpu]'")
        return visible
    if "," not in choice and choice.isdecimal():
        return _first(int(choice), table, visible)
    return tuple(_named(entry.strip(), table, visible) for entry in choice.split(",") if entry.strip())


def cuda_variables(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> dict[str, str]:
    """What makes CUDA see these GPUs only. Indices are nvidia-smi's, so CUDA must count them in the same order."""
    if not gpus:
        return {}
    order = {} if "CUDA_VISIBLE_DEVICES" in environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpu.cuda_name for gpu in gpus), **order}


# ── choosing ──
def _visible(table: Sequence[Gpu], environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Those of CUDA_VISIBLE_DEVICES, under the names they have there. Like CUDA, stop at the first that is missing."""
    inherited = environ.get("CUDA_VISIBLE_DEVICES")
    if inherited is None:
        return tuple(table)
    visible: list[Gpu] = []
    for name in inherited.split(","):
        gpu = _called(name.strip(), table)
        if gpu is None:
            break
        visible.append(gpu)
    return tuple(visible)


def _called(name: str, table: Sequence[Gpu]) -> Gpu | None:
    if name.startswith("MIG-"):  # a slice of a GPU: counted, not measured
        return Gpu(index=-1, uuid=name, cuda_name=name)
    for gpu in table:
        if name == str(gpu.index) or (name.startswith("GPU-") and gpu.uuid.startswith(name)):
            return replace(gpu, cuda_name=name)
    return None


def _first(count: int, table: Sequence[Gpu], visible: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """So many. Where nothing is known about GPUs, the user does: they are counted from 0."""
    if not table and len(visible) < count:
        return tuple(Gpu(index=i, uuid=f"gpu-{i}", cuda_name=str(i)) for i in range(count))
    if count > len(visible):
        raise UserError(f"--gpus {count}: there are {len(visible)} here; see: nvidia-smi, CUDA_VISIBLE_DEVICES")
    return visible[:count]


def _named(entry: str, table: Sequence[Gpu], visible: tuple[Gpu, ...]) -> Gpu:
    if not table and entry.isdecimal():
        return Gpu(index=int(entry), uuid=f"gpu-{entry}", cuda_name=entry)
    wanted = _called(entry, table)
    found = next((gpu for gpu in visible if wanted is not None and gpu.uuid == wanted.uuid), None)
    if found is None:
        there = ", ".join(str(gpu.index) for gpu in visible) or "none"
        raise UserError(f"--gpus: there is no GPU {entry!r} here; there are: {there}")
    return found


# ── NVML ──
def _gpu(nvml: Any, index: int) -> Gpu:
    """One device. What it cannot tell (an old driver, a small card) is None; without memory it is only counted."""
    device = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, device)
    rates = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, device)
    milliwatts = _ask(nvml, nvml.nvmlDeviceGetPowerUsage, device)
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(device)),
        cuda_name=str(index),
        total_bytes=None if memory is None else int(memory.total),
        used_bytes=0 if memory is None else int(memory.used),
        processes=_processes(nvml, device),
        busy=None if rates is None else rates.gpu / 100,
        power_w=None if milliwatts is None else milliwatts / 1000,
        celsius=_ask(nvml, nvml.nvmlDeviceGetTemperature, device, nvml.NVML_TEMPERATURE_GPU),
    )


def _processes(nvml: Any, device: Any) -> tuple[GpuProcess, ...]:
    """The newest of the driver's calls may be unknown to an older driver."""
    for suffix in ("", "_v2"):
        call = getattr(nvml, f"nvmlDeviceGetComputeRunningProcesses{suffix}", None)
        found = None if call is None else _ask(nvml, call, device)
        if found is not None:
            return tuple(GpuProcess(pid=one.pid, memory_bytes=one.usedGpuMemory) for one in found)
    return ()


def _ask(nvml: Any, call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
