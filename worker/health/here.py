"""This machine, as a worker would find it."""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from queueing.units import format_size
from store.identity import user_name
from store.settings import Settings
from worker.cluster.far_start import SYSTEMD, kills_at_logout, lasting, user_systemd_answers
from worker.facts import labq_version
from worker.gpus import read_gpus
from worker.health.rows import Row, Verdict
from worker.health.servers import server_rows
from worker.machine import free_disk_bytes, free_memory_bytes, total_memory_bytes

LOW_DISK_BYTES = 5 << 30
LOW_MEMORY_BYTES = 1 << 30
_NVIDIA_S = 20.0


def examine_here(settings: Settings) -> list[Row]:
    """All rows; none is left out because another one is wrong."""
    looks: list[Callable[[], list[Row]]] = [
        lambda: [python_row()],
        lambda: [Row(subject="labq", text=f"{labq_version()} at {Path(__file__).parents[2]}")],
        lambda: [write_row(settings)],
        lambda: [disk_row(settings)],
        lambda: [memory_row()],
        lambda: [gpu_row()],
        lambda: [logout_row()],
        lambda: server_rows(settings),
    ]
    return [row for look in looks for row in look()]


def python_row() -> Row:
    """The one that labq runs in."""
    return Row(subject="python", text=f"{platform.python_version()} at {sys.executable}")


def write_row(settings: Settings) -> Row:
    """Where runs live a file is made, locked, removed: as every attempt does."""
    folder = settings.runs_dir
    probe = folder / f".doctor-{os.getpid()}-{time.monotonic_ns()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(probe, "w") as file:
            flock(file, LOCK_EX | LOCK_NB)
            file.write("labq\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = "choose another folder: home in labq.toml (LABQ_HOME), remote_home for --on ssh"
        return Row(subject="folder", verdict=Verdict.WRONG, text=f"{folder}: {error.strerror}", advice=advice)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return Row(subject="folder", text=f"{folder} can be written and locked")


def disk_row(settings: Settings) -> Row:
    """Free space where runs live."""
    try:
        free = free_disk_bytes(settings.runs_dir)
    except OSError as error:
        return Row(
            subject="disk", verdict=Verdict.WRONG, text=f"{settings.runs_dir}: {error.strerror}", advice="see folder"
        )
    text = f"{format_size(free)} free"
    if free < settings.disk_floor_mb * 10**6:
        advice = f"below disk_floor_mb ({settings.disk_floor_mb}) no run begins: make room in {settings.home}"
        return Row(subject="disk", verdict=Verdict.WRONG, text=text, advice=advice)
    if free < LOW_DISK_BYTES:
        return Row(subject="disk", verdict=Verdict.WARN, text=text, advice="few checkpoints will fit")
    return Row(subject="disk", text=text)


def memory_row() -> Row:
    """What a new process could use."""
    free, total = free_memory_bytes(), total_memory_bytes()
    text = f"{format_size(free)} free of {format_size(total)}, {os.cpu_count()} processors"
    if free < LOW_MEMORY_BYTES:
        return Row(subject="memory", verdict=Verdict.WARN, text=text, advice="others use it: see top")
    return Row(subject="memory", text=text)


def gpu_row() -> Row:
    """What NVML says; where it says nothing, whether nvidia-smi knows better."""
    found = read_gpus()
    if found:
        sizes = sorted({format_size(gpu.total_bytes) for gpu in found if gpu.total_bytes})
        busy = sum(bool(gpu.processes) for gpu in found)
        return Row(subject="gpus", text=f"{len(found)} ({', '.join(sizes) or 'memory unknown'}), {busy} in use")
    if shutil.which("nvidia-smi") is None:
        return Row(subject="gpus", text="none (no nvidia-smi here)")
    return _without_nvml()


def _without_nvml() -> Row:
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, errors="replace", timeout=_NVIDIA_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        advice = "the driver hangs: runs that want GPUs would too; ask whoever looks after the machine"
        return Row(subject="gpus", verdict=Verdict.WARN, text="nvidia-smi does not answer", advice=advice)
    listed = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    if done.returncode != 0 or not listed:
        words = " ".join((done.stdout + done.stderr).split())[:200]
        return Row(subject="gpus", verdict=Verdict.WARN, text=f"nvidia-smi: {words}", advice="no GPU will be offered")
    advice = "labq does not see them: pip install 'labq[gpu]' there, or say how many: --gpus N"
    return Row(subject="gpus", verdict=Verdict.WARN, text=f"{len(listed)} by nvidia-smi, none by NVML", advice=advice)


def logout_row() -> Row:
    """Whether workers that somebody starts outlive the login."""
    how = lasting()
    if how.way == SYSTEMD:
        return Row(subject="logout", text=f"systemd of {user_name()}, which lingers: workers become its units")
    if kills_at_logout():
        return Row(subject="logout", verdict=Verdict.WRONG, text="workers would end at logout", advice=how.hint)
    said = "is there, but does not linger" if user_systemd_answers() else "there is none"
    text = f"workers become sessions of their own, which outlive it (systemd of the user: {said})"
    return Row(subject="logout", verdict=Verdict.WARN if how.hint else Verdict.OK, text=text, advice=how.hint)
