"""The wire between SMAC 2 (and ParamILS) and the algorithm that it configures: arguments in, one line out. Pure.

    algo INSTANCE SPECIFICS CUTOFF_TIME RUNLENGTH SEED -name value …
    Result of algorithm run: STATUS, RUNTIME, RUNLENGTH, QUALITY, SEED, ADDITIONAL

SMAC v2 manual, sections "Algorithm executable" and "Output": SAT and UNSAT are answers, TIMEOUT and CRASHED are not,
ABORT ends the whole configuration run.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queueing.optimize.space_file import literal, parameter_name
from queueing.space.names import flat
from store.errors import UserError
from store.runs import Run
from store.states import Reason, State

_WIRE = "INSTANCE SPECIFICS CUTOFF_TIME RUNLENGTH SEED -name value …"
_NO_INSTANCE = re.compile(r"(no[_-]?instance|none|null|0|-|)", re.IGNORECASE)
LONGEST_CUTOFF_S = 366 * 86400.0
"""SMAC's default cutoff is the largest number there is: no limit."""


class Status(StrEnum):
    """What SMAC understands."""

    SAT = "SAT"
    UNSAT = "UNSAT"
    TIMEOUT = "TIMEOUT"
    CRASHED = "CRASHED"
    ABORT = "ABORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the algorithm. `given`: parameters as texts, under our names."""

    instance: str | None
    specifics: str | None
    cutoff_s: float | None
    runlength: str
    seed: int
    given: dict[str, str]

    def identity(self) -> list[Any]:
        """What tells two calls apart besides the parameters."""
        return ["smac", self.instance, self.specifics, self.cutoff_s, self.runlength, self.seed]


def read_call(arguments: Sequence[str]) -> Call:
    """Raises UserError."""
    if len(arguments) < 5:
        raise UserError(f"{len(arguments)} arguments; SMAC gives: {_WIRE}")
    instance, specifics, cutoff, runlength, seed, *rest = (text.strip("'\"") for text in arguments)
    return Call(
        instance=None if _NO_INSTANCE.fullmatch(instance) else instance,
        specifics=None if _NO_INSTANCE.fullmatch(specifics) else specifics,
        cutoff_s=_cutoff(cutoff),
        runlength=runlength,
        seed=_seed(seed),
        given=_pairs(rest),
    )


def params_of(call: Call, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Flat values: typed as the file's own value of the name is, else as they look.

    A seed and an instance are parameters too, where SMAC gives them.
    """
    known = flat(fixed)
    values = {name: _typed(name, text, known.get(name)) for name, text in call.given.items()}
    if call.seed >= 0:
        values["seed"] = call.seed
    if call.instance is not None:
        values["instance"] = call.instance
    if call.specifics is not None:
        values["specifics"] = call.specifics
    return values


def result_line(status: Status, runtime_s: float, quality: float, seed: int, additional: str = "") -> str:
    """Commas would end a field."""
    said = f", {' '.join(additional.replace(',', ';').split())[:200]}" if additional else ""
    return f"Result of algorithm run: {status}, {runtime_s:.3f}, 0, {quality!r}, {seed}{said}"


def status_of(run: Run, value: float | None) -> Status:
    """What an ended run means; `value` is the metric, None when there is none."""
    if run.state is State.FINISHED:
        return Status.SAT if value is not None and math.isfinite(value) else Status.UNSAT
    if run.state is State.CANCELLED or run.reason is Reason.DIVERGED:
        return Status.UNSAT
    return Status.TIMEOUT if run.reason is Reason.TIME_LIMIT else Status.CRASHED


def runtime_s(run: Run) -> float:
    """Of all attempts."""
    return sum((one.ended_at - one.started_at).total_seconds() for one in run.history if one.ended_at is not None)


def _cutoff(text: str) -> float | None:
    try:
        cutoff_s = float(text)
    except ValueError:
        raise UserError(f"CUTOFF_TIME is {text!r}; allowed: seconds") from None
    return cutoff_s if 0 < cutoff_s <= LONGEST_CUTOFF_S else None


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"SEED is {text!r}; allowed: a whole number") from None


def _pairs(rest: Sequence[str]) -> dict[str, str]:
    if len(rest) % 2:
        raise UserError(f"{rest[-1]!r} has no value; SMAC gives: {_WIRE}")
    found: dict[str, str] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        if not name.startswith("-") or len(name) < 2:
            raise UserError(f"{name!r} is no parameter; SMAC gives: {_WIRE}")
        ours = ".".join(parameter_name(part) for part in name.removeprefix("-").split("."))
        if ours in found:
            raise UserError(f"parameter {ours} is given twice")
        found[ours] = value
    return found


def _typed(name: str, text: str, known: Any) -> Any:
    value = literal(text)
    if isinstance(known, bool) or known is None or isinstance(known, list | dict):
        return value
    if isinstance(known, str):
        return text
    if isinstance(value, bool | str):
        raise UserError(f"-{name} is {text!r}, but params.{name} in the file is a number")
    return float(value) if isinstance(known, float) else int(value) if value == int(value) else value
