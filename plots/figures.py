"""One row of numbers a run: its parameters and the figure that stands for it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from notify.siblings import key_of, rising
from plots.asking import Ask
from plots.chosen import Chosen
from plots.colours import is_number
from plots.picture import Axis, Floats, array
from plots.words import value_words
from store.errors import UserError
from store.outcomes import Outcome

_FAR_APART = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Runs that have a finite value of the metric. `notes`: who is left out, and what the figure is."""

    metric: str
    runs: tuple[Outcome, ...]
    values: tuple[float, ...]
    notes: tuple[str, ...]
    greatest: bool

    @property
    def order(self) -> list[int]:
        """Places of the runs, the worst first."""
        sign = 1 if self.greatest else -1
        return sorted(range(len(self.runs)), key=lambda place: sign * self.values[place])

    @property
    def shares(self) -> Floats:
        """How good each run is: 0 for the worst, 1 for the best, by rank."""
        found = np.empty(len(self.runs))
        found[self.order] = np.linspace(0, 1, len(self.runs)) if len(self.runs) > 1 else 1.0
        return found

    @property
    def what(self) -> str:
        """`val_loss (each run's smallest)`"""
        return self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where the values of a parameter or metric lie: numbers as they are, others side by side."""

    name: str
    is_log: bool = False
    values: tuple[Any, ...] = ()  # those that are no numbers, in order

    def of(self, value: Any) -> float:
        """NaN for a value that is missing."""
        if self.values:
            keys = [key_of(one) for one in self.values]
            return float(keys.index(key_of(value))) if key_of(value) in keys else math.nan
        return float(value) if is_number(value) else math.nan

    @property
    def axis(self) -> Axis:
        """For a panel."""
        marks = tuple((float(place), value_words(value)[:14]) for place, value in enumerate(self.values))
        return Axis(label=self.name, log=self.is_log, ticks=marks)


def figures(ask: Ask, among: Chosen) -> Figures:
    """Raises UserError where there is no such metric, or no number of it."""
    metric = among.metric(ask.y[0]) if ask.y else among.main_metric()
    have, lacking = among.having(metric)
    pairs = [(one, among.value(one, metric, last=ask.last)) for one in have]
    finite = [(one, value) for one, value in pairs if value is not None and math.isfinite(value)]
    greatest = among.greatest(metric)
    if not finite:
        raise UserError(f"{among.title}: no run has a finite value of {metric}")
    broken = len(have) - len(finite)
    how = "last" if ask.last else "greatest" if greatest else "smallest"
    said = [
        f"{metric}: each run's {how}" + ("" if all(one.ended_at for one, _ in finite) else "; some runs still go on"),
        lacking,
        _broken(broken, len(among.outcomes), metric),
    ]
    if ask.top is not None and len(finite) > ask.top:
        finite = sorted(finite, key=lambda pair: -pair[1] if greatest else pair[1])[: ask.top]
        said.append(f"the best {ask.top} runs only")
    return Figures(
        metric=metric,
        runs=tuple(one for one, _ in finite),
        values=tuple(value for _, value in finite),
        notes=tuple([one for one in said if one] + among.notes()),
        greatest=greatest,
    )


def _broken(count: int, total: int, metric: str) -> str:
    has, and_is = ("has", "and is") if count == 1 else ("have", "and are")
    return f"{count} of {total:,} runs {has} a {metric} that is not finite, {and_is} left out" if count else ""


def sides(among: Chosen, found: Figures, *, needed: int) -> list[str]:
    """The parameters in which these runs differ. Raises UserError for fewer than are needed."""
    names = list(Chosen(found.runs, among.directions).varying)
    if len(names) < needed:
        told = f"they differ in {', '.join(names)} alone" if names else "they do not differ in any parameter"
        raise UserError(f"{among.title}: this picture needs runs that differ in {needed} parameters or more; {told}")
    return names


def scale(name: str, values: Sequence[Any], *, log: bool | None = None) -> Scale:
    """Logarithmic where numbers of one sign lie far apart, or when asked for."""
    known = [value for value in values if value is not None]
    if not known or not all(is_number(value) for value in known):
        distinct = {key_of(value): value for value in known}
        return Scale(name=name, values=tuple(sorted(distinct.values(), key=rising)))
    least, most = min(known), max(known)
    wants = log if log is not None else least > 0 and most / least > _FAR_APART
    return Scale(name=name, is_log=bool(wants and least > 0))


def column(among: Chosen, found: Figures, name: str, *, last: bool) -> tuple[list[Any], bool]:
    """The values of a parameter, or of a metric where no parameter is called so; whether it is a metric."""
    if name == found.metric:
        return list(found.values), True
    if any(name in among.params[one.id] for one in found.runs):
        return [among.params[one.id].get(name) for one in found.runs], False
    among.metric(name)
    return [among.value(one, name, last=last) for one in found.runs], True


def placed(where: Scale, values: Sequence[Any]) -> Floats:
    """All of them on the scale."""
    return array([where.of(value) for value in values])
