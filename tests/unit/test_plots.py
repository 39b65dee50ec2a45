"""Pictures of runs: are the numbers that are drawn those that were reported?"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps import INF, NAN, NOW, add, an_experiment

from notify.pictures.canvas import Canvas
from notify.pictures.palette import RUN, RUN_TRAINING
from plots.across import along, joined, running_s, time_unit
from plots.asking import Ask, Kind, X
from plots.at_end import AT_END
from plots.bands import Spread, digest, grouped
from plots.drawing import drawn, height_of
from plots.ends import ends_of
from plots.files import made
from plots.making import picture
from plots.picture import Axis, Bars, Heat, Panel, Parallel, Picture, Stroke, array
from plots.plain import as_json
from plots.smoothing import smoothed
from plots.terminal import text
from queueing.results.pivot import Aggregate
from store.errors import UserError
from store.memory import MemoryStore
from store.metrics import Curve
from store.runs import Attempt
from store.states import State
from store.store import RunQuery


@pytest.fixture
def store() -> MemoryStore:
    made_store = MemoryStore()
    an_experiment(made_store)
    return made_store


def asked(*which: str, **more: Any) -> Ask:
    return Ask(which=which or ("exp",), **more)


def panels(one: Picture) -> list[Panel]:
    return [piece for piece in one.pieces if isinstance(piece, Panel)]


def curve(values: Sequence[float], steps: Sequence[int] | None = None, name: str = "loss") -> Curve:
    steps = list(steps if steps is not None else range(len(values)))
    return Curve(name=name, steps=np.array(steps), times=array(steps), values=array(values))


class TestSmoothing:
    @pytest.mark.parametrize("weight", [0.1, 0.5, 0.9, 0.99, 0.9999])
    def test_it_is_the_moving_average_of_the_equation(self, weight: float) -> None:
        values = np.random.default_rng(0).normal(3, 1, 5000)
        total, expected = 0.0, []
        for count, value in enumerate(values, 1):
            total = weight * total + (1 - weight) * value
            expected.append(total / (1 - weight**count))
        assert smoothed(values, weight) == pytest.approx(expected, rel=1e-9)

    def test_it_begins_where_the_values_begin(self) -> None:
        assert smoothed(array([5.0, 5.0, 5.0]), 0.99) == pytest.approx([5.0, 5.0, 5.0])

    def test_what_is_not_finite_stays_and_is_not_averaged(self) -> None:
        found = smoothed(array([1.0, NAN, 3.0, INF, 3.0]), 0.5)
        assert np.isnan(found[1])
        assert np.isinf(found[3])
        assert found[[0, 2, 4]] == pytest.approx(smoothed(array([1.0, 3.0, 3.0]), 0.5))

    def test_no_weight_is_no_change(self) -> None:
        assert smoothed(array([1.0, NAN, 2.0]), 0.0)[[0, 2]].tolist() == [1.0, 2.0]


class TestBands:
    def test_runs_of_the_same_steps_are_not_interpolated(self) -> None:
        many = [digest(array([0, 1, 2]), array(values)) for values in ([1, 2, 3], [3, 2, 7])]
        found = grouped(many, Spread.MIN_MAX)
        assert found.middle.tolist() == [2, 2, 5]
        assert (found.low.tolist(), found.high.tolist()) == ([1, 2, 3], [3, 2, 7])

    def test_each_run_counts_only_where_it_was(self) -> None:
        found = grouped(
            [digest(array([0, 1, 2]), array([1, 1, 1])), digest(array([0, 1]), array([3, 3]))], Spread.MIN_MAX
        )
        assert found.middle.tolist() == [2, 2, 1]

    def test_standard_deviations_and_quantiles(self) -> None:
        many = [digest(array([0.0, 1.0]), array([value, value])) for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
        std = grouped(many, Spread.STD)
        assert std.high[0] - std.middle[0] == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
        middle = grouped(many, Spread.QUANTILES)
        assert (middle.low[0], middle.middle[0], middle.high[0]) == (2.0, 3.0, 4.0)

    def test_a_peak_of_one_point_among_100000_is_in_the_band(self) -> None:
        values = np.ones(100_000)
        values[54_321] = 1e6
        found = grouped(
            [digest(np.arange(100_000.0), values), digest(np.arange(100_000.0), np.ones(100_000))], Spread.MIN_MAX
        )
        assert np.nanmax(found.high) == 1e6
        assert len(found.xs) < 3000

    def test_nothing_is_invented_where_nothing_is_finite(self) -> None:
        found = grouped([digest(array([0, 1, 2]), array([1, NAN, 1]))], Spread.MIN_MAX)
        assert np.isnan(found.middle).tolist() == [False, True, False]


class TestAcross:
    def test_epochs_lie_between_their_reports(self) -> None:
        epochs = curve([1, 2, 3], [10, 20, 30], "epoch")
        assert along(curve([0] * 5, [0, 5, 10, 25, 35]), epochs).tolist() == [0, 0.5, 1, 2.5, 3.5]

    def test_time_leaves_out_what_lies_between_two_attempts(self) -> None:
        def attempt(number: int, start: float, end: float | None) -> Attempt:
            ended = None if end is None else NOW + timedelta(seconds=end)
            return Attempt(number=number, worker="w", started_at=NOW + timedelta(seconds=start), ended_at=ended)

        times = NOW.timestamp() + array([0, 50, 1000, 1010])
        found = running_s(times, [attempt(1, 0, 100), attempt(2, 1000, None)])
        assert found.tolist() == [0, 50, 100, 110]

    def test_another_metric_is_joined_by_the_step(self) -> None:
        xs, ys = joined(curve([1, 2, 3], [0, 10, 20]), curve([7, 8], [10, 20]))
        assert (xs.tolist(), ys.tolist()) == ([7, 8], [2, 3])

    @pytest.mark.parametrize(("seconds", "unit"), [(30, "s"), (600, "min"), (90_000, "h"), (900_000, "days")])
    def test_times_are_short_numbers(self, seconds: float, unit: str) -> None:
        assert time_unit(seconds)[0] == unit


class TestCurves:
    def test_a_run_without_the_metric_is_left_out_and_named(self, store: MemoryStore) -> None:
        add(store, 0, {"lr": 1}, {"val_loss": [3, 2, 1]})
        add(store, 1, {"lr": 2}, {"other": [3, 2, 1]})
        add(store, 2, {"lr": 3}, {"val_loss": [4, 3, 2]})
        found = picture(asked(y=("val_loss",)), store)
        assert "1 of 3 runs has no val_loss: #1" in found.notes
        strokes = panels(found)[0].strokes
        assert sorted(stroke.ys.tolist() for stroke in strokes) == [[3, 2, 1], [4, 3, 2]]

    def test_what_is_not_finite_breaks_the_line_and_is_marked_and_is_never_0(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"loss": [1.0, NAN, 2.0, INF, 3.0]})
        found = picture(asked(y=("loss",)), store)
        (stroke,) = panels(found)[0].strokes
        assert np.isnan(stroke.ys).tolist() == [False, True, False, True, False]
        assert stroke.bad.tolist() == [1, 3]
        assert 0.0 not in stroke.ys
        assert any("1 run has values that are not finite" in note for note in found.notes)

    def test_a_long_curve_keeps_its_one_peak_and_its_one_gap(self, store: MemoryStore) -> None:
        values = np.ones(50_000)
        values[31_337], values[40_000] = 99.0, NAN
        add(store, 0, {}, {"loss": values.tolist()})
        (stroke,) = panels(picture(asked(), store))[0].strokes
        assert len(stroke.xs) < 4000
        assert stroke.xs[np.nanargmax(stroke.ys)] == 31_337
        assert stroke.xs[np.isnan(stroke.ys)].tolist() == [40_000]

    def test_a_wrong_name_says_what_was_meant(self, store: MemoryStore) -> None:
        add(store, 0, {"lr": 1}, {"val_loss": [1]})
        for more, said in [
            ({"y": ("val_los",)}, "unknown metric 'val_los', did you mean 'val_loss'?"),
            ({"by": "lrr"}, "unknown parameter 'lrr', did you mean 'lr'?"),
            ({"by": "val_loss"}, "'val_loss' is a metric"),
            ({"x": "epochs"}, "unknown metric 'epochs'"),
            ({"kind": Kind.GRID}, "no two parameters"),
            ({"kind": Kind.NORMS}, "norms of weights"),
            ({"kind": Kind.EPOCHTIME}, "time per epoch needs"),
        ]:
            with pytest.raises(UserError, match=re.escape(said)):
                picture(asked(**more), store)

    @pytest.mark.parametrize(("which", "said"), [("epx", "did you mean 'exp'?"), ("lr>5", "no run matches 'lr>5'")])
    def test_runs_that_are_not_there(self, store: MemoryStore, which: str, said: str) -> None:
        add(store, 0, {"lr": 1}, {"val_loss": [1]})
        with pytest.raises(UserError, match=re.escape(said)):
            picture(asked(which), store)

    def test_groups_have_a_mean_and_a_band_and_the_words_say_which(self, store: MemoryStore) -> None:
        for index, (l1, low) in enumerate([(1, 2.0), (1, 4.0), (2, 10.0), (2, 20.0)]):
            add(store, index, {"l1": l1, "seed": index}, {"loss": [low, low]})
        found = picture(asked(by="l1", y=("loss",)), store)
        panel = panels(found)[0]
        assert [stroke.ys.tolist() for stroke in panel.strokes] == [[3, 3], [15, 15]]
        assert [(area.low[0], area.high[0]) for area in panel.areas] == [(2, 4), (10, 20)]
        assert [entry.text for entry in found.entries] == ["l1 1 (n=2)", "l1 2 (n=2)"]
        assert any("from the least to the greatest" in note for note in found.notes)
        assert panels(picture(asked(by="l1", y=("loss",), spread=Spread.NONE), store))[0].areas == ()

    def test_smoothing_draws_the_raw_curve_behind(self, store: MemoryStore) -> None:
        values = np.random.default_rng(0).normal(5, 1, 100).tolist()
        add(store, 0, {}, {"loss": values})
        raw, smooth = panels(picture(asked(y=("loss",), smooth=0.9), store))[0].strokes
        assert raw.raw
        assert raw.ys.tolist() == values
        assert smooth.ys == pytest.approx(smoothed(array(values), 0.9))

    def test_the_best_few_only(self, store: MemoryStore) -> None:
        for index in range(5):
            add(store, index, {"a": index}, {"loss": [index], "accuracy": [index]})
        assert [stroke.ys[0] for stroke in panels(picture(asked(y=("loss",), top=2), store))[0].strokes] == [1, 0]
        assert [stroke.ys[0] for stroke in panels(picture(asked(y=("accuracy",), top=1), store))[0].strokes] == [4]
        least = picture(asked(y=("accuracy",), top=1, smaller=frozenset({"accuracy"})), store)
        assert [stroke.ys[0] for stroke in panels(least)[0].strokes] == [0]

    def test_more_runs_than_the_limit_are_chosen_evenly_and_that_is_said(self, store: MemoryStore) -> None:
        for index in range(12):
            add(store, index, {"a": index}, {"loss": [index]})
        found = picture(asked(y=("loss",), limit=3), store)
        assert sorted(stroke.ys[0] for stroke in panels(found)[0].strokes) == [0, 6, 11]
        assert any(note.startswith("3 of 12 runs are drawn") for note in found.notes)

    def test_a_grid_has_each_run_in_its_cell_and_marks_the_best(self, store: MemoryStore) -> None:
        for index, (l1, noise) in enumerate([(1, 10), (1, 20), (2, 10), (2, 20)]):
            add(store, index, {"l1": l1, "noise": noise}, {"val_loss": [5, index + 1], "train_loss": [4, index]})
        found = picture(asked(kind=Kind.GRID), store)
        assert (found.row_name, found.row_labels, found.column_name, found.column_labels) == (
            "l1",
            ("1", "2"),
            "noise",
            ("10", "20"),
        )
        assert [[panel.corner for panel in row] for row in found.rows] == [[1, 2], [3, 4]]
        assert [panel.best for panel in panels(found)] == [True, False, False, False]
        for index, panel in enumerate(panels(found)):
            drawn_lines = {stroke.colour: stroke.ys.tolist() for stroke in panel.strokes}
            assert drawn_lines == {RUN: [5, index + 1], RUN_TRAINING: [4, index]}

    def test_a_grid_is_not_pressed_flat_by_a_run_that_diverged(self, store: MemoryStore) -> None:
        for index, (l1, noise) in enumerate([(1, 10), (1, 20), (2, 10), (2, 20)]):
            values = [1.0] * 99 + [1e9] if index == 3 else [1.0] * 50 + [0.5] * 50
            add(store, index, {"l1": l1, "noise": noise}, {"val_loss": values})
        found = picture(asked(kind=Kind.GRID), store)
        assert ends_of(panels(found))[1][1] < 5
        assert any("1 run leaves the panels at the top" in note for note in found.notes)
        assert ends_of(panels(picture(asked(kind=Kind.GRID, y_ends=(0.0, 2e9)), store)))[1][:2] == (0.0, 2e9)

    def test_one_facet_goes_across(self, store: MemoryStore) -> None:
        for index in range(6):
            add(store, index, {"noise": index % 3}, {"loss": [index]})
        found = picture(asked(y=("loss",), facet=("noise",)), store)
        assert [panel.title for panel in panels(found)] == ["noise = 0", "noise = 1", "noise = 2"]
        assert [{stroke.ys[0] for stroke in panel.strokes} for panel in panels(found)] == [{0, 3}, {1, 4}, {2, 5}]

    def test_updates_are_counted_from_the_steps_on_a_logarithmic_axis(self, store: MemoryStore) -> None:
        add(store, 0, {"batch": 1}, {"val_loss": ([10, 100, 1000], [3, 2, 1])})
        (panel,) = panels(picture(asked(kind=Kind.UPDATES), store))
        assert panel.x == Axis(label="updates of the weights", log=True)
        assert panel.strokes[0].xs.tolist() == [10, 100, 1000]

    def test_the_time_of_epochs_comes_from_the_clock_or_from_the_reports(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"epoch": ([5, 10, 15], [1, 2, 3]), "loss": [1, 1]})
        (stroke,) = panels(picture(asked(kind=Kind.EPOCHTIME), store))[0].strokes
        assert stroke.xs.tolist() == [2, 3]
        assert stroke.ys == pytest.approx([1.0, 1.0])  # a point a second
        add(store, 1, {}, {"epoch": [1, 2], "clock_epoch_s": [7, 8]})
        (stroke,) = panels(picture(asked("exp0001", kind=Kind.EPOCHTIME), store))[0].strokes
        assert stroke.ys.tolist() == [7, 8]

    def test_norms_of_one_run_lie_together_and_of_several_layer_by_layer(self, store: MemoryStore) -> None:
        for index in range(2):
            add(
                store,
                index,
                {"a": index},
                {"norm_W": [1, 2], "norm_U": [3, 4], "gradient_norm": [5, 6], "loss": [1, 1]},
            )
        one = panels(picture(asked("exp0000", kind=Kind.NORMS), store))
        assert [{stroke.name for stroke in panel.strokes} for panel in one] == [{"norm_W", "norm_U"}, {"gradient_norm"}]
        assert [panel.y.label for panel in panels(picture(asked(kind=Kind.NORMS), store))] == [
            "gradient_norm",
            "norm_U",
            "norm_W",
        ]

    def test_runs_that_have_not_begun_are_counted(self, store: MemoryStore) -> None:
        name = add(store, 0, {}, {"loss": [1]})
        store.add_runs([replace(store.run(name), id="waits", key="waits", state=State.QUEUED, attempt=0, summary={})])
        assert "1 run has not begun yet" in picture(asked(), store).notes
        with pytest.raises(UserError, match="none of 1 runs has begun yet"):
            picture(asked("waits"), store)

    def test_time_is_drawn_in_a_unit_that_fits(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"loss": [1.0] * 601}, state=None)
        panel = panels(picture(asked(x=X.TIME), store))[0]
        assert panel.x.label == "running time, min"
        assert panel.strokes[0].xs[-1] == pytest.approx(10)


class TestKinds:
    @pytest.fixture
    def sweep(self, store: MemoryStore) -> MemoryStore:
        """The loss is lr + noise / 100, but for `act`, which does nothing."""
        dice = np.random.default_rng(3)
        for index in range(48):
            params = {
                "lr": [0.1, 0.2, 0.4, 0.8][index % 4],
                "noise": index // 4 % 3,
                "act": ["tanh", "relu"][index // 12 % 2],
            }
            value = params["lr"] + params["noise"] / 100 + dice.normal(0, 1e-3)
            add(store, index, params, {"val_loss": [9.0, value, value + 1]})
        return store

    def test_importance_finds_what_matters(self, sweep: MemoryStore) -> None:
        pytest.importorskip("sklearn")
        found = picture(asked(kind=Kind.IMPORTANCE), sweep)
        (bars,) = found.pieces
        assert isinstance(bars, Bars)
        assert bars.bars[0].name == "lr"
        values = {bar.name: bar.value for bar in bars.bars}
        assert values["lr"] > 1 > 5 * values["noise"]
        assert abs(values["act"]) < 0.05
        assert re.search(r"explains (9\d|100)%", found.notes[0])

    def test_importance_says_when_it_knows_nothing(self, store: MemoryStore) -> None:
        pytest.importorskip("sklearn")
        dice = np.random.default_rng(0)
        for index in range(12):
            add(store, index, {"a": index % 3, "b": index % 2}, {"loss": [dice.normal()]})
        assert any("says next to nothing" in note for note in picture(asked(kind=Kind.IMPORTANCE), store).notes)

    def test_importance_refuses_a_handful_of_runs(self, store: MemoryStore) -> None:
        for index in range(9):
            add(store, index, {"a": index}, {"loss": [index]})
        with pytest.raises(UserError, match="needs at least 10 runs with a finite loss, and here are 9"):
            picture(asked(kind=Kind.IMPORTANCE), store)

    def test_a_heat_map_has_the_best_of_each_cell(self, sweep: MemoryStore) -> None:
        found = picture(asked(kind=Kind.HEATMAP, facet=("noise", "lr")), sweep)
        (heat,) = found.pieces
        assert isinstance(heat, Heat)
        assert (heat.rows, heat.columns) == (("0", "1", "2"), ("0.1", "0.2", "0.4", "0.8"))
        for i, noise in enumerate([0, 1, 2]):
            for j, lr in enumerate([0.1, 0.2, 0.4, 0.8]):
                runs = [
                    one
                    for one in list(sweep.outcomes(RunQuery(experiment="exp")))
                    if one.params["noise"] == noise and one.params["lr"] == lr
                ]
                assert heat.values[i, j] == min(one.summary["val_loss"].min for one in runs)
        counts = picture(asked(kind=Kind.HEATMAP, facet=("noise", "lr"), aggregate=Aggregate.COUNT), sweep).pieces[0]
        assert isinstance(counts, Heat)
        assert counts.values.sum() == 48

    def test_scatter_has_a_dot_for_every_run(self, sweep: MemoryStore) -> None:
        found = panels(picture(asked(kind=Kind.SCATTER, last=True), sweep))
        assert [panel.x.label for panel in found] == ["lr", "noise", "act"]
        for panel in found:
            ys = sorted(float(y) for stroke in panel.strokes for y in stroke.ys)
            assert ys == sorted(
                one.summary["val_loss"].last for one in list(sweep.outcomes(RunQuery(experiment="exp")))
            )
        assert [text for _, text in found[2].x.ticks] == ["relu", "tanh"]

    def test_pairs_are_the_lower_triangle(self, sweep: MemoryStore) -> None:
        found = picture(asked(kind=Kind.PAIRS), sweep)
        labels = [[panel and (panel.x.label, panel.y.label) for panel in row] for row in found.rows]  # type: ignore[union-attr]
        assert labels == [[("lr", "noise"), None], [("lr", "act"), ("noise", "act")]]

    def test_parallel_lines_cross_each_axis_at_their_value(self, sweep: MemoryStore) -> None:
        (piece,) = picture(asked(kind=Kind.PARALLEL), sweep).pieces
        assert isinstance(piece, Parallel)
        assert [name for name, _ in piece.axes] == ["lr", "noise", "act", "val_loss"]
        best = piece.threads[-1]
        assert best.places[0] == 0.0
        assert best.places[3] == 0.0
        assert {thread.places[1] for thread in piece.threads} == {0.0, 0.5, 1.0}
        assert {thread.places[2] for thread in piece.threads} == {0.25, 0.75}

    def test_runs_without_a_finite_figure_are_left_out_and_counted(self, store: MemoryStore) -> None:
        add(store, 0, {"a": 1}, {"loss": [1]})
        add(store, 1, {"a": 2}, {"loss": [NAN]})
        add(store, 2, {"a": 3}, {"other": [1]})
        found = picture(asked(kind=Kind.SCATTER, y=("loss",), x="a"), store)
        assert "1 of 3 runs has no loss: #2" in found.notes
        assert "1 of 3 runs has a loss that is not finite, and is left out" in found.notes
        assert sum(len(stroke.xs) for stroke in panels(found)[0].strokes) == 1


class TestClassifiers:
    END = '{"epoch": 4, "loss": 0.2, "errors": {}, "confusion": {"mood": [[3, 1], [0, 4]]}, "features": [0.1, 0.5, -0.01]}'

    def test_confusion_and_features_come_from_the_end_of_a_run(self, store: MemoryStore, tmp_path: Path) -> None:
        add(store, 0, {}, {"val_loss": [1]}, files={AT_END: self.END}, folder=tmp_path)
        add(store, 1, {}, {"val_loss": [1]})
        found = picture(asked(kind=Kind.CONFUSION), store)
        (heat,) = found.pieces
        assert isinstance(heat, Heat)
        assert heat.values.tolist() == [[3, 1], [0, 4]]
        assert heat.shades is not None
        assert heat.shades.tolist() == [[0.75, 0.25], [0, 1]]
        assert heat.title == "#0 mood, epoch 4: 87.5% right"
        assert "1 of 2 runs has no confusion matrix: #1" in found.notes
        (bars,) = picture(asked(kind=Kind.FEATURES), store).pieces
        assert isinstance(bars, Bars)
        assert [(bar.name, bar.value) for bar in bars.bars] == [
            ("feature 1", 0.5),
            ("feature 0", 0.1),
            ("feature 2", -0.01),
        ]

    def test_an_epoch_of_the_watched_file_may_be_asked_for(self, store: MemoryStore, tmp_path: Path) -> None:
        lines = "epoch,class,answered_0,answered_1\n1,0,1,2\n1,1,3,4\n2,0,5,6\n2,1,7,8\n"
        add(store, 0, {}, {"val_loss": [1]}, files={"confusion-mood-from-epoch-1.csv": lines}, folder=tmp_path)
        for epoch, matrix in ((None, [[5, 6], [7, 8]]), (1, [[1, 2], [3, 4]])):
            heat = picture(asked(kind=Kind.CONFUSION, epoch=epoch), store).pieces[0]
            assert isinstance(heat, Heat)
            assert heat.values.tolist() == matrix
        with pytest.raises(UserError, match="there is no confusion matrix of epoch 3"):
            picture(asked(kind=Kind.CONFUSION, epoch=3), store)

    def test_metrics_of_features_come_before_the_file(self, store: MemoryStore) -> None:
        add(store, 0, {"a": 1}, {"val_loss": [1], "feature_0": [0.5, 0.2], "feature_1": [0, 0.4]})
        add(store, 1, {"a": 2}, {"val_loss": [1], "feature_0": [0.4], "feature_1": [0.6]})
        (bars,) = picture(asked(kind=Kind.FEATURES), store).pieces
        assert isinstance(bars, Bars)
        assert [(bar.name, bar.value, bar.low, bar.high) for bar in bars.bars] == [
            ("feature 1", 0.5, 0.4, 0.6), ("feature 0", pytest.approx(0.3), 0.2, 0.4),
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", [Kind.FEATURES, Kind.CONFUSION])
    def test_runs_that_kept_nothing_say_how_to_get_it(self, store: MemoryStore, kind: Kind) -> None:
        add(store, 0, {}, {"val_loss": [1]})
        with pytest.raises(UserError, match=r"answers-at-end\.json"):
            picture(asked(kind=kind), store)

    @pytest.mark.parametrize("wrong", ["", "[]", '{"epoch": 1}', END.replace("[3, 1], [0, 4]", "[3, 1]")])
    def test_a_file_of_somebody_else_is_named(self, store: MemoryStore, tmp_path: Path, wrong: str) -> None:
        add(store, 0, {}, {"val_loss": [1]}, files={AT_END: wrong}, folder=tmp_path)
        with pytest.raises(UserError, match=r"answers-at-end\.json of run exp0000 is not what the trainer writes"):
            picture(asked(kind=Kind.CONFUSION), store)


class Recorder(Canvas):
    """A canvas that remembers lines."""

    def __init__(self, width_px: float, height_px: float) -> None:
        super().__init__(width_px, height_px)
        self.seen: list[tuple[dict[str, Any], list[tuple[Any, Any]]]] = []

    def lines(self, many: Sequence[tuple[Any, Any]], **style: Any) -> None:
        self.seen.append((style, list(many)))
        super().lines(many, **style)


class TestPaper:
    def drawn_line(self, one: Picture, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
        monkeypatch.setattr("plots.drawing.Canvas", Recorder)
        canvas = drawn(one)
        assert isinstance(canvas, Recorder)
        ((_, [(xs, ys)]),) = [call for call in canvas.seen if call[0].get("color") == "#123456"]
        return np.asarray(xs), np.asarray(ys)

    def test_a_drawn_line_lies_where_its_values_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = array([3.0, 1.0, NAN, 2.0])
        one = Picture(
            title="t", rows=((Panel(strokes=(Stroke(xs=array([0, 1, 2, 4]), ys=values, colour="#123456"),)),),)
        )
        xs, ys = self.drawn_line(one, monkeypatch)
        assert np.isnan(ys).tolist() == [False, False, True, False]
        assert np.diff(xs[[0, 1, 3]])[1] / np.diff(xs[[0, 1, 3]])[0] == pytest.approx(3)
        assert (ys[1] - ys[3]) / (ys[1] - ys[0]) == pytest.approx(0.5)  # pixels go down
        assert ys[0] < ys[3] < ys[1]

    def test_a_logarithmic_axis_has_powers_at_equal_distances(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stroke = Stroke(xs=array([1, 10, 100]), ys=array([1, 100, 10_000]), colour="#123456")
        one = Picture(title="t", rows=((Panel(x=Axis(log=True), y=Axis(log=True), strokes=(stroke,)),),))
        xs, ys = self.drawn_line(one, monkeypatch)
        assert np.diff(xs)[0] == pytest.approx(np.diff(xs)[1])
        assert np.diff(ys)[0] == pytest.approx(np.diff(ys)[1])

    @pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
    def test_every_format_is_the_same_each_time_and_needs_nothing_else(
        self, store: MemoryStore, kind: str, begins: bytes
    ) -> None:
        add(store, 0, {}, {"loss": [3, 2, 1, NAN]})
        first, again = (made(picture(asked(), store), kind) for _ in range(2))
        assert first.startswith(begins)
        assert first == again
        if kind == "svg":
            assert not re.findall(rb'(?:href|src)="(?!#)[^"]*"', first)

    def test_odd_letters_and_long_names_are_drawn(self, store: MemoryStore) -> None:
        add(store, 0, {"$x_{1}$": "ä" * 300}, {"lo$s^2\n": [1, 2]})
        add(store, 1, {"$x_{1}$": "<b>&"}, {"lo$s^2\n": [1, 2]})
        assert made(picture(asked(by="$x_{1}$"), store), "svg")

    def test_a_picture_is_as_high_as_it_says(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"loss": [1, 2], "val_loss": [1, 2], "accuracy": [0, 1]})
        one = picture(asked(), store)
        assert drawn(one)._made.get_figheight() * 100 == pytest.approx(height_of(one))


class TestTerminal:
    def test_text_has_no_escapes_where_nobody_looks(self, store: MemoryStore) -> None:
        add(store, 0, {"lr": 1}, {"val_loss": [3, 2, 1]})
        add(store, 1, {"lr": 2}, {"val_loss": [NAN, NAN, NAN], "other": [1]})
        plain = text(picture(asked(y=("val_loss",)), store), 70, 20, colours=False)
        assert "\x1b" not in plain
        assert max(map(len, plain.splitlines())) <= 100
        assert "⠉" in plain or "⠑" in plain or "⢄" in plain
        assert "\x1b[" in text(picture(asked(y=("val_loss",)), store), 70, 20, colours=True)

    def test_panels_stand_beside_each_other_where_there_is_room(self, store: MemoryStore) -> None:
        for index in range(4):
            add(store, index, {"a": index % 2, "b": index // 2}, {"loss": [3, index]})
        one = picture(asked(kind=Kind.GRID), store)
        wide, narrow = (text(one, width, 40, colours=False).splitlines() for width in (100, 50))
        assert len(wide) < len(narrow)
        assert all(len(line) <= 50 for line in narrow[1:] if "│" in line)

    def test_a_gap_is_not_bridged(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"loss": [1.0] * 40 + [NAN] * 20 + [1.0] * 40})
        lines = text(picture(asked(y=("loss",)), store), 80, 20, colours=False).splitlines()
        row = next(line for line in lines if "⠉⠉⠉" in line or "⠤⠤⠤" in line or "⣀⣀⣀" in line or "⠒⠒⠒" in line)
        body = row.split("┤")[-1].split("│")[-2 if row.endswith("│") and "┤" not in row else 0]
        assert "      " in body.strip("│ ")

    def test_json_has_the_numbers(self, store: MemoryStore) -> None:
        add(store, 0, {}, {"loss": [1.0, NAN]})
        told = as_json(picture(asked(y=("loss",)), store))
        (stroke,) = told["rows"][0][0]["strokes"]
        assert stroke["ys"] == [1.0, None]
        assert math.isfinite(stroke["xs"][0])
