"""Runs `python -P -m trainer` the way a supervisor does: run directory, attempts, resume from what was published."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from trainer.watching_clock import PREFIX

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 120.0
_NOT_METRICS = ("_checkpoint", "_progress", "_artifact", "_stop")


class Run:
    """One run in a directory of its own."""

    def __init__(self, folder: Path, params: dict[str, Any]) -> None:
        self.folder, self.params, self.attempts = folder, params, 0
        self.events, self.checkpoints, self.resume = folder / "events", folder / "checkpoints", folder / "resume"
        self.checkpoints.mkdir(parents=True)
        (folder / "params.json").write_text(json.dumps(params))

    def start(self) -> subprocess.Popen[str]:
        """The next attempt, from the newest published checkpoint; what was reported after it is dropped."""
        self.attempts += 1
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LABQ_RUN": "r",
            "LABQ_ATTEMPT": str(self.attempts),
            "LABQ_DIR": str(self.folder),
            "LABQ_PARAMS": str(self.folder / "params.json"),
            "LABQ_EVENTS": str(self.events),
            "LABQ_CHECKPOINTS": str(self.checkpoints),
            **self._go_on(),
        }
        command = [sys.executable, "-P", "-m", "trainer"]
        return subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def _go_on(self) -> dict[str, str]:
        lines = self.lines()
        published = [at for at, line in enumerate(lines) if "_checkpoint" in line]
        kept = lines[: published[-1] + 1] if published else []
        self.events.write_text("".join(json.dumps(line) + "\n" for line in kept))
        if not kept:
            return {}
        shutil.rmtree(self.resume, ignore_errors=True)
        self.resume.mkdir()
        shutil.copy(self.checkpoints / kept[-1]["_checkpoint"], self.resume)
        return {"LABQ_RESUME": str(self.resume), "LABQ_RESUME_STEP": str(kept[-1]["step"])}

    def lines(self) -> list[dict[str, Any]]:
        """The complete lines reported so far."""
        if not self.events.exists():
            return []
        return [json.loads(line) for line in self.events.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def finish(self) -> str:
        """The output of the attempt that comes to the end."""
        child = self.start()
        output, error = child.communicate(timeout=_PATIENCE_S)
        assert child.returncode == 0, error
        return output

    def signal_after(self, n_lines: int, number: int) -> int:
        """Start an attempt and signal it once it has reported n more lines; returns its exit code."""
        child = self.start()
        already = len(self.lines())
        deadline = time.monotonic() + _PATIENCE_S
        while child.poll() is None and len(self.lines()) < already + n_lines:
            assert time.monotonic() < deadline, "the trainer reports nothing"
            time.sleep(0.001)
        child.send_signal(number)
        child.communicate(timeout=_PATIENCE_S)
        return child.returncode

    def kill_after(self, n_lines: int) -> int:
        return self.signal_after(n_lines, signal.SIGKILL)

    def series(self) -> list[dict[str, Any]]:
        """All metric lines, without the wall clock."""
        metrics = [line for line in self.lines() if not any(key in line for key in _NOT_METRICS)]
        return [{key: v for key, v in line.items() if key != "_t" and not key.startswith(PREFIX)} for line in metrics]

    def final_bytes(self) -> bytes:
        published = [line["_checkpoint"] for line in self.lines() if "_checkpoint" in line]
        return (self.checkpoints / published[-1]).read_bytes()
