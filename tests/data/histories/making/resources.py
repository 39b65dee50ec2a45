"""Histories of real processes (process.py), looked at with psutil as worker/sampler.py does; their time is stretched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from recording import Recorder, grouped

STRETCH = 150.0
SAMPLE_S = 0.1
"""Every tenth of a second stands for a look every 15 s."""


def watch(given: dict[str, Any], *, seconds: float = 12.0, disk_mb: float = 500.0, limit_mb: float = 200.0,
          outside: dict[str, Any] | None = None, gpus: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """One process, for so many seconds at most.

    `disk_mb`: its folder stands for a disk of this size, of which its files take what they really take. `limit_mb`: the limit
    of memory that the history says it had. `outside`: what is done to it from without: {"stop_at_s": …} for SIGSTOP,
    {"throttle_from_s": …, "share": …} for a process that may run only a share of the time, {"rivals_from_s": …, "rivals": n,
    "nice": n}. `gpus`: generated samples, see `_gpus`.
    """
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, str(Path(__file__).with_name("process.py")), json.dumps(given), folder]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        recorder = Recorder()
        recorder.began = began
        reader = threading.Thread(target=_read, args=(child, recorder), daemon=True)
        reader.start()
        rivals: list[subprocess.Popen[bytes]] = []
        try:
            samples = _samples(child, Path(folder), began, seconds, disk_mb, outside or {}, rivals)
        finally:
            for one in (child, *rivals):
                one.kill()
                one.wait()
            reader.join(2)
    table = np.array(samples)
    return {
        "made": {"by": "making/resources.py", "process": given, "outside": outside or {}, "gpus": gpus or {}},
        "params": {},
        "groups": grouped(recorder.lines, STRETCH),
        "samples": {
            "at": [round(float(v) * STRETCH, 1) for v in table[:, 0]],
            "cpu_s": [round(float(v) * STRETCH, 1) for v in table[:, 1]],
            "memory_bytes": [int(v) // 4096 * 4096 for v in table[:, 2]],
            "read_bytes": [int(v) for v in table[:, 3]],
            "written_bytes": [int(v) for v in table[:, 4]],
            "disk_free_bytes": [int(v) // 4096 * 4096 for v in table[:, 5]],
            "gpus": _gpus(table[:, 0] * STRETCH, gpus) if gpus else [],
        },
        "memory_limit_bytes": int(limit_mb * (1 << 20)),
        "until": round(float(table[-1, 0]) * STRETCH, 1),
        "output": "",
        "stopped": "",
    }


def _read(child: subprocess.Popen[str], recorder: Recorder) -> None:
    for line in child.stdout or ():
        said = json.loads(line)
        recorder.log(said.pop("step"), said)


def _samples(child: subprocess.Popen[str], folder: Path, began: float, seconds: float, disk_mb: float,
             outside: dict[str, Any], rivals: list[Any]) -> list[list[float]]:  # fmt: skip
    process, found, done = psutil.Process(child.pid), [], set()
    while (now := time.perf_counter() - began) < seconds and child.poll() is None:
        _interfere(child, now, outside, rivals, done)
        try:
            cpu, io = process.cpu_times(), process.io_counters()
            used = sum(one.stat().st_blocks * 512 for one in folder.iterdir())
            found.append(
                [
                    now,
                    cpu.user + cpu.system,
                    process.memory_info().rss,
                    io.read_chars,
                    io.write_chars,
                    disk_mb * (1 << 20) - used,
                ]
            )
        except (psutil.Error, OSError):
            pass
        time.sleep(SAMPLE_S)
    return found


def _interfere(
    child: subprocess.Popen[str], now: float, outside: dict[str, Any], rivals: list[Any], done: set[str]
) -> None:
    if "stop_at_s" in outside and now > outside["stop_at_s"] and "stop" not in done:
        done.add("stop")
        child.send_signal(signal.SIGSTOP)
    if "rivals_from_s" in outside and now > outside["rivals_from_s"] and "rivals" not in done:
        done.add("rivals")
        os.setpriority(os.PRIO_PROCESS, child.pid, outside.get("nice", 0))
        rivals += [
            subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"]) for _ in range(outside["rivals"])
        ]
    if "throttle_from_s" in outside and now > outside["throttle_from_s"] and "throttle" not in done:
        done.add("throttle")
        threading.Thread(target=_throttle, args=(child, outside["share"]), daemon=True).start()


def _throttle(child: subprocess.Popen[str], share: float) -> None:
    """The process runs only `share` of the time, in slices of 20 ms."""
    while child.poll() is None:
        for sign, length in ((signal.SIGCONT, 0.02 * share), (signal.SIGSTOP, 0.02 * (1 - share))):
            if child.poll() is None:
                child.send_signal(sign)
            time.sleep(length)


def _gpus(at: Any, given: dict[str, Any]) -> list[list[list[float]]]:
    """Generated: {"busy": [[from_share, mean, spread, pause_every, pause_length], …] one list a GPU}; at share of the time."""
    draw, length, found = np.random.default_rng(given.get("seed", 0)), float(at[-1]), []
    for moment in at:
        looks = []
        for stages in given["busy"]:
            _, mean, spread, every, pause = [one for one in stages if one[0] * length <= moment][-1]
            resting = every and moment % every < pause
            busy = 0.0 if resting else float(np.clip(draw.normal(mean, spread), 0, 1))
            looks.append([round(busy, 2), given.get("memory_mb", 4000) << 20])
        found.append(looks)
    return found
