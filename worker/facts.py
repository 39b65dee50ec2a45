"""Provenance at the start of an attempt: host, user, Python, packages, scheduler job."""

import functools
import hashlib
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from store.identity import user_name
from worker.launch import Launch
from worker.machine import total_memory_bytes

_ASK_S = 30.0
_CACHE_S = 600
_LIST_PACKAGES = """
import importlib.metadata as m, json, platform
names = sorted({f"{d.metadata['Name']}=={d.version}" for d in m.distributions() if d.metadata['Name']}, key=str.lower)
print(json.dumps({"python": platform.python_version(), "packages": names}))
"""

_SCHEDULERS = {"slurm": "SLURM_JOB_ID", "sge": "JOB_ID", "pbs": "PBS_JOBID", "lsf": "LSB_JOBID"}


def host_facts(environ: Mapping[str, str]) -> dict[str, Any]:
    """What is known at once, without starting anything."""
    return {
        "host": socket.gethostname(),
        "user": user_name(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_bytes": total_memory_bytes(),
        "labq": labq_version(),
        "scheduler": scheduler_job(environ),
    }


@functools.cache
def labq_version() -> str:
    """The installed version."""
    try:
        return version("labq")
    except PackageNotFoundError:
        return "unknown"


def scheduler_job(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The batch job around this worker, if there is one."""
    for name, variable in _SCHEDULERS.items():
        if environ.get(variable):
            return {"scheduler": name, "job": environ[variable]}
    return None


def python_of(launch: Launch) -> str | None:
    """The Python interpreter a command starts with, if it starts with one."""
    first = Path(launch.command[0])
    return launch.command[0] if first.name.startswith(("python", "pypy")) else None


def python_facts(launch: Launch, cache_dir: Path, patience_s: float = _ASK_S) -> dict[str, Any] | None:
    """Version and packages of the child's own interpreter; None for other commands or when it does not say."""
    interpreter = python_of(launch)
    if interpreter is None:
        return None
    cache = cache_dir / f"python-{hashlib.sha256(interpreter_identity(launch).encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError):
        if abs(time.time() - cache.stat().st_mtime) < _CACHE_S:
            cached: dict[str, Any] = json.loads(cache.read_text())
            return cached
    facts = _ask(interpreter, launch, patience_s)
    if facts is not None:
        with suppress(OSError):
            cache_dir.mkdir(parents=True, exist_ok=True)
            hidden = cache.with_suffix(f".{os.getpid()}")
            hidden.write_text(json.dumps(facts))
            hidden.replace(cache)
    return facts


def interpreter_identity(launch: Launch) -> str:
    """What decides which packages a command finds."""
    variables = [launch.env.get(name, "") for name in ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")]
    return "\0".join([launch.command[0], str(launch.workdir), *variables])


def _ask(interpreter: str, launch: Launch, patience_s: float) -> dict[str, Any] | None:
    env = {name: value for name, value in launch.env.items() if not name.startswith("LABQ_")}
    try:
        done = subprocess.run(
            [interpreter, "-P", "-c", _LIST_PACKAGES],
            capture_output=True, text=True, timeout=patience_s, cwd=launch.workdir, env=env, check=False,
        )  # fmt: skip
        facts: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return facts
