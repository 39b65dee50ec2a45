"""Where scripts run, and as whom."""

import os
import socket
import uuid
from pathlib import Path

from store.settings import Settings
from store.workers import Worker
from worker.machine import total_memory_bytes


def scripts_dir(settings: Settings) -> Path:
    """Run directories of scripts: no worker clears them away, for they may hold what MongoDB has not."""
    return settings.home / "scripts" / socket.gethostname()


def describe(allocation: str) -> Worker:
    """The worker for one run."""
    host = socket.gethostname()
    return Worker(
        name=f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        host=host,
        pid=os.getpid(),
        cpus=os.cpu_count() or 1,
        memory_bytes=total_memory_bytes(),
        allocation=allocation,
    )
