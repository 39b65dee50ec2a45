"""Which metrics and runs a picture of curves shows, and in which panels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from notify.choosing import panels as families_of_one
from notify.siblings import grid_of
from plots.asking import Ask, Kind, X
from plots.chosen import Chosen
from plots.reading import CLOCK, EPOCH_S
from store.errors import UserError
from store.families import stem
from store.outcomes import Outcome

MOST_SIDES = 12
_NORMS = ("norm_", "gradient_norm", "update_ratio")


def prepared(ask: Ask, among: Chosen) -> tuple[Ask, list[list[str]]]:
    """The question with what the kind of picture adds, and the metrics that share a panel."""
    for name in filter(None, (ask.by, *ask.facet)):
        among.param(name)
    x = ask.x
    if x is not None and x not in set(X):
        among.metric(x)
    names = [among.metric(name) for name in dict.fromkeys(ask.y)]
    match ask.kind:
        case Kind.GRID:
            main = names or [among.main_metric()]
            trained = among.partner(main[0]) if len(main) == 1 else None
            pair = ask.facet or grid_of(among.varying, list(among.params.values()))
            if not pair:
                raise UserError("these runs make no grid: no two parameters have 2 to 8 values each; say: --facet A B")
            return replace(ask, facet=tuple(pair)), [[*main, *filter(None, [trained])]]
        case Kind.UPDATES:
            return replace(ask, x=x or X.UPDATES, log=ask.log or "x"), _families(names or [among.main_metric()])
        case Kind.EPOCHTIME:
            name = CLOCK if CLOCK in among.metrics else EPOCH_S
            if name == EPOCH_S and "epoch" not in among.metrics:
                raise UserError(
                    "time per epoch needs the metric epoch (or clock_epoch_s), which none of these runs has"
                )
            return replace(ask, x=x or X.EPOCH), [names or [name]]
        case Kind.NORMS:
            return replace(ask, x=x or (X.EPOCH if "epoch" in among.metrics else X.STEP)), _norms(names, among)
        case _:
            if names:
                return ask, _families(names)
            if len(among.outcomes) == 1:
                return ask, [list(group) for group in families_of_one(_interesting(among.metrics))] or [
                    [among.main_metric()]
                ]
            return ask, [[among.main_metric()]]


def _interesting(metrics: Sequence[str]) -> list[str]:
    """Without counts of epochs, which every picture would show as a straight line."""
    return [name for name in metrics if name != "epoch"] or list(metrics)


def _families(names: Sequence[str]) -> list[list[str]]:
    """`loss val_loss accuracy`: two panels."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(stem(name), []).append(name)
    return list(found.values())


def _norms(names: Sequence[str], among: Chosen) -> list[list[str]]:
    every = names or [name for name in among.metrics if name.startswith(_NORMS)]
    if not every:
        raise UserError(
            'none of these runs has norms of weights; the trainer logs norm_LAYER, and with watch = ["layers"] '
            "gradient_norm_LAYER and update_ratio_LAYER; a command: labq.watch(model)"
        )
    if len(among.outcomes) > 1:
        return [[name] for name in every]
    found = [[name for name in every if name.startswith(prefix)] for prefix in _NORMS]
    rest = [name for name in every if not name.startswith(_NORMS)]
    return [family for family in [*found, rest] if family]


def drawn_runs(ask: Ask, among: Chosen, names: Sequence[str]) -> tuple[list[Outcome], list[str]]:
    """The runs that are drawn, the best first."""
    first = "epoch" if names[0] == EPOCH_S else names[0]
    have = [one for one in among.outcomes if first in one.summary or any(name in one.summary for name in names)]
    ranked = among.ranked(first, have)
    if ask.top is not None and len(ranked) > ask.top:
        return ranked[: ask.top], [f"the best {ask.top} of {len(ranked):,} runs by {first}"]
    if len(ranked) > ask.limit:
        places = [round(place * (len(ranked) - 1) / max(ask.limit - 1, 1)) for place in range(ask.limit)]
        said = f"{ask.limit} of {len(ranked):,} runs are drawn, evenly from the best to the worst; more: --limit"
        return [ranked[place] for place in places], [said]
    return ranked, []


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What goes down and across. One parameter alone goes across, in rows of PER_ROW."""

    row_name: str = ""
    column_name: str
    down: tuple[Any, ...] = (None,)
    across: tuple[Any, ...]


def cells_of(ask: Ask, among: Chosen, runs: Sequence[Outcome]) -> Cells | None:
    if not ask.facet:
        return None
    drawn = Chosen(tuple(runs), among.directions)
    sides = [(name.removeprefix("params."), drawn.values_of(name.removeprefix("params."))) for name in ask.facet]
    for name, values in sides:
        if len(values) > MOST_SIDES:
            raise UserError(
                f"--facet {name}: has {len(values)} values; at most {MOST_SIDES} make a grid that can be read"
            )
    if len(sides) == 1:
        return Cells(column_name=sides[0][0], across=sides[0][1])
    (row_name, down), (column_name, over) = sides
    return Cells(row_name=row_name, column_name=column_name, down=down, across=over)
