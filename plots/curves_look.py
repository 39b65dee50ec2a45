"""What panels of curves share, and the words beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from notify.pictures.palette import FADED, MANY, RUN, RUN_TRAINING, SOFT
from notify.siblings import key_of
from plots import colours
from plots.asking import Ask
from plots.bands import WORDS
from plots.chosen import Chosen
from plots.picture import Axis, Entry
from plots.reading import Line
from plots.words import value_words
from store.families import stem
from store.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that a panel needs."""

    ask: Ask
    among: Chosen
    families: list[list[str]]
    runs: list[Outcome]
    x_label: str
    lines: tuple[Line, ...]

    @property
    def is_many(self) -> bool:
        """More runs than there are colours."""
        return len(self.runs) > len(MANY)

    def axes(self, family: Sequence[str]) -> tuple[Axis, Axis]:
        name = stem(family[0]) if len(family) > 1 and len({stem(one) for one in family}) == 1 else family[0]
        log_x = self.ask.log_x or False
        return Axis(label=self.x_label, log=log_x), Axis(label=name, log=self.ask.log_y, ends=self.ask.y_ends)


def values(look: Look) -> tuple[Any, ...]:
    return look.among.values_of((look.ask.by or "").removeprefix("params."))


def hues_of(look: Look) -> dict[str, str]:
    return colours.of_values(values(look))


def entries(look: Look) -> tuple[Entry, ...]:
    found: list[Entry] = []
    if look.ask.by:
        name, hues = look.ask.by.removeprefix("params."), hues_of(look)
        drawn = {key_of(look.among.of(one.run, name)) for one in look.lines}
        found = [
            Entry(text=f"{name} {value_words(value)} (n={_count(look, name, value)})", colour=hues[key_of(value)])
            for value in values(look)
            if key_of(value) in drawn
        ]
        return (*found, *_dashes(look))
    if len(look.runs) == 1:
        return tuple(
            Entry(text=name, colour=colour)
            for family in look.families
            if len(family) > 1 or len(look.families) == 1
            for name, colour in zip(family, colours.of_metrics(family), strict=True)
        )
    if look.ask.facet:
        family = look.families[0]
        names = [Entry(text=family[0], colour=RUN)] + [Entry(text=name, colour=RUN_TRAINING) for name in family[1:]]
        crowded = len(look.runs) > len(
            {tuple(key_of(look.among.of(one, name)) for name in look.ask.facet) for one in look.runs}
        )
        return (*names, Entry(text="other runs of the cell", colour=FADED)) if crowded else tuple(names)
    if look.is_many:
        best = Entry(text=f"best: {_run_words(look, look.runs[0])}", colour=RUN)
        return (best, Entry(text=f"{len(look.runs) - 1} others", colour=FADED), *_dashes(look))
    runs = [Entry(text=_run_words(look, one), colour=MANY[place]) for place, one in enumerate(look.runs)]
    return (*runs, *_dashes(look))


def _dashes(look: Look) -> list[Entry]:
    """Which metric is dashed, where two share a panel."""
    return [
        Entry(text=name, colour=SOFT, dashed=place > 0)
        for family in look.families
        if len(family) > 1
        for place, name in enumerate(family)
    ]


def _count(look: Look, name: str, value: Any) -> int:
    return len({one.run.id for one in look.lines if key_of(look.among.of(one.run, name)) == key_of(value)})


def _run_words(look: Look, one: Outcome) -> str:
    """`#12 l1 1e-05, noise 0.1`"""
    differing = Chosen(tuple(look.runs), look.among.directions).varying
    values = look.among.params[one.id]
    told = ", ".join(f"{name} {value_words(values[name])}" for name in list(differing)[:3] if name in values)
    return f"{look.among.names[one.id]} {told}".strip()


def said(look: Look) -> list[str]:
    found = []
    if look.ask.by:
        found.append(WORDS[look.ask.spread] + "; each run between its own first and last point")
    if look.ask.smooth:
        found.append(f"smoothed: exponential moving average of weight {look.ask.smooth:g}, without bias")
        if look.ask.by is None:
            found[-1] += "; pale: as reported"
    broken = len({one.run.id for one in look.lines if len(one.bad)})
    if broken:
        verb = "run has" if broken == 1 else "runs have"
        found.append(f"{broken} {verb} values that are not finite: the line breaks, red marks at the foot")
    return found
