"""Where axes begin and end. Pure."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from notify.pictures import paper
from notify.pictures.paper import Ends
from plots.picture import Axis, Floats, Panel

_EDGE, _HEADROOM = 1.12, 0.13


def ends_of(panels: Sequence[Panel]) -> tuple[Ends, Ends]:
    """Common ends of these panels, x and y: everything that is drawn lies within."""
    x, y = panels[0].x, panels[0].y
    xs = _joined([stroke.xs for panel in panels for stroke in panel.strokes])
    bad = _joined([stroke.bad for panel in panels for stroke in panel.strokes])
    ys = _joined([stroke.ys for panel in panels for stroke in panel.strokes])
    bands = _joined([side for panel in panels for area in panel.areas for side in (area.low, area.high)])
    is_line = not any(stroke.dots for panel in panels for stroke in panel.strokes)
    across = _side(x, np.concatenate([xs, bad]), _whole if is_line else paper.limits)
    upward = _side(y, np.concatenate([ys, bands]), paper.limits)
    has_corner = any(panel.corner is not None for panel in panels)
    return across, _with_headroom(upward) if has_corner and y.ends is None else upward


def _with_headroom(ends: Ends) -> Ends:
    """Room for the numbers in the corners."""
    least, most, is_log = ends
    return (
        (least, most * (most / least) ** _HEADROOM, True)
        if is_log
        else (least, most + _HEADROOM * (most - least), False)
    )


def _side(axis: Axis, values: Floats, otherwise: Callable[[Iterable[float]], Ends]) -> Ends:
    if axis.ticks:
        places = [place for place, _ in axis.ticks]
        return min(places) - 0.5, max(places) + 0.5, False
    known = paper.finite(values)
    if axis.ends is not None:
        least, most = axis.ends
        return least, most, bool(axis.log) and least > 0
    if axis.log is None:
        return otherwise(known)
    positive = known[known > 0]
    if axis.log and len(positive):
        least, most = float(positive.min()), float(positive.max())
        return (least, most, True) if otherwise is _whole and most > least else (least / _EDGE, most * _EDGE, True)
    least, most, _ = _linear(known) if otherwise is not _whole else _whole(known)
    return least, most, False


def _whole(values: Iterable[float]) -> Ends:
    from notify.pictures.canvas import whole_ends

    return whole_ends(values)


def _linear(known: Floats) -> Ends:
    """Limits that are not logarithmic, whatever the values want."""
    if not len(known):
        return 0.0, 1.0, False
    least, most = float(known.min()), float(known.max())
    edge = 0.06 * (most - least) or max(abs(most), 1e-9) * 0.05
    return least - edge, most + edge, False


def _joined(many: Sequence[Floats]) -> Floats:
    return np.concatenate(many) if many else np.empty(0)
