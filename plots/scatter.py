"""A dot a run: the figure against each parameter, or parameters against each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from notify.pictures.palette import BEST, RUN, along
from notify.siblings import key_of, rising
from plots import colours
from plots.asking import Ask
from plots.chosen import Chosen
from plots.figures import Figures, Scale, column, figures, placed, scale, sides
from plots.picture import Entry, Floats, Panel, Picture, Stroke
from plots.words import value_words
from queueing.query.mistake import guess
from store.errors import UserError
from store.store import Store

PER_ROW, MOST_PAIRS, MOST_PANELS = 3, 6, 12
_CLASSES = 6
_JITTER = 0.12


def scatter(ask: Ask, among: Chosen, _store: Store) -> Picture:
    """`--x A`: one panel; else one for each parameter that differs."""
    found = figures(ask, among)
    names = [_known(ask.x, among)] if ask.x else sides(among, found, needed=1)[:MOST_PANELS]
    groups, entries = _groups(ask, among, found)
    ys = scale(found.metric, found.values, log=ask.log_y)
    panels = [_panel(ask, among, found, name, ys, groups) for name in names]
    return Picture(
        title=f"{found.metric} · {among.title}",
        rows=_in_rows(panels),
        entries=entries,
        notes=found.notes,
    )


def pairs(ask: Ask, among: Chosen, _store: Store) -> Picture:
    """Every pair of parameters; the colour tells how good a run is."""
    found = figures(ask, among)
    names = sides(among, found, needed=2)
    notes = [*found.notes]
    if len(names) > MOST_PAIRS:
        notes.append(f"the first {MOST_PAIRS} of {len(names)} parameters: {', '.join(names[:MOST_PAIRS])}")
    names = names[:MOST_PAIRS]
    groups, entries = _by_rank(found)
    rows = []
    for below, y_name in enumerate(names[1:], 1):
        row: list[Panel | None] = [
            _pair(among, found, x_name, y_name, groups) if place < below else None
            for place, x_name in enumerate(names[:-1])
        ]
        rows.append(tuple(row))
    return Picture(
        title=f"{found.metric} over pairs of parameters · {among.title}",
        rows=tuple(rows),
        entries=entries,
        notes=tuple(notes),
    )


def _known(name: str, among: Chosen) -> str:
    bare = name.removeprefix("params.")
    params = {key for one in among.params.values() for key in one}
    if bare not in params and bare not in among.metrics:
        raise UserError(
            f"--x {name}: is neither a parameter nor a metric of these runs{guess(bare, [*params, *among.metrics])}"
        )
    return bare


Group = tuple[str, str, Floats]
"""Name, colour, places of the runs."""


def _groups(ask: Ask, among: Chosen, found: Figures) -> tuple[list[Group], tuple[Entry, ...]]:
    if not ask.by:
        best = max(range(len(found.runs)), key=lambda place: found.shares[place])
        others = np.array([place for place in range(len(found.runs)) if place != best], dtype=np.int64)
        name = f"best: {among.names[found.runs[best].id]}"
        return [("runs", RUN, others), (name, BEST, np.array([best]))], (
            Entry(text=f"{len(found.runs)} runs", colour=RUN, dot=True),
            Entry(text=name, colour=BEST, dot=True),
        )
    bare = among.param(ask.by)
    values = [among.of(one, bare) for one in found.runs]
    distinct = sorted({key_of(value): value for value in values}.values(), key=rising)
    hues = colours.of_values(distinct)
    groups = [
        (
            f"{bare} {value_words(value)}",
            hues[key_of(value)],
            np.array([i for i, one in enumerate(values) if key_of(one) == key_of(value)]),
        )
        for value in distinct
    ]
    return groups, tuple(Entry(text=name, colour=colour, dot=True) for name, colour, _ in groups)


def _by_rank(found: Figures) -> tuple[list[Group], tuple[Entry, ...]]:
    """Some classes from the worst to the best, the best drawn last."""
    order, groups, entries = found.order, [], []
    for part in np.array_split(np.array(order), min(_CLASSES, len(order))):
        colour = along(float(found.shares[part].mean()))
        ends = sorted((found.values[int(part[0])], found.values[int(part[-1])]))
        name = f"{ends[0]:.3g} – {ends[1]:.3g}" if len(part) > 1 else f"{ends[0]:.3g}"
        groups.append((name, colour, part))
        entries.append(Entry(text=name, colour=colour, dot=True))
    return groups, tuple(entries)


def _panel(ask: Ask, among: Chosen, found: Figures, name: str, ys: Scale, groups: Sequence[Group]) -> Panel:
    values, _ = column(among, found, name, last=ask.last)
    across = scale(name, values, log=ask.log_x)
    return Panel(
        x=across.axis,
        y=ys.axis,
        strokes=_dots(placed(across, values), placed(ys, found.values), groups, spread=bool(across.values)),
    )


def _pair(among: Chosen, found: Figures, x_name: str, y_name: str, groups: Sequence[Group]) -> Panel:
    """Runs of one point would hide each other: those on a grid lie a little beside it, the same way every time."""
    xs, ys = (
        (among.params[one.id].get(x_name) for one in found.runs),
        (among.params[one.id].get(y_name) for one in found.runs),
    )
    listed = list(xs), list(ys)
    scales = scale(x_name, listed[0]), scale(y_name, listed[1])
    points = _apart(placed(scales[0], listed[0]), scales[0]), _apart(placed(scales[1], listed[1]), scales[1], turn=1)
    return Panel(x=scales[0].axis, y=scales[1].axis, strokes=_dots(*points, groups, spread=False))


def _apart(places: Floats, where: Scale, turn: int = 0) -> Floats:
    known = np.unique(places[np.isfinite(places)])
    if len(known) < 2 or len(known) * 2 > len(places):
        return places
    shift = np.random.default_rng(turn).uniform(-_JITTER, _JITTER, len(places))
    if where.is_log:
        places = np.log(places)
        known = np.log(known)
    shifted: Floats = places + shift * np.diff(known).min()
    return np.exp(shifted) if where.is_log else shifted


def _dots(xs: Floats, ys: Floats, groups: Sequence[Group], *, spread: bool) -> tuple[Stroke, ...]:
    shift = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(xs)) if spread else np.zeros(len(xs))
    made: list[Any] = []
    for name, colour, places in groups:
        if len(places):
            made.append(
                Stroke(
                    xs=xs[places] + shift[places],
                    ys=ys[places],
                    name=name,
                    colour=colour,
                    dots=True,
                    width=2.4 if colour == BEST else 1.7,
                )
            )
    return tuple(made)


def _in_rows(panels: Sequence[Panel]) -> tuple[tuple[Panel | None, ...], ...]:
    return tuple(tuple(panels[start : start + PER_ROW]) for start in range(0, len(panels), PER_ROW))
