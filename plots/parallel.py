"""Parallel coordinates: a line a run through its parameters and its figure."""

import math
from typing import Any

import numpy as np

from notify.pictures.palette import along
from notify.words import number
from plots.asking import Ask
from plots.chosen import Chosen
from plots.figures import Scale, figures, placed, scale, sides
from plots.picture import Entry, Floats, Parallel, Picture, Thread, Ticks
from plots.words import value_words
from store.store import Store

_MOST_AXES = 9
_STRONG = 3


def parallel(ask: Ask, among: Chosen, _store: Store) -> Picture:
    """The best three are drawn strongest."""
    found = figures(ask, among)
    names = sides(among, found, needed=1)
    notes = [*found.notes]
    if len(names) > _MOST_AXES:
        notes.append(f"the first {_MOST_AXES} of {len(names)} parameters")
    columns: list[tuple[Scale, list[Any]]] = []
    for name in names[:_MOST_AXES]:
        values = [among.params[one.id].get(name) for one in found.runs]
        columns.append((scale(name, values), values))
    columns.append((scale(found.metric, found.values), list(found.values)))
    places = np.array([_between(where, placed(where, values)) for where, values in columns])
    shares = found.shares
    threads = tuple(
        Thread(
            name=among.names[found.runs[run].id],
            places=tuple(places[:, run].tolist()),
            colour=along(0.06 + 0.94 * float(shares[run])),
            width=2.0 if rank >= len(found.runs) - _STRONG else 1.0,
        )
        for rank, run in enumerate(found.order)
    )
    axes = tuple((where.name, _marks(where, values)) for where, values in columns)
    best, worst = found.order[-1], found.order[0]
    entries = (
        Entry(text=f"best: {among.names[found.runs[best].id]} {number(found.values[best], 4)}", colour=along(1.0)),
        Entry(text=f"worst: {number(found.values[worst], 4)}", colour=along(0.06)),
    )
    return Picture(
        title=f"{found.metric} · {among.title}",
        rows=((Parallel(axes=axes, threads=threads),),),
        entries=entries,
        notes=tuple(notes),
    )


def _ends(where: Scale, values: list[Any]) -> tuple[float, float]:
    if where.values:
        return -0.5, len(where.values) - 0.5
    known = [where.of(value) for value in values if not math.isnan(where.of(value))]
    least, most = (min(known), max(known)) if known else (0.0, 1.0)
    return (math.log(least), math.log(most)) if where.is_log else (least, most)


def _between(where: Scale, places: Floats) -> Floats:
    least, most = _ends(where, places.tolist()) if not where.values else (-0.5, len(where.values) - 0.5)
    drawn = np.log(places) if where.is_log else places
    shares: Floats = (drawn - least) / ((most - least) or 1.0)
    return shares if most > least else np.where(np.isfinite(drawn), 0.5, np.nan)


def _marks(where: Scale, values: list[Any]) -> Ticks:
    """The values themselves where they are few, else the ends and round values between them."""
    from notify.pictures.canvas import ticks

    if where.values:
        count = len(where.values)
        return tuple(((place + 0.5) / count, value_words(value)[:14]) for place, value in enumerate(where.values))
    known = sorted({where.of(value) for value in values if not math.isnan(where.of(value))})
    if not known:
        return ()
    shown = known if len(known) <= 6 else [known[0], *ticks((known[0], known[-1], where.is_log), 4), known[-1]]
    least, most = _ends(where, values)
    room = (most - least) or 1.0
    found: list[tuple[float, str]] = []
    for value in sorted(set(shown)):
        place = ((math.log(value) if where.is_log else value) - least) / room if most > least else 0.5
        if not found or place - found[-1][0] > 0.045:
            found.append((place, number(value)))
    return tuple(found)
