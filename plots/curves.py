"""Curves: runs, or groups of runs with mean and band, in one panel or in a grid of panels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from notify.choosing import panels as families_of_one
from notify.pictures.palette import FADED, MANY, RUN, RUN_TRAINING
from notify.siblings import grid_of, key_of
from notify.words import number
from plots.words import value_words
from plots import across, colours
from plots.asking import Ask, Kind, X
from plots.bands import WORDS, Digest, Spread, grouped
from plots.chosen import Chosen
from plots.picture import Area, Axis, Entry, Panel, Picture, Stroke
from plots.reading import CLOCK, EPOCH_S, Line, line
from store.errors import UserError
from store.families import stem
from store.outcomes import Outcome
from store.store import Store

MOST_SIDES, PER_ROW = 12, 4
_SHOWN, _FAR, _FAR_APART = 0.985, 3.0, 20.0
_COLUMNS, _COLUMNS_IN_GRID, _COLUMNS_OF_MANY = 700, 160, 400
_NORMS = ("norm_", "gradient_norm", "update_ratio")


def curves(ask: Ask, among: Chosen, store: Store) -> Picture:
    """Of the kinds that show metrics as they go. Raises UserError."""
    ask, families = _prepared(ask, among)
    names = [name for family in families for name in family]
    runs, notes = _runs(ask, among, names)
    cells = _cells(ask, among, runs)
    lines = _lines(ask, among, names, runs, cells, store)
    notes += _missing(ask, among, names, runs, lines)
    if not lines:
        raise UserError(f"{among.title}: there is nothing to draw: {'; '.join(notes) or 'no points yet'}")
    lines, x_label = _in_units(ask, lines)
    if ask.kind is Kind.GRID and ask.y_ends is None:
        ask, cut = _within(ask, lines)
        notes += cut
    look = _Look(ask=ask, among=among, families=families, runs=runs, x_label=x_label, lines=tuple(lines))
    rows = _rows(look, cells)
    return Picture(
        title=" · ".join([", ".join(names[:3]) + (", …" if len(names) > 3 else ""), among.title]),
        rows=rows,
        entries=_entries(look),
        shared=cells is not None,
        row_name=cells.row_name if cells else "",
        column_name=cells.column_name if cells else "",
        row_labels=tuple(map(value_words, cells.down)) if cells and cells.row_name else (),
        column_labels=tuple(map(value_words, cells.across)) if cells and cells.row_name else (),
        notes=tuple([*_said(look), *notes, *among.notes()]),
    )


# ── what to draw ──
def _prepared(ask: Ask, among: Chosen) -> tuple[Ask, list[list[str]]]:
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
                raise UserError("time per epoch needs the metric epoch (or clock_epoch_s), which none of these runs has")
            return replace(ask, x=x or X.EPOCH, log=ask.log or "none"), [names or [name]]
        case Kind.NORMS:
            return replace(ask, x=x or (X.EPOCH if "epoch" in among.metrics else X.STEP)), _norms(names, among)
        case _:
            if names:
                return ask, _families(names)
            if len(among.outcomes) == 1:
                return ask, [list(group) for group in families_of_one(among.metrics)] or [[among.main_metric()]]
            return ask, [[among.main_metric()]]


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
            "none of these runs has norms of weights; the trainer logs norm_LAYER, and with watch = [\"layers\"] "
            "gradient_norm_LAYER and update_ratio_LAYER; a command: labq.watch(model)"
        )
    if len(among.outcomes) > 1:
        return [[name] for name in every]
    found = [[name for name in every if name.startswith(prefix)] for prefix in _NORMS]
    rest = [name for name in every if not name.startswith(_NORMS)]
    return [family for family in [*found, rest] if family]


def _runs(ask: Ask, among: Chosen, names: Sequence[str]) -> tuple[list[Outcome], list[str]]:
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


# ── panels ──
@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """What goes down and across. One parameter alone goes across, in rows of PER_ROW."""

    row_name: str = ""
    column_name: str
    down: tuple[Any, ...] = (None,)
    across: tuple[Any, ...]


def _cells(ask: Ask, among: Chosen, runs: Sequence[Outcome]) -> _Cells | None:
    if not ask.facet:
        return None
    drawn = Chosen(tuple(runs), among.directions)
    sides = [(name.removeprefix("params."), drawn.values_of(name.removeprefix("params."))) for name in ask.facet]
    for name, values in sides:
        if len(values) > MOST_SIDES:
            raise UserError(f"--facet {name}: has {len(values)} values; at most {MOST_SIDES} make a grid that can be read")
    if len(sides) == 1:
        return _Cells(column_name=sides[0][0], across=sides[0][1])
    (row_name, down), (column_name, over) = sides
    return _Cells(row_name=row_name, column_name=column_name, down=down, across=over)


def _lines(
    ask: Ask, among: Chosen, names: Sequence[str], runs: Sequence[Outcome], cells: _Cells | None, store: Store
) -> list[Line]:
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


def _within(ask: Ask, lines: Sequence[Line]) -> tuple[Ask, list[str]]:
    """So that a run which diverged does not press all others flat: it leaves the panel at the top."""
    known = np.concatenate([one.ys[np.isfinite(one.ys)] for one in lines])
    if not len(known):
        return ask, []
    most, least = float(np.quantile(known, _SHOWN)), float(known.min())
    if most <= 0 or float(known.max()) < _FAR * most:
        return ask, []
    log = least > 0 and most / least > _FAR_APART if ask.log_y is None else ask.log_y
    ends = (least / 1.1, most * 1.3) if log else (least - 0.05 * (most - least), most + 0.1 * (most - least))
    over = len({one.run.id for one in lines if np.nanmax(one.ys, initial=-np.inf) > ends[1]})
    said = f"{over} {'run leaves' if over == 1 else 'runs leave'} the panels at the top, beyond {number(ends[1])}; all: --ylim"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
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


def _rows(look: _Look, cells: _Cells | None) -> tuple[tuple[Panel | None, ...], ...]:
    if cells is None:
        per_row = 1 if len(look.families) <= 3 else 2
        made = [_panel(look, family, look.lines, title=_title(look, family)) for family in look.families]
        return tuple(tuple(made[start : start + per_row]) for start in range(0, len(made), per_row))
    if len(look.families) > 1 and cells.row_name:
        raise UserError(f"--facet A B shows one group of metrics, and here are {len(look.families)}: ask for fewer with -y")
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


def _cell(look: _Look, family: list[str], cells: _Cells, down: Any, over: Any) -> Panel:
    def lies_here(one: Outcome) -> bool:
        is_row = not cells.row_name or key_of(look.among.of(one, cells.row_name)) == key_of(down)
        return is_row and key_of(look.among.of(one, cells.column_name)) == key_of(over)

    title = "" if cells.row_name else f"{cells.column_name} = {value_words(over)}"
    lines = [one for one in look.lines if lies_here(one.run)]
    return _panel(look, family, lines, title=title, corner=True)


def _with_best(look: _Look, rows: list[list[Panel]]) -> list[list[Panel]]:
    """The best cell of all is marked."""
    metric = look.families[0][0]
    known = [float(panel.corner) for row in rows for panel in row if panel.corner]
    if len(known) < 2:
        return rows
    best = max(known) if look.among.greatest(metric) else min(known)
    return [[replace(panel, best=bool(panel.corner) and float(panel.corner) == best) for panel in row] for row in rows]


def _title(look: _Look, family: Sequence[str]) -> str:
    return look.axes(family)[1].label if len(look.families) > 1 else ""


def _panel(look: _Look, family: list[str], lines: Iterable[Line], *, title: str, corner: bool = False) -> Panel:
    here = [one for one in lines if one.metric in family]
    x, y = look.axes(family)
    found = _groups(look, family, here) if look.ask.by else (_strokes(look, family, here, in_grid=corner), ())
    bests = [value for one in here if (value := look.among.value(one.run, family[0])) is not None and value == value]
    best = (max(bests) if look.among.greatest(family[0]) else min(bests)) if bests and corner else None
    said = "" if best is None or not math.isfinite(best) else number(best)
    return Panel(title=title, x=x, y=y, strokes=found[0], areas=found[1], corner=said)


def _strokes(look: _Look, family: list[str], lines: Sequence[Line], *, in_grid: bool) -> tuple[Stroke, ...]:
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


def _style(look: _Look, family: list[str], one: Line, place: int, *, is_best: bool, in_grid: bool) -> dict[str, Any]:
    if len(look.runs) == 1:
        return {"colour": colours.of_metrics(family)[place], "width": 1.8 if place == 0 else 1.3}
    if in_grid:
        colour = FADED if not is_best else RUN if place == 0 else RUN_TRAINING
        return {"colour": colour, "width": 1.5 if is_best and place == 0 else 1.0}
    if look.is_many:
        return {"colour": RUN if is_best else FADED, "width": 1.8 if is_best else 0.9, "dashed": place > 0}
    rank = [run.id for run in look.runs].index(one.run.id)
    return {"colour": MANY[rank], "width": 1.5, "dashed": place > 0}


def _groups(look: _Look, family: list[str], lines: Sequence[Line]) -> tuple[tuple[Stroke, ...], tuple[Area, ...]]:
    """One line and band for each value of the parameter and each metric."""
    assert look.ask.by is not None
    name = look.ask.by.removeprefix("params.")
    hues = _hues(look)
    strokes, areas = [], []
    for place, metric in enumerate(family):
        for value in _values(look):
            same = [one for one in lines if one.metric == metric and key_of(look.among.of(one.run, name)) == key_of(value)]
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


def _values(look: _Look) -> tuple[Any, ...]:
    return look.among.values_of((look.ask.by or "").removeprefix("params."))


def _hues(look: _Look) -> dict[str, str]:
    return colours.of_values(_values(look))


# ── words ──
def _entries(look: _Look) -> tuple[Entry, ...]:
    found: list[Entry] = []
    if look.ask.by:
        name, hues = look.ask.by.removeprefix("params."), _hues(look)
        drawn = {key_of(look.among.of(one.run, name)) for one in look.lines}
        found = [
            Entry(text=f"{name} {value_words(value)} (n={_count(look, name, value)})", colour=hues[key_of(value)])
            for value in _values(look)
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
        crowded = len(look.runs) > len({tuple(key_of(look.among.of(one, name)) for name in look.ask.facet) for one in look.runs})
        return (*names, Entry(text="other runs of the cell", colour=FADED)) if crowded else tuple(names)
    if look.is_many:
        best = Entry(text=f"best: {_run_words(look, look.runs[0])}", colour=RUN)
        return (best, Entry(text=f"{len(look.runs) - 1} others", colour=FADED), *_dashes(look))
    runs = [Entry(text=_run_words(look, one), colour=MANY[place]) for place, one in enumerate(look.runs)]
    return (*runs, *_dashes(look))


def _dashes(look: _Look) -> list[Entry]:
    """Which metric is dashed, where two share a panel."""
    return [
        Entry(text=name, colour="#6b7280", dashed=place > 0)
        for family in look.families
        if len(family) > 1
        for place, name in enumerate(family)
    ]


def _count(look: _Look, name: str, value: Any) -> int:
    return len({one.run.id for one in look.lines if key_of(look.among.of(one.run, name)) == key_of(value)})


def _run_words(look: _Look, one: Outcome) -> str:
    """`#12 l1 1e-05, noise 0.1`"""
    differing = Chosen(tuple(look.runs), look.among.directions).varying
    values = look.among.params[one.id]
    told = ", ".join(f"{name} {value_words(values[name])}" for name in list(differing)[:3] if name in values)
    return f"{look.among.names[one.id]} {told}".strip()


def _said(look: _Look) -> list[str]:
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
