"""Which runs a picture is about, and what is known of them without reading a curve."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from notify.choosing import partner
from notify.siblings import flat, key_of, labels, varying
from plots.asking import Ask
from queueing.query.asking import understood, with_saved
from queueing.query.mistake import guess
from queueing.results.record import Directions, best_value
from store.directions import main_metric
from store.errors import NoSuchRun, UserError
from store.outcomes import Outcome, outcome_of
from store.states import State
from store.store import RunQuery, Store

MOST_READ = 100_000
_NAMED = 6


@dataclass(frozen=True)
class Chosen:
    """The runs that were asked for, those that have begun first of all: `waiting` have not."""

    outcomes: tuple[Outcome, ...]
    directions: Directions
    waiting: int = 0

    @cached_property
    def names(self) -> dict[str, str]:
        """`#12`, or the beginning of the id, by id."""
        if len({one.experiment for one in self.outcomes}) > 1:
            return {one.id: f"{one.experiment} {one.id[:4]}" for one in self.outcomes}
        return labels(self.outcomes)

    @cached_property
    def params(self) -> dict[str, dict[str, Any]]:
        """Flat, by id."""
        return {one.id: flat(one.params) for one in self.outcomes}

    @cached_property
    def varying(self) -> dict[str, tuple[Any, ...]]:
        """The parameters that have more than one value, with these."""
        return varying(self.outcomes)

    @cached_property
    def metrics(self) -> list[str]:
        """All that any run has, sorted."""
        return sorted({name for one in self.outcomes for name in one.summary})

    @property
    def title(self) -> str:
        """The experiment, or the run."""
        experiments = dict.fromkeys(one.experiment for one in self.outcomes)
        named = ", ".join(list(experiments)[:3]) + (", …" if len(experiments) > 3 else "")
        if len(self.outcomes) == 1:
            return f"{named} {self.outcomes[0].id[:8]}"
        return f"{named} · {len(self.outcomes):,} runs"

    def greatest(self, metric: str) -> bool:
        """Whether more of it is better."""
        return self.directions.greatest(metric)

    def value(self, one: Outcome, metric: str, *, last: bool = False) -> float | None:
        """What stands for the run: its best value or its last; NaN where it never was a number; None: not reported."""
        summary = one.summary.get(metric)
        if summary is None:
            return None
        return summary.last if last else best_value(summary, greatest=self.greatest(metric))[0]

    def ranked(self, metric: str, outcomes: Iterable[Outcome] | None = None) -> list[Outcome]:
        """The best first; those without a number come last."""

        def rank(one: Outcome) -> tuple[bool, float]:
            value = self.value(one, metric)
            if value is None or value != value:
                return True, 0.0
            return False, -value if self.greatest(metric) else value

        return sorted(self.outcomes if outcomes is None else outcomes, key=rank)

    def main_metric(self) -> str:
        """That by which the runs are compared, of those that most have. Raises UserError where there is none."""
        counts: dict[str, int] = {}
        for one in self.outcomes:
            for name in one.summary:
                counts[name] = counts.get(name, 0) + 1
        most = max(counts.values(), default=0)
        found = main_metric(name for name, count in counts.items() if 2 * count >= most)
        if found is None:
            raise UserError(f"{self.title}: no metric has been reported yet")
        return found

    def metric(self, name: str) -> str:
        """Itself, or UserError with what it might have meant."""
        if name not in self.metrics:
            raise UserError(f"unknown metric {name!r}{guess(name, self.metrics)}")
        return name

    def partner(self, metric: str) -> str | None:
        """The same figure of the training data."""
        return partner(metric, self.metrics)

    def param(self, name: str) -> str:
        """Itself, also of the parameters that do not differ; else UserError."""
        bare = name.removeprefix("params.")
        known = list(dict.fromkeys(key for one in self.params.values() for key in one))
        if bare in known or bare == "experiment":
            return bare
        hint = f" ({name!r} is a metric)" if name in self.metrics else ""
        raise UserError(f"unknown parameter {name!r}{hint}{guess(bare, known)}")

    def values_of(self, name: str) -> tuple[Any, ...]:
        """The values of a parameter, in order."""
        from notify.siblings import rising

        found = {key_of(value): value for one in self.outcomes if (value := self.of(one, name)) is not None}
        return tuple(sorted(found.values(), key=rising))

    def of(self, one: Outcome, name: str) -> Any:
        """A run's value of a parameter; None: it has none."""
        return one.experiment if name == "experiment" else self.params[one.id].get(name)

    def having(self, metric: str) -> tuple[list[Outcome], str]:
        """The runs that have reported it; and a sentence about the others, empty if there are none."""
        have = [one for one in self.outcomes if metric in one.summary]
        return have, self.lacking(metric, [one for one in self.outcomes if metric not in one.summary])

    def lacking(self, metric: str, without: Sequence[Outcome]) -> str:
        """`3 of 32 runs have no val_loss: #4, #7, #9`"""
        if not without:
            return ""
        named = ", ".join(self.names[one.id] for one in without[:_NAMED]) + (", …" if len(without) > _NAMED else "")
        verb = "has" if len(without) == 1 else "have"
        return f"{len(without)} of {len(self.outcomes):,} runs {verb} no {metric}: {named}"

    def notes(self) -> list[str]:
        """What of the runs that were asked for has not begun."""
        if not self.waiting:
            return []
        return [f"{self.waiting:,} {'run has' if self.waiting == 1 else 'runs have'} not begun yet"]


def chosen(ask: Ask, store: Store) -> Chosen:
    """Raises UserError, BadQuery, StoreUnavailable."""
    found: dict[str, Outcome] = {}
    for text in ask.which:
        found |= {one.id: one for one in _asked(text, store)}
        if len(found) > MOST_READ:
            raise UserError(f"more than {MOST_READ:,} runs match; ask for fewer, such as: 'tag:paper and created>-2d'")
    if not found:
        raise UserError(f"{' '.join(ask.which)}: there is no run of this experiment")
    begun = [one for one in found.values() if one.attempt or one.summary]
    if not begun:
        states = ", ".join(sorted({one.state.value for one in found.values()}))
        raise UserError(f"{' '.join(ask.which)}: none of {len(found)} runs has begun yet ({states})")
    directions = Directions(greater=ask.greater, smaller=ask.smaller)
    return Chosen(tuple(begun), directions, len(found) - len(begun))


def has_failed(one: Outcome) -> bool:
    """Whether it ended badly."""
    return one.state is State.FAILED


def _asked(text: str, store: Store) -> list[Outcome]:
    """Of an experiment, of a run, or of a query."""
    if store.experiment(text) is not None:
        return _read(store, RunQuery(experiment=text))
    if text.replace("-", "").isalnum():
        try:
            return [outcome_of(store.run(text))]
        except NoSuchRun:
            known = [one.name for one in store.experiments()]
            raise UserError(
                f"no run and no experiment is called {text!r}{guess(text, known)}; queries: labq ls"
            ) from None
    found = _read(store, RunQuery(where=understood(with_saved(text, store).query, store)))
    if not found:
        raise UserError(f"no run matches {text!r}; see: labq ls {text!r}")
    return found


def _read(store: Store, query: RunQuery) -> list[Outcome]:
    return list(islice(store.outcomes(query), MOST_READ + 1))
