"""Curves: runs, or groups of runs with mean and band, in one panel or in a grid of panels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from notify.pictures.palette import FADED, MANY, RUN, RUN_TRAINING
from notify.siblings import key_of
from notify.words import number
from plots import across, colours
from plots.asking import Ask, Kind, X
from plots.bands import Digest, Spread, grouped
from plots.chosen import Chosen
from plots.curves_asked import Cells, cells_of, drawn_runs, prepared
from plots.curves_look import Look, entries, hues_of, said, values
from plots.picture import Area, Panel, Picture, Stroke
from plots.reading import EPOCH_S, Line, line
from plots.words import value_words
from store.errors import UserError
from store.outcomes import Outcome
from store.store import Store

PER_ROW = 4
_SHOWN, _FAR, _FAR_APART = 0.985, 3.0, 20.0
_COLUMNS, _COLUMNS_IN_GRID, _COLUMNS_OF_MANY = 700, 160, 400


def curves(ask: Ask, among: Chosen, store: Store) -> Picture:
    """Of the kinds that show metrics as they go. Raises UserError."""
    ask, families = prepared(ask, among)
    names = [name for family in families for name in family]
    runs, notes = drawn_runs(ask, among, names)
    cells = cells_of(ask, among, runs)
    lines = _lines(ask, names, runs, cells, store)
    notes += _missing(ask, among, names, runs, lines)
    if not lines:
        raise UserError(f"{among.title}: there is nothing to draw: {'; '.join(notes) or 'no points yet'}")
    lines, x_label = _in_units(ask, lines)
    if ask.kind is Kind.GRID and ask.y_ends is None:
        ask, cut = _within(_scaled(ask, names[0], lines), lines)
        notes += cut
    look = Look(ask=ask, among=among, families=families, runs=runs, x_label=x_label, lines=tuple(lines))
    rows = _rows(look, cells)
    return Picture(
        title=" · ".join([", ".join(names[:3]) + (", …" if len(names) > 3 else ""), among.title]),
        rows=rows,
        entries=entries(look),
        shared=cells is not None,
        row_name=cells.row_name if cells else "",
        column_name=cells.column_name if cells else "",
        row_labels=tuple(map(value_words, cells.down)) if cells and cells.row_name else (),
        column_labels=tuple(map(value_words, cells.across)) if cells and cells.row_name else (),
        notes=(*said(look), *notes, *among.notes()),
    )


def _lines(ask: Ask, names: Sequence[str], runs: Sequence[Outcome], cells: Cells | None, store: Store) -> list[Line]:
    columns = _COLUMNS_IN_GRID if cells else _COLUMNS if len(runs) * len(names) <= 8 else _COLUMNS_OF_MANY
    found = []
    for one in runs:
        for name in names:
            if name in one.summary or (name == EPOCH_S and "epoch" in one.summary):
                made = line(one, name, ask, store, for_group=ask.by is not None, columns=columns)
                found += [made] if made is not None else []
    return found


def _missing(
    ask: Ask, among: Chosen, names: Sequence[str], runs: Sequence[Outcome], lines: Sequence[Line]
) -> list[str]:
    """Runs that are left out, by what they lack."""
    said = []
    for name in names:
        needed = "epoch" if name == EPOCH_S else name
        said.append(among.having(needed)[1])
    drawn = {one.run.id for one in lines}
    if ask.x not in (None, X.STEP, X.UPDATES, X.TIME):
        said.append(among.lacking(str(ask.x), [one for one in runs if one.id not in drawn]))
    for name in ask.facet:
        bare = name.removeprefix("params.")
        said.append(among.lacking(bare, [one for one in runs if among.of(one, bare) is None]))
    for axis, wanted in (("y", ask.log_y),):
        count = sum(one.not_positive for one in lines) if wanted else 0
        said += [f"{count:,} points are not above 0 and cannot be shown: {axis} is logarithmic"] if count else []
    return [one for one in said if one]


def _scaled(ask: Ask, main: str, lines: Sequence[Line]) -> Ask:
    """The main metric decides whether the axis is logarithmic: a training loss near nought would press it flat."""
    if ask.log_y is not None:
        return ask
    own = [one.ys[np.isfinite(one.ys)] for one in lines if one.metric == main]
    known = np.concatenate(own) if own else np.empty(0)
    wants = bool(len(known)) and known.min() > 0 and float(np.quantile(known, _SHOWN)) / known.min() > _FAR_APART
    return replace(ask, log="y" if wants else "none")


def _within(ask: Ask, lines: Sequence[Line]) -> tuple[Ask, list[str]]:
    """So that a run which diverged does not press all others flat: it leaves the panel at the top."""
    known = np.concatenate([one.ys[np.isfinite(one.ys)] for one in lines])
    if not len(known):
        return ask, []
    most, least = float(np.quantile(known, _SHOWN)), float(known.min())
    if most <= 0 or float(known.max()) < _FAR * most:
        return ask, []
    log = bool(ask.log_y) and least > 0
    ends = (least / 1.1, most * 1.3) if log else (least - 0.05 * (most - least), most + 0.1 * (most - least))
    over = len({one.run.id for one in lines if np.nanmax(one.ys, initial=-np.inf) > ends[1]})
    leave = "run leaves" if over == 1 else "runs leave"
    said = f"{over} {leave} the panels at the top, beyond {number(ends[1])}; all: --ylim"
    x = "x" if ask.log_x else ""
    return replace(ask, y_ends=ends, log=f"{x}y" if log else x or "none"), [said]


def _in_units(ask: Ask, lines: Sequence[Line]) -> tuple[list[Line], str]:
    """Seconds as minutes, hours or days."""
    label = across.label(ask.x or X.STEP)
    if ask.x != X.TIME:
        return list(lines), label
    most = max((float(one.xs.max()) for one in lines if len(one.xs)), default=0.0)
    name, size = across.time_unit(most)

    def scaled(one: Digest | None) -> Digest | None:
        return None if one is None else replace(one, xs=one.xs / size, bad=one.bad / size)

    shorter = [
        replace(
            one, xs=one.xs / size, bad=one.bad / size, digest=scaled(one.digest),
            raw_xs=None if one.raw_xs is None else one.raw_xs / size,
        )
        for one in lines
    ]  # fmt: skip
    return shorter, f"{label}, {name}"


def _rows(look: Look, cells: Cells | None) -> tuple[tuple[Panel | None, ...], ...]:
    if cells is None:
        per_row = 1 if len(look.families) <= 3 else 2
        made = [_panel(look, family, look.lines, title=_title(look, family)) for family in look.families]
        return tuple(tuple(made[start : start + per_row]) for start in range(0, len(made), per_row))
    if len(look.families) > 1 and cells.row_name:
        raise UserError(
            f"--facet A B shows one group of metrics, and here are {len(look.families)}: ask for fewer with -y"
        )
    rows = [
        [_cell(look, family, cells, down, over) for over in cells.across]
        for family in look.families
        for down in cells.down
    ]
    if cells.row_name:
        return tuple(map(tuple, _with_best(look, rows)))
    every = [panel for row in _with_best(look, rows) for panel in row]
    if len(look.families) > 1:
        return tuple(map(tuple, rows))
    return tuple(tuple(every[start : start + PER_ROW]) for start in range(0, len(every), PER_ROW))


def _cell(look: Look, family: list[str], cells: Cells, down: Any, over: Any) -> Panel:
    def lies_here(one: Outcome) -> bool:
        is_row = not cells.row_name or key_of(look.among.of(one, cells.row_name)) == key_of(down)
        return is_row and key_of(look.among.of(one, cells.column_name)) == key_of(over)

    title = "" if cells.row_name else f"{cells.column_name} = {value_words(over)}"
    lines = [one for one in look.lines if lies_here(one.run)]
    return _panel(look, family, lines, title=title, corner=True)


def _with_best(look: Look, rows: list[list[Panel]]) -> list[list[Panel]]:
    """The best cell of all is marked."""
    metric = look.families[0][0]
    known = [panel.corner for row in rows for panel in row if panel.corner is not None]
    if len(known) < 2:
        return rows
    best = max(known) if look.among.greatest(metric) else min(known)
    return [[replace(panel, best=panel.corner == best) for panel in row] for row in rows]


def _title(look: Look, family: Sequence[str]) -> str:
    return look.axes(family)[1].label if len(look.families) > 1 else ""


def _panel(look: Look, family: list[str], lines: Iterable[Line], *, title: str, corner: bool = False) -> Panel:
    here = [one for one in lines if one.metric in family]
    x, y = look.axes(family)
    found = _groups(look, family, here) if look.ask.by else (_strokes(look, family, here, in_grid=corner), ())
    bests = [value for one in here if (value := look.among.value(one.run, family[0])) is not None and value == value]
    best = (max(bests) if look.among.greatest(family[0]) else min(bests)) if bests and corner else None
    return Panel(
        title=title,
        x=x,
        y=y,
        strokes=found[0],
        areas=found[1],
        corner=best if best is not None and math.isfinite(best) else None,
    )


def _strokes(look: Look, family: list[str], lines: Sequence[Line], *, in_grid: bool) -> tuple[Stroke, ...]:
    """One line a run and metric; what comes first is drawn first, so the best run comes last."""
    order = {one.id: rank for rank, one in enumerate(look.runs)}
    local = {run: rank for rank, run in enumerate(dict.fromkeys(one.run.id for one in lines))}
    found = []
    for one in sorted(lines, key=lambda line: (-order[line.run.id], -family.index(line.metric))):
        place = family.index(one.metric)
        is_best = (local if in_grid else order)[one.run.id] == 0
        style = _style(look, family, one, place, is_best=is_best, in_grid=in_grid)
        name = one.metric if len(look.runs) == 1 else f"{look.among.names[one.run.id]} {one.metric}"
        if one.raw is not None and one.raw_xs is not None and style["colour"] != FADED:
            found.append(Stroke(xs=one.raw_xs, ys=one.raw, name=name, colour=style["colour"], raw=True, width=0.8))
        found.append(Stroke(xs=one.xs, ys=one.ys, bad=one.bad, name=name, **style))
    return tuple(found)


def _style(look: Look, family: list[str], one: Line, place: int, *, is_best: bool, in_grid: bool) -> dict[str, Any]:
    if len(look.runs) == 1:
        return {"colour": colours.of_metrics(family)[place], "width": 1.8 if place == 0 else 1.3}
    if in_grid:
        colour = FADED if not is_best else RUN if place == 0 else RUN_TRAINING
        return {"colour": colour, "width": 1.5 if is_best and place == 0 else 1.0}
    if look.is_many:
        return {"colour": RUN if is_best else FADED, "width": 1.8 if is_best else 0.9, "dashed": place > 0}
    rank = [run.id for run in look.runs].index(one.run.id)
    return {"colour": MANY[rank], "width": 1.5, "dashed": place > 0}


def _groups(look: Look, family: list[str], lines: Sequence[Line]) -> tuple[tuple[Stroke, ...], tuple[Area, ...]]:
    """One line and band for each value of the parameter and each metric."""
    assert look.ask.by is not None
    name = look.ask.by.removeprefix("params.")
    hues = hues_of(look)
    strokes, areas = [], []
    for place, metric in enumerate(family):
        for value in values(look):
            same = [
                one for one in lines if one.metric == metric and key_of(look.among.of(one.run, name)) == key_of(value)
            ]
            digests = [one.digest for one in same if one.digest is not None]
            if not digests:
                continue
            group, colour = grouped(digests, look.ask.spread), hues[key_of(value)]
            bad = sorted({float(x) for one in digests for x in one.bad})
            said = f"{name} = {value_words(value)} {metric} (n={group.count})"
            strokes.append(
                Stroke(xs=group.xs, ys=group.middle, colour=colour, name=said, bad=_array(bad), dashed=place > 0)
            )
            if group.count > 1 and look.ask.spread is not Spread.NONE:
                areas.append(Area(xs=group.xs, low=group.low, high=group.high, colour=colour))
    return tuple(strokes), tuple(areas)


def _array(values: Sequence[float]) -> Any:
    from plots.picture import array

    return array(values)
