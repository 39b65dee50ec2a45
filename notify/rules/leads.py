"""The best run of an experiment so far: who takes the lead. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from notify.rules.happenings import Happening
from notify.rules.holding import Holding
from notify.rules.words import best_words
from store.occasions import Occasion
from store.query import Metric, Stat
from store.runs import Run
from store.telling import Remembered

_MOST_MARKS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """By which metric the runs of an experiment are compared."""

    experiment: str
    metric: str
    greatest: bool

    @property
    def id(self) -> str:
        """Under which name the leader is remembered."""
        return f"best/{self.experiment}/{'max' if self.greatest else 'min'}/{self.metric}"

    @property
    def field(self) -> Metric:
        """What is compared."""
        return Metric(name=self.metric, stat=Stat.MAX if self.greatest else Stat.MIN)


def races(experiment: str, held: Iterable[Holding]) -> set[Race]:
    """Those that somebody follows."""
    return {
        Race(experiment=experiment, metric=one.rule.metric, greatest=one.rule.greatest)
        for one in held
        if Occasion.BEST_SO_FAR in one.rule.on
    }


def value_of(run: Run, race: Race) -> float | None:
    """The best value of the run; None when it has reported none, or nothing but NaN."""
    summary = run.summary.get(race.metric)
    value = None if summary is None else summary.max if race.greatest else summary.min
    return None if value is None or math.isnan(value) else value


def begun(race: Race, best: Run | None) -> Remembered:
    """The memory of a race that nobody has followed so far: the best of the runs before is silently the leader."""
    value = value_of(best, race) if best is not None else None
    return Remembered(id=race.id, value=value, text=best.id if best is not None and value is not None else "")


def led(memory: Remembered, race: Race, runs: Sequence[Run], now: datetime) -> tuple[Remembered, list[Happening]]:
    """Who takes the lead, each run once. The very first run leads without a word, and a leader improves in silence."""
    happened = []
    for run in runs:
        value = value_of(run, race)
        if value is None or (memory.value is not None and not _beats(value, memory.value, race)):
            continue
        takes_over = memory.value is not None and memory.text != run.id and run.id not in memory.marks
        if takes_over:
            happened.append(_happening(run, race, memory.value, now))
        marks = dict(list({**memory.marks, run.id: 1.0}.items())[-_MOST_MARKS:])
        memory = replace(memory, value=value, text=run.id, marks=marks)
    return memory, happened


def _beats(value: float, best: float, race: Race) -> bool:
    return value > best if race.greatest else value < best


def _happening(run: Run, race: Race, before: float | None, now: datetime) -> Happening:
    return Happening(
        key=f"{run.id}-{run.attempt}-best-{race.metric}",
        about=Occasion.BEST_SO_FAR,
        words=frozenset({Occasion.BEST_SO_FAR.value}),
        at=now,
        experiment=run.experiment,
        owner=run.owner,
        run=run,
        attempt=run.attempt,
        metric=race.metric,
        greatest=race.greatest,
        text=best_words(race.metric, run.summary[race.metric], race.greatest, before),
    )
