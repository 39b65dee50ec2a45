"""The second command of an attempt: it reads what the first one left and prints `name<TAB>value` lines."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from queueing.placeholders import fill
from store.runs import Run
from worker.launch import Launch
from worker.rundir import RunDir
from worker.templates import placeholders

MOST_BYTES = 1 << 20


class BadResult(ValueError):
    """The output of a result command that cannot be taken, with the reason."""


def plan_result(run: Run, folder: RunDir, main: Launch) -> Launch:
    """The result command, in the run directory, where `output.log` is what the main command wrote.

    Raises ValueError when a format does not fit its value.
    """
    command = fill(run.task.result, run.params, run.repeat, placeholders(run, folder))
    env = {**main.env, "LABQ_WORKDIR": run.task.workdir}
    return replace(main, command=tuple(command), workdir=folder.path, env=env)


def read_results(path: Path) -> dict[str, float]:
    """The figures in its output; lines without a tab are talk. Raises BadResult, OSError."""
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadResult(f"it printed more than {MOST_BYTES} bytes")
    found: dict[str, float] = {}
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        name, tab, value = line.partition("\t")
        if tab:
            found[_name(name, number)] = _value(value, number)
    if not found:
        raise BadResult("it printed no line 'name<TAB>value'")
    return found


def _name(text: str, number: int) -> str:
    name = text.strip()
    if not name or name.startswith("_"):
        raise BadResult(f"line {number}: {text[:60]!r} is no name of a figure; allowed: not empty, no _ in front")
    return name


def _value(text: str, number: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadResult(f"line {number}: {text[:60]!r} is not a number") from None


def append_results(events: Path, found: Mapping[str, float]) -> None:
    """As one event line, which is shipped like those that the main command wrote. Raises OSError."""
    with open(events, "rb+") as file:
        size = file.seek(0, 2)
        if size:
            file.seek(-1, 2)
        torn = size and file.read(1) != b"\n"
        file.write(b"\n" * bool(torn) + json.dumps({**found, "_final": True}).encode() + b"\n")
