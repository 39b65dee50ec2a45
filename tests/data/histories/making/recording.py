"""What is kept of a run: its points, its samples, and what a diagnosis must and may say of it."""

from __future__ import annotations

import gzip
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

DIGITS = 4


class Recorder:
    """Stands where labq's reporter would: remembers what is logged, with the seconds since its begin."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.lines: list[tuple[float, int, dict[str, float]]] = []
        self.output: list[str] = []
        self.stopped = ""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.lines.append((time.perf_counter() - self.began, step, metrics))

    def say(self, line: str) -> None:
        self.output.append(line)

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def progress(self, done: int, total: int, *, now: bool = False) -> None: ...
    def checkpoint_if_due(self, state: Any) -> None: ...
    def checkpoint(self, state: Any) -> None: ...
    def artifact(self, name: str, text: str, *, append: bool = False) -> None: ...
    def told_to_stop(self) -> bool:
        return False


def grouped(lines: list[tuple[float, int, dict[str, float]]], stretch: float) -> list[dict[str, Any]]:
    """Metrics that always come in the same lines share their steps and times."""
    of: dict[str, list[int]] = {}
    for number, (_, _, metrics) in enumerate(lines):
        for name in metrics:
            of.setdefault(name, []).append(number)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, numbers in of.items():
        groups.setdefault(tuple(numbers), []).append(name)
    return [
        {
            "steps": [lines[i][1] for i in numbers],
            "times": [round(lines[i][0] * stretch, 2) for i in numbers],
            "values": {name: [shortened(lines[i][2][name]) for i in numbers] for name in names},
        }
        for numbers, names in groups.items()
    ]


def shortened(value: float) -> float:
    """Four digits: curves look the same, and the file is a third."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def write(folder: Path, name: str, history: dict[str, Any]) -> None:
    """One history, always the same bytes for the same content."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(history, separators=(",", ":"), default=_plain)
    (folder / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is not JSON")
