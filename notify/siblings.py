"""The runs of one experiment beside each other: names, ranks, what differs, which failed of what. Pure."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from notify.story import Failures, Ranked, Standing
from notify.words import cause_words
from store.directions import greater_is_better, main_metric
from store.outcomes import Outcome
from store.runs import Run, short
from store.states import ENDED, State

MOST_VALUES, FEWEST_CELLS, FILLED = 8, 4, 0.6
"""A grid has 2 to 8 values on each side, four cells, and runs in most of them."""
_NAMED = 8
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"data": {"train": 1}}` is `{"data.train": 1}`."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
    return found


def labels(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """`#12`, the place in the sweep, where that is the name of one run only; else the beginning of the id."""
    places = Counter(one.index for one in outcomes)
    return {
        one.id: f"#{one.index}" if places[one.index] == 1 and len(outcomes) > 1 else short(one.id) for one in outcomes
    }


def varying(outcomes: Iterable[Outcome]) -> dict[str, tuple[Any, ...]]:
    """The parameters that have more than one value, with their values in order; what a run lacks is no value."""
    found: dict[str, dict[str, Any]] = {}
    for one in outcomes:
        for name, value in flat(one.params).items():
            found.setdefault(name, {}).setdefault(key_of(value), value)
    return {name: tuple(sorted(values.values(), key=rising)) for name, values in found.items() if len(values) > 1}


def chosen(params: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of these parameters that there are."""
    values = flat(params)
    return {name: values[name] for name in names if name in values}


def best_value(outcome: Outcome | Run, metric: str) -> tuple[float, int | None] | None:
    """The best value of the run and its step; None where there is no number."""
    summary = outcome.summary.get(metric)
    if summary is None:
        return None
    greatest = greater_is_better(metric)
    value, step = (summary.max, summary.max_step) if greatest else (summary.min, summary.min_step)
    return None if value is None or math.isnan(value) else (value, step)


def metric_of(outcomes: Iterable[Outcome]) -> str | None:
    """The metric by which these runs are compared: of those that most of them have."""
    names = Counter(name for one in outcomes for name in one.summary)
    most = max(names.values(), default=0)
    return main_metric(name for name, count in names.items() if 2 * count >= most)


def ranked(outcomes: Sequence[Outcome], metric: str, names: Mapping[str, str]) -> list[Ranked]:
    """The best first; runs without a number are left out."""
    found = [
        Ranked(outcome=one, label=names[one.id], value=best[0], step=best[1])
        for one in outcomes
        if (best := best_value(one, metric)) is not None
    ]
    return sorted(found, key=lambda row: (-row.value if greater_is_better(metric) else row.value, row.outcome.index))


def standing(
    run: Run, metric: str, outcomes: Sequence[Outcome], names: Mapping[str, str], *, also_running: bool
) -> Standing:
    """How the run does among those that have finished, or with `also_running` among all."""
    mine = best_value(run, metric)
    others = [one for one in outcomes if one.id != run.id]
    rivals = ranked([one for one in others if also_running or one.state is State.FINISHED], metric, names)
    base = Standing(metric=metric, is_final=all(one.state in ENDED for one in others))
    if mine is None:
        return _beside(base, rivals)
    better = greater_is_better(metric)
    ahead = sum(row.value > mine[0] if better else row.value < mine[0] for row in rivals)
    own = Standing(
        metric=metric, value=mine[0], step=mine[1], rank=ahead + 1 if rivals else None,
        among=len(rivals) + 1, is_final=base.is_final,
    )  # fmt: skip
    return _beside(own, rivals)


def _beside(mine: Standing, rivals: Sequence[Ranked]) -> Standing:
    if not rivals:
        return mine
    return Standing(
        metric=mine.metric, value=mine.value, step=mine.step, rank=mine.rank, among=mine.among or len(rivals),
        best=rivals[0].outcome, best_label=rivals[0].label, best_value=rivals[0].value, is_final=mine.is_final,
    )  # fmt: skip


def grid_of(values: Mapping[str, Sequence[Any]], params: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The two parameters, rows and columns, over which a grid of pictures shows most; None: there are no such two.

    `params`: those of each run, flat.
    """
    fitting = [name for name, some in values.items() if 2 <= len(some) <= MOST_VALUES][:12]
    pairs = [(_filled(params, pair), pair) for pair in combinations(fitting, 2)]
    good = [
        (cells, pair)
        for cells, pair in pairs
        if cells >= max(FEWEST_CELLS, FILLED * len(values[pair[0]]) * len(values[pair[1]]))
    ]
    return max(good, key=lambda one: one[0])[1] if good else None


def failures(outcomes: Iterable[Outcome], names: Mapping[str, str]) -> tuple[Failures, ...]:
    """Failed runs by cause, the most frequent first; messages that differ in numbers alone are one."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        if one.state is State.FAILED:
            groups.setdefault((cause_words(one.reason), _NUMBERS.sub("…", one.message)), []).append(one)
    found = [
        Failures(
            cause=cause,
            message=members[0].message,
            count=len(members),
            labels=tuple(names[one.id] for one in members[:_NAMED]),
            runs=tuple(one.id for one in members[:_NAMED]),
        )
        for (cause, _), members in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.count))


def key_of(value: Any) -> str:
    """Equal for equal values; 1 and 1.0 are one, 1 and true are two."""
    same = float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value
    return json.dumps(same, default=str, sort_keys=True)


def rising(value: Any) -> tuple[int, Any]:
    """Numbers in order, then flags, then texts."""
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, int | float):
        return (0, value) if value == value else (3, 0)
    return 2, str(value)


def _filled(params: Iterable[Mapping[str, Any]], pair: tuple[str, str]) -> int:
    return len({(key_of(one[pair[0]]), key_of(one[pair[1]])) for one in params if pair[0] in one and pair[1] in one})
