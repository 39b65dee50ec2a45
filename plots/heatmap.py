"""A number for every pair of values of two parameters, as colours."""

import math
from typing import Any

import numpy as np

from notify.siblings import grid_of, key_of
from plots.asking import Ask
from plots.chosen import Chosen
from plots.figures import Figures, figures
from plots.picture import Heat, Picture, array
from plots.words import value_words
from queueing.results.pivot import Aggregate
from store.errors import UserError
from store.store import Store

MOST_SIDE, MOST_MAPS, PER_ROW = 24, 6, 2


def heatmap(ask: Ask, among: Chosen, _store: Store) -> Picture:
    """`--facet A B`: rows and columns; else the two parameters that make the fullest grid. `--by`: a map a value."""
    found = figures(ask, among)
    down, across = _pair(ask, among)
    rows, columns = (_side(among, name) for name in (down, across))
    groups = among.values_of(among.param(ask.by)) if ask.by else (None,)
    if len(groups) > MOST_MAPS:
        raise UserError(
            f"--by {ask.by}: has {len(groups)} values; at most {MOST_MAPS} heat maps are drawn beside each other"
        )
    maps = [_map(ask, among, found, (down, rows), (across, columns), value) for value in groups]
    maps = _with_common_shades(maps, greatest=found.greatest)
    left = [
        name
        for name in Chosen(found.runs, among.directions).varying
        if name not in (down, across, (ask.by or "").removeprefix("params."))
    ]
    over = f" over {', '.join(left[:5])}" if left else ""
    return Picture(
        title=f"{found.metric} · {among.title}",
        rows=tuple(tuple(maps[start : start + PER_ROW]) for start in range(0, len(maps), PER_ROW)),
        notes=(f"each cell: the {ask.aggregate} of its runs{over}; dark is good, by rank", *found.notes),
    )


def _pair(ask: Ask, among: Chosen) -> tuple[str, str]:
    if len(ask.facet) == 1:
        raise UserError("a heat map needs two parameters: --facet ROWS COLUMNS")
    if ask.facet:
        return among.param(ask.facet[0]), among.param(ask.facet[1])
    pair = grid_of(among.varying, list(among.params.values()))
    if pair is None:
        raise UserError("these runs make no grid: no two parameters have 2 to 8 values each; say: --facet ROWS COLUMNS")
    return pair


def _side(among: Chosen, name: str) -> tuple[Any, ...]:
    values = among.values_of(name)
    if len(values) > MOST_SIDE:
        raise UserError(
            f"{name} has {len(values)} values; a heat map has room for {MOST_SIDE}: --kind scatter shows them all"
        )
    return values


def _map(
    ask: Ask,
    among: Chosen,
    found: Figures,
    down: tuple[str, tuple[Any, ...]],
    across: tuple[str, tuple[Any, ...]],
    value: Any,
) -> Heat:
    by = (ask.by or "").removeprefix("params.")
    cells: dict[tuple[str, str], list[float]] = {}
    for one, figure in zip(found.runs, found.values, strict=True):
        if ask.by and key_of(among.of(one, by)) != key_of(value):
            continue
        place = key_of(among.of(one, down[0])), key_of(among.of(one, across[0]))
        cells.setdefault(place, []).append(figure)
    table = [
        [
            _folded(cells.get((key_of(row), key_of(col)), []), ask.aggregate, greatest=found.greatest)
            for col in across[1]
        ]
        for row in down[1]
    ]
    return Heat(
        title=f"{by} = {value_words(value)}" if ask.by else "",
        x_label=across[0],
        y_label=down[0],
        columns=tuple(map(value_words, across[1])),
        rows=tuple(map(value_words, down[1])),
        values=array(table),
        greatest=found.greatest
        if ask.aggregate in (Aggregate.BEST, Aggregate.WORST, Aggregate.MEAN, Aggregate.MEDIAN)
        else None,
    )


def _folded(values: list[float], how: Aggregate, *, greatest: bool) -> float:
    if how is Aggregate.COUNT:
        return float(len(values))
    if not values:
        return math.nan
    match how:
        case Aggregate.MEAN:
            return float(np.mean(values))
        case Aggregate.MEDIAN:
            return float(np.median(values))
        case Aggregate.STD:
            return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        case Aggregate.BEST:
            return max(values) if greatest else min(values)
        case _:
            return min(values) if greatest else max(values)


def _with_common_shades(maps: list[Heat], *, greatest: bool) -> list[Heat]:
    """One scale for all maps, so that they can be compared."""
    from dataclasses import replace

    every = np.unique(np.concatenate([one.values[np.isfinite(one.values)] for one in maps]))
    if not len(every):
        return maps
    found = []
    for one in maps:
        ranks = np.searchsorted(every, np.where(np.isfinite(one.values), one.values, every[0])) / max(len(every) - 1, 1)
        found.append(replace(one, shades=1 - ranks if not greatest and one.greatest is not None else ranks))
    return found
