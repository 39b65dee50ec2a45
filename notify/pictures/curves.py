"""The run's curves against the best of its siblings and the band in which they all lie."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from notify.choosing import is_training, panels, stem
from notify.pictures import paper
from notify.pictures.palette import (
    BAD,
    BAND,
    BEST,
    BEST_TRAINING,
    INK,
    MIDDLE,
    OTHERS,
    PAPER,
    RUN,
    RUN_TRAINING,
    SOFT,
)
from notify.story import Story
from store.metrics import Series

_LEFT, _RIGHT = 52, 14
_FIRST_PX, _OTHER_PX = 210, 110
_HEAD_PX, _FOOT_PX, _GAP_PX = 36, 38, 26
_FEW = 40


def curves(story: Story) -> bytes | None:
    """One panel for each group of metrics, the main one first and largest; None when there is nothing to draw."""
    by_name = {one.name: one for one in story.series if one.steps}
    about = story.standing.metric if story.standing else ""
    groups = [[name for name in group if name in by_name] for group in panels(list(by_name), about)]
    groups = [group for group in groups if group]
    if not groups:
        return None
    heights = [_FIRST_PX] + [_OTHER_PX] * (len(groups) - 1)
    total = sum(heights) + _HEAD_PX + _FOOT_PX + (_GAP_PX + 22) * (len(groups) - 1)
    made = paper.figure(paper.WIDTH_PX, total)
    top = _HEAD_PX
    for place, (group, height) in enumerate(zip(groups, heights, strict=True)):
        axis = paper.axes(made, _LEFT, top, paper.WIDTH_PX - _LEFT - _RIGHT, height)
        entries = _panel(axis, story, [by_name[name] for name in group], with_siblings=place == 0)
        title = stem(group[0]) if len(group) > 1 else group[0]
        paper.words(made, 12, top - 20, title, weight="bold")
        start = 12 + 7.2 * min(len(title), 60) + 18
        paper.legend(made, start, top - 20, entries, paper.WIDTH_PX - 4)
        paper.steps_axis(axis, _steps(group, by_name, story, place), label="step" if place == len(groups) - 1 else "")
        top += height + _GAP_PX + 22
    return paper.png(made)


def _panel(axis: Any, story: Story, group: Sequence[Series], *, with_siblings: bool) -> list[tuple[str, dict[str, Any]]]:  # fmt: skip
    hints: list[float] = []
    entries: list[tuple[str, dict[str, Any]]] = []
    if with_siblings:
        entries, hints = _siblings(axis, story, {one.name for one in group})
    styles = _styles(group)
    own = []
    for series, style in reversed(list(zip(group, styles, strict=True))):
        values = paper.as_drawn(series.values)
        marker = {"marker": "o", "markersize": 2.6} if len(values) < _FEW else {}
        axis.plot(series.steps, values, zorder=5, solid_capstyle="round", **style, **marker)
        own += values.tolist()
    paper.scale(axis, paper.limits(own, hints))
    for series in group:
        _not_finite(axis, series)
    if with_siblings:
        _best_point(axis, story, group)
    named = [(_name(series, group), style) for series, style in zip(group, styles, strict=True)]
    return named + entries


def _siblings(axis: Any, story: Story, names: set[str]) -> tuple[list[tuple[str, dict[str, Any]]], list[float]]:
    """Behind the run's own curves: the band, its middle, the best."""
    entries: list[tuple[str, dict[str, Any]]] = []
    hints: list[float] = []
    for series in story.best_series:
        if stem(series.name) in {stem(name) for name in names}:
            main = story.standing is not None and series.name == story.standing.metric
            style = {"color": BEST if main else BEST_TRAINING, "linewidth": 1.5 if main else 1.1}
            axis.plot(series.steps, paper.as_drawn(series.values), zorder=4 if main else 3, **style)
            hints += _robust(series.values)
            if main and story.standing:
                entries.append((f"best other ({story.standing.best_label})", style))
    band = story.band
    if band is not None and band.metric in names:
        axis.fill_between(band.steps, band.low, band.high, color=BAND, linewidth=0, zorder=1)
        axis.plot(band.steps, band.middle, color=MIDDLE, linewidth=1, zorder=2, dashes=(4, 2))
        entries.append((f"80 % of {band.count} others", {"color": BAND, "linewidth": 7, "solid_capstyle": "butt"}))
        hints += _robust([*band.low, *band.high])
    return entries, hints


def _robust(values: Iterable[float]) -> list[float]:
    """Without the first peaks, which would press everything flat."""
    found = paper.as_drawn(values)
    found = found[np.isfinite(found)]
    return [] if not len(found) else [float(found.min()), float(np.quantile(found, 0.98))]


def _styles(group: Sequence[Series]) -> list[dict[str, Any]]:
    """The first is the main one, in the run's own colour; training data paler; further ones in other colours."""
    others = iter(OTHERS)
    styles: list[dict[str, Any]] = []
    for place, series in enumerate(group):
        if place == 0:
            styles.append({"color": RUN, "linewidth": 1.8})
        elif is_training(series.name) and all(style["color"] != RUN_TRAINING for style in styles):
            styles.append({"color": RUN_TRAINING, "linewidth": 1.3})
        else:
            styles.append({"color": next(others, SOFT), "linewidth": 1.3})
    return styles


def _name(series: Series, group: Sequence[Series]) -> str:
    if len(group) == 1:
        return "this run"
    whose = series.name.removesuffix(stem(series.name)).rstrip("_/-. ").lower()
    return {"val": "validation", "valid": "validation", "train": "training", "": series.name}.get(whose, whose)


def _best_point(axis: Any, story: Story, group: Sequence[Series]) -> None:
    """A ring around the best value, with the number beside it."""
    told = story.standing
    if told is None or told.value is None or told.step is None or all(one.name != told.metric for one in group):
        return
    if not math.isfinite(told.value):
        return
    axis.plot([told.step], [told.value], "o", markersize=7, mfc=PAPER, mec=RUN, mew=1.6, zorder=7)
    above = told.greatest
    axis.annotate(
        f"{told.value:.4g}", (told.step, told.value), xytext=(0, -13 if above else 11), textcoords="offset points",
        ha="center", va="center", fontsize=paper.NORMAL, color=INK, weight="bold", zorder=8, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none", "alpha": 0.8},
    )  # fmt: skip


def _not_finite(axis: Any, series: Series) -> None:
    """From where on, or where, there is no number: marked at the foot of the axes."""
    bad = [step for step, value in zip(series.steps, series.values, strict=True) if not math.isfinite(value)]
    if not bad:
        return
    bottom = axis.get_ylim()[0]
    axis.plot(bad, [bottom] * len(bad), "|", color=BAD, markersize=9, mew=1.6, zorder=9, clip_on=False)
    kind = next(value for value in series.values if not math.isfinite(value))
    axis.annotate(
        f"{kind:g} from step {bad[0]}" if len(bad) > 1 else f"{kind:g} at step {bad[0]}", (bad[0], bottom),
        xytext=(-4, 9), textcoords="offset points", ha="right" if _is_late(axis, bad[0]) else "left",
        fontsize=paper.SMALL, color=BAD, zorder=9,
    )  # fmt: skip


def _is_late(axis: Any, step: float) -> bool:
    lines = [line.get_xdata() for line in axis.lines]
    known = [float(x) for data in lines for x in (data[0], data[-1])] if lines else [0.0]
    return step > (min(known) + max(known)) / 2


def _steps(group: Sequence[str], by_name: dict[str, Series], story: Story, place: int) -> list[float]:
    """Its own steps; those of others only as far as they are not several times as many."""
    own = [float(step) for name in group for step in (min(by_name[name].steps), max(by_name[name].steps))]
    if place or not story.best_series:
        return own
    reach = max(own) - min(own)
    others = [float(step) for one in story.best_series if one.steps for step in (one.steps[0], one.steps[-1])]
    return own + [min(step, max(own) + 1.5 * reach) if reach else step for step in others]


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """`█▅▃▂▁▁`: the same for the text part; a value that is not finite is `×`."""
    cells = [values[a:b] for a, b in pairwise(np.linspace(0, len(values), min(width, len(values)) + 1).astype(int))]
    ends = [next((v for v in reversed(cell) if math.isfinite(v)), math.nan) for cell in cells]
    known = [one for one in ends if math.isfinite(one)]
    if not known:
        return "×" * len(ends)
    least, room = min(known), max(known) - min(known)
    if not math.isfinite(room):
        return ""
    return "".join("×" if not math.isfinite(v) else "▁▂▃▄▅▆▇█"[round(7 * (v - least) / room) if room else 0] for v in ends)  # fmt: skip
