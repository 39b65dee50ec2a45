"""Pictures of messages, decoded: do the coloured pixels lie where the numbers are?"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from notify.made_up.notices import one_of_each
from notify.pictures import curves as curve_picture
from notify.pictures import grid as grid_picture
from notify.pictures import paper
from notify.pictures.canvas import Box, ticks
from notify.pictures.curves import curves, sparkline
from notify.pictures.palette import BAD, BAND, BEST, BEST_TRAINING, FADED, HUES, RUN, RUN_TRAINING
from notify.pictures.resources import resources
from notify.pictures.sweep import sides_of, sweep_picture
from notify.story import Band, Curve, Standing, Story, Sweep
from notify.thinning import band, thinned
from store.metrics import Series, as_curve
from store.occasions import Occasion
from store.outcomes import Outcome
from store.states import State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAN = math.nan
MADE = {notice.about: story for notice, story in one_of_each(("ada@lab.example",))}
Mask = npt.NDArray[np.bool_]


def series(name: str, values: Sequence[float], steps: Sequence[int] | None = None) -> Series:
    steps = tuple(steps if steps is not None else range(len(values)))
    return Series(name=name, steps=steps, times=tuple(map(float, steps)), values=tuple(values))


def falling(count: int = 200, top: float = 1.0, rate: float = 50.0) -> list[float]:
    return [0.1 + top * math.exp(-place / rate) for place in range(count)]


def decoded(png: bytes | None) -> npt.NDArray[np.int_]:
    assert png is not None
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.width == paper.WIDTH_PX * paper.SCALE
    return np.asarray(image.convert("RGB")).astype(int)


def of_colour(pixels: npt.NDArray[np.int_], colour: str, tolerance: int = 24) -> Mask:
    wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    mask: Mask = np.abs(pixels - wanted).max(axis=2) <= tolerance
    return mask


def inside(mask: Mask, box: Box) -> Mask:
    """The panel without its frame."""
    k = paper.SCALE
    part: Mask = mask[int(box.top * k) + 1 : int(box.bottom * k) - 2, int(box.left * k) + 1 : int(box.right * k) - 1]
    return part


def first_panel(story: Story) -> Box:
    group = [one for one in story.series if one.name in ("val_loss", "train_loss", "loss", "acc")]
    return curve_picture._box(
        story, group[::-1] if group[0].name.startswith("train") else group, curve_picture.HEAD, 214, with_siblings=True
    )


def heights(mask: Mask) -> dict[int, float]:
    """The middle of the coloured pixels in each column that has some."""
    return {x: float(np.flatnonzero(mask[:, x]).mean()) for x in range(mask.shape[1]) if mask[:, x].any()}


def expected(box: Box, one: Series) -> dict[int, float]:
    """The same, from the numbers."""
    k = paper.SCALE
    xs = (box.across(one.steps) - box.left) * k - 1
    ys = (box.down(one.values) - box.top) * k - 1
    columns = np.arange(int(np.nanmin(xs)) + 2, int(np.nanmax(xs)) - 2)
    return dict(zip(columns.tolist(), np.interp(columns, xs, ys).tolist(), strict=True))


@pytest.mark.parametrize(
    "make", [falling, lambda: falling()[::-1], lambda: [0.5 + 0.3 * math.sin(x / 20) for x in range(200)]]
)
def test_the_pixels_of_the_run_follow_its_numbers(make: Callable[[], list[float]]) -> None:
    story = Story(now=NOW, series=(series("val_loss", make()),))
    box = first_panel(story)
    drawn = heights(inside(of_colour(decoded(curves(story)), RUN), box))
    wanted = expected(box, story.series[0])
    assert len(drawn) > 0.97 * len(wanted)
    errors = [abs(drawn[x] - y) for x, y in wanted.items() if x in drawn]
    assert max(errors) < 8
    assert sum(errors) / len(errors) < 2


def test_a_falling_loss_falls_in_every_column() -> None:
    story = Story(now=NOW, series=(series("val_loss", falling()),))
    drawn = heights(inside(of_colour(decoded(curves(story)), RUN), first_panel(story)))
    ys = [drawn[x] for x in sorted(drawn)]
    assert all(later >= earlier - 0.6 for earlier, later in pairwise(ys))
    assert ys[-1] - ys[0] > 300


def test_the_band_and_the_best_sibling_lie_where_their_numbers_are() -> None:
    mine, best = series("val_loss", falling(top=1.0)), series("val_loss", falling(top=0.5))
    steps = tuple(float(step) for step in range(0, 200, 2))
    middle = np.array([0.1 + 0.8 * math.exp(-step / 50) for step in steps])
    around = Band(
        metric="val_loss", steps=steps, low=tuple(middle - 0.1), middle=tuple(middle), high=tuple(middle + 0.1), count=9
    )
    told = Standing(metric="val_loss", best_label="#3")
    story = Story(
        now=NOW, series=(mine,), best_series=(best, series("train_loss", falling(top=0.3))), band=around, standing=told
    )
    box, pixels = first_panel(story), decoded(curves(story))
    theirs = heights(inside(of_colour(pixels, BEST), box))
    wanted = expected(box, best)
    assert len(theirs) > 0.9 * len(wanted)
    assert np.median([abs(theirs[x] - y) for x, y in wanted.items() if x in theirs]) < 2
    assert inside(of_colour(pixels, BEST_TRAINING), box).sum() > 300
    shade = inside(of_colour(pixels, BAND, 6), box)
    k = paper.SCALE
    for column in (shade.shape[1] // 4, shade.shape[1] // 2, 3 * shade.shape[1] // 4):
        step = 199 * column / shade.shape[1]
        centre = 0.1 + 0.8 * math.exp(-step / 50)
        top, bottom = ((float(box.down([value])[0]) - box.top) * k for value in (centre + 0.1, centre - 0.1))
        strip = shade[:, column - 2 : column + 2]
        assert strip[int(top) + 4 : int(bottom) - 4].mean() > 0.6
        assert strip[int(top) - 40 : int(top) - 4].mean() < 0.2
        assert strip[int(bottom) + 4 : int(bottom) + 24].mean() < 0.2


def test_training_data_has_a_colour_of_its_own() -> None:
    story = Story(now=NOW, series=(series("val_loss", falling()), series("train_loss", falling(rate=30))))
    pixels = decoded(curves(story))
    assert inside(of_colour(pixels, RUN_TRAINING), first_panel(story)).sum() > 500


@pytest.mark.parametrize("odd", [NAN, math.inf, -math.inf])
def test_what_is_not_finite_is_a_gap_with_a_mark(odd: float) -> None:
    values = falling()
    values[80:120] = [odd] * 40
    story = Story(now=NOW, series=(series("val_loss", values),))
    box, pixels = first_panel(story), decoded(curves(story))
    mask, k = inside(of_colour(pixels, RUN), box), paper.SCALE
    left, right = ((float(box.across([step])[0]) - box.left) * k for step in (81, 118))
    assert not mask[:, int(left) + 4 : int(right) - 4].any()
    assert mask[:, : int(left) - 10].any()
    assert mask[:, int(right) + 10 :].any()
    marks = inside(of_colour(pixels, BAD), box)[-14:, int(left) : int(right)]
    assert marks.any(axis=0).mean() > 0.9


def test_a_point_alone_is_seen() -> None:
    story = Story(now=NOW, series=(series("val_loss", [0.3]),))
    assert inside(of_colour(decoded(curves(story)), RUN), first_panel(story)).sum() > 20


def test_a_wide_range_is_logarithmic_so_that_both_ends_are_seen() -> None:
    story = Story(now=NOW, series=(series("val_loss", [10.0 ** (3 - place / 40) for place in range(200)]),))
    box = first_panel(story)
    assert box.y[2]
    drawn = heights(inside(of_colour(decoded(curves(story)), RUN), box))
    ys = np.array([drawn[x] for x in sorted(drawn)])
    assert np.abs(ys - np.linspace(ys[0], ys[-1], len(ys))).max() < 6


def test_siblings_that_diverged_do_not_press_the_run_flat() -> None:
    wild = series("val_loss", [1.0 + 1e6 * place for place in range(200)])
    story = Story(
        now=NOW,
        series=(series("val_loss", falling()),),
        best_series=(wild,),
        standing=Standing(metric="val_loss", best_label="#1"),
    )
    drawn = heights(inside(of_colour(decoded(curves(story)), RUN), first_panel(story)))
    assert max(drawn.values()) - min(drawn.values()) > 60


def test_the_best_value_is_ringed_and_nothing_is_drawn_of_nothing() -> None:
    assert curves(Story(now=NOW)) is None
    assert curves(Story(now=NOW, series=(series("val_loss", []),))) is None
    assert resources(MADE[Occasion.TEST]) is None
    told = Standing(metric="val_loss", value=0.1, step=199)
    plain = Story(now=NOW, series=(series("val_loss", falling()),))
    ringed = replace(plain, standing=told)
    dots = [inside(of_colour(decoded(curves(one)), RUN), first_panel(one))[:, -30:].sum() for one in (plain, ringed)]
    assert dots[1] > dots[0]


# ── sweeps ──
def test_a_grid_has_a_panel_with_curves_for_each_pair_of_values() -> None:
    sweep = MADE[Occasion.SWEEP_FINISHED].sweep
    assert sweep is not None
    assert sides_of(sweep) == ("l1", "noise")
    pixels = decoded(sweep_picture(sweep))
    places = grid_picture._places(sweep, "l1", "noise", grid_picture._ends(sweep.curves, with_training=False))
    assert len(places) == 16
    plain, stopped = (of_colour(pixels, hue) for hue in HUES[:2])
    for place in places.values():
        assert inside(plain, place).any(axis=0).mean() > 0.03  # of one that diverged there is little to see
        early = inside(stopped, place)
        assert early.any(axis=0).mean() > 0.25
        ys = [y for _, y in sorted(heights(early).items())]
        assert ys[-1] > ys[0] + 20
    framed = [cell for cell, place in places.items() if _frame_share(plain, place) > 0.95]
    best = sweep.ranked[0].outcome.params
    assert framed == [(grid_picture.key_of(best["l1"]), grid_picture.key_of(best["noise"]))]


def _frame_share(mask: Mask, place: Box) -> float:
    k = paper.SCALE
    rows = mask[int(place.bottom * k) - 2 : int(place.bottom * k) + 2, int(place.left * k) : int(place.right * k)]
    return float(rows.any(axis=0).mean())


def made_sweep(params: Sequence[dict[str, Any]], metric: str = "val_loss") -> Sweep:
    from notify.siblings import labels, ranked, varying
    from store.runs import MetricSummary

    lowest = [0.2 + 0.01 * place for place in range(len(params))]
    outcomes = [
        Outcome(
            id=f"run{place:03}", experiment="e", params=one, index=place, state=State.FINISHED, queued_at=NOW,
            summary={metric: MetricSummary(last=low, last_step=99, count=100, min=low, min_step=99, max=1.0, max_step=0)},
        )
        for place, (one, low) in enumerate(zip(params, lowest, strict=True))
    ]  # fmt: skip
    curves = tuple(
        Curve(
            run=one.id, label=f"#{one.index}", params=one.params, state=one.state, best=low,
            series=series(metric, [low + math.exp(-x / 20) for x in range(100)]),
        )
        for one, low in zip(outcomes, lowest, strict=True)
    )  # fmt: skip
    return Sweep(
        experiment="e", total=len(params), read=len(params), metric=metric, varying=varying(outcomes),
        ranked=tuple(ranked(outcomes, metric, labels(outcomes))), curves=curves,
    )  # fmt: skip


def test_a_cell_whose_run_failed_says_so() -> None:
    sweep = made_sweep([{"a": a, "b": b} for a in (1, 2) for b in (1, 2)])
    gone = replace(sweep.curves[3], series=None, best=None, state=State.FAILED)
    sweep = replace(sweep, curves=(*sweep.curves[:3], gone))
    pixels = decoded(sweep_picture(sweep))
    places = list(grid_picture._places(sweep, "a", "b", grid_picture._ends(sweep.curves, with_training=True)).values())
    red = [int(inside(of_colour(pixels, BAD), place).sum()) for place in places]
    assert red[:3] == [0, 0, 0]
    assert red[3] > 20


@pytest.mark.parametrize(
    "params",
    [
        [
            {"lr": 0.1 / (place + 1), "kind": ["adam", "sgd"][place % 2], "deep": {"units": place * 7}}
            for place in range(12)
        ],
        [{"lr": 0.1 * (place + 1)} for place in range(9)],
        [{"kind": f"a very long name of a kind {place}"} for place in range(6)],
        [{"seed": 1}] * 5,
        [{"x": NAN if place == 2 else float(place), "y": None if place else [1, 2]} for place in range(9)],
        [{"only": 1}],
    ],
)
def test_a_sweep_without_a_grid_has_all_curves_and_each_parameter(params: list[dict[str, Any]]) -> None:
    sweep = made_sweep(params)
    assert sides_of(sweep) is None
    pixels = decoded(sweep_picture(sweep))
    assert of_colour(pixels, RUN).sum() > 500
    faded = of_colour(pixels, FADED, 3)[70:430, 100:]
    assert (faded.any(axis=0).mean() > 0.5) == (len(params) > 3)
    assert (pixels.shape[0] > 600) == bool(sweep.varying)


def test_nothing_is_drawn_of_a_sweep_without_numbers() -> None:
    assert sweep_picture(Sweep(experiment="e")) is None
    assert sweep_picture(replace(made_sweep([{"a": 1}]), curves=())) is None


# ── resources ──
def test_memory_before_the_end_rises_towards_its_limit() -> None:
    pixels = decoded(resources(MADE[Occasion.FAILED]))
    k = paper.SCALE
    panel = of_colour(pixels, RUN)[34 * k : 114 * k, 46 * k :]
    ys = [y for _, y in sorted(heights(panel).items())]
    assert ys[0] - ys[-1] > 40
    limit = of_colour(pixels, BAD)[34 * k : 114 * k, 46 * k :]
    assert limit.any(axis=0).mean() > 0.5


# ── numbers behind pictures ──
def test_thinning_keeps_peaks_gaps_and_ends() -> None:
    values = [math.sin(place / 5000) for place in range(100_000)]
    values[41_234], values[77_777] = 9.0, -9.0
    values[50_000:60_000] = [NAN] * 10_000
    few = thinned(as_curve(series("x", values)))
    assert len(few.steps) <= 2800
    assert {9.0, -9.0, values[0], values[-1]} <= set(few.values)
    assert any(math.isnan(value) for value in few.values)
    assert list(few.steps) == sorted(few.steps)
    short = series("x", [1.0, NAN])
    assert repr(thinned(as_curve(short))) == repr(short)


def test_the_band_counts_each_run_only_where_it_has_been() -> None:
    runs = [series("x", [float(level)] * 100) for level in range(10)] + [
        series("x", [100.0] * 10),
        series("x", [NAN] * 50),
    ]
    found = band("x", runs)
    assert found is not None
    assert found.count == 11
    assert found.low[-1] == pytest.approx(0.9)
    assert found.high[-1] == pytest.approx(8.1)
    assert found.middle[0] == 5.0
    assert band("x", runs[:2]) is None
    later = band("x", [series("x", [1.0, 1.0], [start, start + 10]) for start in (0, 100, 200)])
    assert later is not None
    assert all(math.isnan(value) for value in later.middle)


def test_courses_in_text() -> None:
    assert sparkline([1.0, 0.5, 0.0, NAN]) == "█▅▁×" or sparkline([1.0, 0.5, 0.0, NAN]) == "█▄▁×"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([NAN]) == "×"
    assert sparkline([]) == ""
    assert len(sparkline(falling(1000))) == 16
    assert sparkline([1e308, -1e308]) == ""


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [((0.0, 1.0, False), [0.0, 0.5, 1.0]), ((0.01, 10.0, True), [0.01, 1.0]), ((0.0, 400.0, False), [0.0, 200.0, 400.0]), ((5.0, 5.0, False), [])],
)  # fmt: skip
def test_axes_have_round_numbers(ends: tuple[float, float, bool], wanted: list[float]) -> None:
    found = ticks(ends)
    assert all(any(math.isclose(value, one, abs_tol=1e-12) for one in found) for value in wanted)
    assert len(found) <= 4
