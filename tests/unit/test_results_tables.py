"""Tables of results: what stands in them, in which order, and what is said about names that mean nothing. Pure."""

import math
import statistics
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from queueing.results.asking import Ask
from queueing.results.lines import Lines
from queueing.results.order import best_first
from queueing.results.pivot import Aggregate
from queueing.results.record import Directions
from queueing.results.report import Report, report
from queueing.results.statistics import deviation, mean_of, median_of
from queueing.results.table import Kind, Mean, Measured, Median, Table, flattened
from queueing.results.terminal import fitting
from queueing.results.words import cell_words, numeral
from store.errors import BadQuery, UserError
from store.experiments import Experiment
from store.memory import MemoryStore
from store.runs import Ending, MetricSummary, Run, Task
from store.states import Reason, State

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAN, INF = math.nan, math.inf
finite = some.integers(-(10**9), 10**9).map(lambda whole: whole / 1000)


def a_metric(least: float | None, *, step: int = 3, last: float = 9.0) -> MetricSummary:
    if least is None:
        return MetricSummary(last=NAN, last_step=9, count=9)
    return MetricSummary(last=last, last_step=9, count=9, min=least, min_step=step, max=last, max_step=9)


def a_run(
    name: str, loss: float | None = None, *, metrics: dict[str, MetricSummary] | None = None, **changes: Any
) -> Run:
    summary = {} if loss is None else {"val_loss": a_metric(loss)}
    base = {
        "key": name, "experiment": "e", "params": {}, "task": Task(workdir="/"), "queued_at": NOW, "state": State.FINISHED,
        "summary": summary | (metrics or {}), "started_at": NOW, "ended_at": NOW + timedelta(minutes=5), "attempt": 1,
    }  # fmt: skip
    return Run(id=name, **{**base, **changes})  # type: ignore[arg-type]


def asked(runs: list[Run], text: str = "e", **ask: Any) -> Report:
    store = MemoryStore(clock=lambda: NOW + timedelta(hours=1))
    for name in {run.experiment for run in runs}:
        store.add_experiment(Experiment(name=name, owner="me", source="/e.toml", text="", created_at=NOW))
    store.add_runs(runs)
    return report(Ask(text=text, **ask), store)


def dicts(table: Table | Lines) -> list[dict[str, Any]]:
    flat = flattened(table.table() if isinstance(table, Lines) else table)
    names = [column.name for column in flat.columns]
    return [dict(zip(names, row, strict=True)) for row in flat.rows()]


def rows(runs: list[Run], text: str = "e", **ask: Any) -> list[dict[str, Any]]:
    return dicts(asked(runs, text, **ask).lines)


def column(found: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in found]


# ── statistics ──
def test_the_interval_is_that_of_a_textbook() -> None:
    """Ten values, mean 10.05, s = 0.2877; t(0.975, 9) = 2.262157."""
    values = [9.8, 10.2, 10.4, 9.8, 10.0, 10.2, 9.6, 10.4, 9.9, 10.2]
    found = mean_of(values, 0.95)
    assert found is not None
    assert found.mean == pytest.approx(10.05)
    assert found.half_width == pytest.approx(2.262157 * statistics.stdev(values) / math.sqrt(10), rel=1e-6)


@given(some.lists(finite, min_size=2, max_size=20), some.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_scipy(values: list[float], level: float) -> None:
    found = mean_of(values, level)
    assert found is not None
    assert found.half_width is not None
    if len(set(values)) == 1:
        assert (found.mean, found.half_width) == (values[0], 0.0)
        return
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    scale = max(abs(value) for value in values)
    assert found.mean - found.half_width == pytest.approx(low, rel=1e-7, abs=1e-9 * scale)
    assert found.mean + found.half_width == pytest.approx(high, rel=1e-7, abs=1e-9 * scale)


@given(some.lists(finite, min_size=1, max_size=20))
def test_median_and_quartiles_are_those_of_numpy(values: list[float]) -> None:
    found = median_of(values)
    assert found is not None
    assert (found.q1, found.median, found.q3) == pytest.approx(
        tuple(np.quantile(values, [0.25, 0.5, 0.75])), rel=1e-12, abs=1e-9
    )


def test_one_run_has_a_mean_but_no_interval_and_none_has_nothing() -> None:
    assert mean_of([3.0], 0.95) == Mean(mean=3.0, half_width=None, n=1)
    assert mean_of([], 0.95) is None
    assert median_of([]) is None
    assert math.isnan(deviation([1.0]))


def test_nan_and_infinity_show_in_what_is_made_of_them() -> None:
    for values in ([1.0, NAN], [INF, -INF, 1.0]):
        found = mean_of(values, 0.95)
        assert found is not None
        assert math.isnan(found.mean)
        assert math.isnan(found.half_width or 0)
    assert mean_of([1.0, INF], 0.95) is not None
    assert getattr(mean_of([1.0, INF], 0.95), "mean") == INF  # noqa: B009
    assert median_of([1.0, INF, INF, 2.0]) == Median(median=INF, q1=1.75, q3=INF, n=4)
    assert math.isnan(getattr(median_of([1.0, NAN]), "q1"))  # noqa: B009
    assert getattr(mean_of([1.7e308, 1.7e308, 1.0], 0.95), "mean") == pytest.approx(1.1333e308, rel=1e-4)  # noqa: B009


# ── order ──
def test_what_is_missing_comes_last_whichever_way_round() -> None:
    values = [None, 2.0, NAN, 1.0, INF, -INF, None]
    assert best_first(values, descending=False) == [5, 3, 1, 4, 2, 0, 6]
    assert best_first(values, descending=True) == [4, 1, 3, 5, 2, 0, 6]
    assert best_first(["b", 3, "a", None], descending=False) == [1, 2, 0, 3]
    assert best_first(["b", 3, "a", None], descending=True) == [1, 0, 2, 3]


# ── a row per run ──
RUNS = [
    a_run("a", 0.5, params={"lr": 0.1, "act": "tanh", "data": {"train": "x"}}),
    a_run("b", 0.3, params={"lr": 0.01, "act": "tanh", "data": {"train": "y"}}, attempt=3),
    a_run("c", params={"lr": 1, "act": "tanh", "data": {"train": "x"}}, state=State.FAILED, reason=Reason.DIVERGED),
    a_run("d", params={"lr": 2, "act": "tanh", "data": {"train": "x"}}, metrics={"val_loss": a_metric(None)}),
    a_run("e", 0.4, params={"lr": 3, "act": "tanh", "data": {"train": "x"}}, metrics={"acc": a_metric(0.1, last=0.9), "clock_s": a_metric(1.0)}),
]  # fmt: skip


def test_a_row_has_what_varies_what_became_of_it_and_best_and_last_of_each_metric() -> None:
    found = rows(RUNS)
    assert list(found[0]) == [
        "run", "lr", "data.train", "state", "reason", "attempts", "duration_s", "best.val_loss", "best_step.val_loss",
        "last.val_loss", "last_step.val_loss", "best.acc", "best_step.acc", "last.acc", "last_step.acc",
    ]  # fmt: skip
    assert found[1] == {
        "run": "b", "lr": 0.01, "data.train": "y", "state": "finished", "reason": None, "attempts": 3, "duration_s": 300.0,
        "best.val_loss": 0.3, "best_step.val_loss": 3, "last.val_loss": 9.0, "last_step.val_loss": 9,
        "best.acc": None, "best_step.acc": None, "last.acc": None, "last_step.acc": None,
    }  # fmt: skip
    assert (found[2]["state"], found[2]["reason"], found[2]["best.val_loss"]) == ("failed", "diverged", None)
    assert (found[4]["best.acc"], found[4]["best_step.acc"]) == (0.9, 9), "of an accuracy the greatest is the best"


def test_the_best_come_first_nan_after_all_numbers_and_missing_last() -> None:
    assert column(rows(RUNS, sort="val_loss"), "run") == ["b", "e", "a", "d", "c"]
    assert column(rows(RUNS, sort="val_loss", reverse=True), "run") == ["a", "e", "b", "d", "c"]
    assert column(rows(RUNS, best=2), "run") == ["b", "e"]
    assert column(rows(RUNS, sort="val_loss", directions=Directions(greater=frozenset({"val_loss"}))), "run")[0] == "a"
    assert column(rows(RUNS, sort="lr", best=2), "run") == ["b", "a"]
    nan = rows(RUNS, sort="val_loss")[3]
    assert math.isnan(nan["best.val_loss"])
    assert math.isnan(nan["last.val_loss"])
    assert nan["best_step.val_loss"] is None


def test_columns_are_those_that_were_asked_for_in_that_order() -> None:
    names = (
        "last.val_loss",
        "best_step.val_loss",
        "params.lr",
        "act",
        "tags",
        "ended_at",
        "min.acc",
        "count.acc",
        "id",
        "duration",
    )
    (found,) = rows(RUNS, "e and acc > 0", columns=names)
    assert found == {
        "last.val_loss": 9.0, "best_step.val_loss": 3, "lr": 3, "act": "tanh", "tags": None,
        "ended_at": NOW + timedelta(minutes=5), "min.acc": 0.1, "count.acc": 9, "run": "e", "duration_s": 300.0,
    }  # fmt: skip


def test_a_run_that_runs_has_lasted_until_now_and_one_that_waits_has_not() -> None:
    runs = [
        a_run("a", state=State.RUNNING, ended_at=None),
        a_run("b", state=State.QUEUED, started_at=None, ended_at=None, attempt=0),
    ]
    assert column(rows(runs), "duration_s") == [3600.0, None]


def test_a_query_over_experiments_names_them_and_a_parameter_called_like_a_column_keeps_its_prefix() -> None:
    runs = [
        a_run("a", params={"state": 1}),
        a_run("b", experiment="f", params={"state": 2}, ending=Ending(message="no")),
    ]
    found = rows(runs, "state = finished")
    assert [(row["run"], row["experiment"], row["params.state"]) for row in found] == [("a", "e", 1), ("b", "f", 2)]
    assert column(rows(runs, "", columns=("message",)), "message") == [None, "no"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"columns": ("lrr",)}, "there is no column 'lrr', did you mean 'lr'?"),
        (
            {"columns": ("zzzz",)},
            "there is no column 'zzzz'; there are metrics acc, clock_s, val_loss; parameters lr, act, data.train; and run",
        ),
        ({"columns": ("lr", "params.lr")}, "the column 'lr' is given twice"),
        ({"columns": ("params.l",)}, "no run has a parameter 'l', did you mean 'lr'?"),
        ({"columns": ("at_best.acc",)}, "needs --at-best METRIC"),
        ({"sort": "best.los"}, "no run has reported a metric 'los'"),
        ({"metrics": ("val_los",)}, "there is no column 'val_los', did you mean 'val_loss'?"),
        ({"at_best": "val_los"}, "no run has reported a metric 'val_los', did you mean 'val_loss'?"),
        ({"directions": Directions(greater=frozenset({"ac"}))}, "no run has reported a metric 'ac'"),
        ({"over": ("fold",)}, "--over fold: is no parameter of these runs; there are: act, data.train, lr, repeat"),
        ({"over": ("repeat",), "columns": ("state",)}, "with --over there is no column 'state'"),
        ({"over": ("repeat",), "sort": "zz"}, "with --over there is no column 'zz'"),
        ({"pivot": ("lr", "nois")}, "there is no column 'nois'"),
        ({"pivot": ("lr", "lr")}, "each column can be used once"),
        (
            {"pivot": ("lr", "val_loss")},
            "is a metric, which goes into the cells: --pivot ROWS COLUMNS --metric val_loss",
        ),
        ({"pivot": ("lr", "act"), "metrics": ("best_step.acc",)}, "no run has reported a metric 'best_step.acc'"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_what_there_is(ask: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        rows(RUNS, **ask)
    assert said in str(error.value)


def test_what_is_no_run_and_what_is_no_query_are_told() -> None:
    with pytest.raises(UserError, match="there is no run of 'weather', neither as an experiment nor as a query"):
        rows(RUNS, "weather")
    with pytest.raises(BadQuery, match="expected"):
        rows(RUNS, "e and and")
    runs = [a_run("a", metrics={"x_loss": a_metric(1.0), "y_loss": a_metric(2.0)})]
    with pytest.raises(
        UserError, match="say which metric is meant: --sort METRIC or --metric METRIC; there are: x_loss, y_loss"
    ):
        rows(runs, best=1)
    with pytest.raises(UserError, match="'lr' is a metric and a parameter"):
        rows([a_run("a", params={"lr": 1}, metrics={"lr": a_metric(1.0)})], sort="lr")


# ── repeats ──
def repeats() -> list[Run]:
    values = {0.1: [1.0, 2.0, 3.0], 0.2: [0.5, 0.7, None], 0.3: [5.0, 4.0, NAN]}
    runs = []
    for lr, losses in values.items():
        for repeat, loss in enumerate(losses):
            failed = lr == 0.3 and repeat == 1
            state = State.FAILED if failed else State.FINISHED
            metric = {"val_loss": a_metric(None if loss != loss else loss)} if loss is not None else {}
            params = {"lr": lr, "seed": repeat}
            runs.append(a_run(f"{lr}-{repeat}", params=params, repeat=repeat, state=state, metrics=metric))
    return runs


def test_repeats_become_one_row_with_mean_and_interval_and_failures_are_counted() -> None:
    found = rows(repeats(), over=("repeat",), sort="val_loss")
    assert [(row["lr"], row["runs"], row["finished"], row["failed"], row["n.best.val_loss"]) for row in found] == [
        (0.2, 3, 3, 0, 2), (0.1, 3, 3, 0, 3), (0.3, 3, 2, 1, 2),
    ]  # fmt: skip
    assert "seed" not in found[0], "repeats make their own seeds"
    assert found[1]["mean.best.val_loss"] == 2.0
    assert found[1]["ci.best.val_loss"] == pytest.approx(stats.t.ppf(0.975, 2) / math.sqrt(3))
    assert math.isnan(found[2]["mean.best.val_loss"]), "a NaN is not left out"
    wide = rows(repeats(), over=("repeat",), level=0.99)[0]["ci.best.val_loss"]
    assert wide == pytest.approx(stats.t.ppf(0.995, 2) / math.sqrt(3))


def test_median_and_quartiles_and_the_runs_that_have_not_finished() -> None:
    found = rows(repeats(), over=("repeat",), median=True, unfinished=True, metrics=("best.val_loss",))
    assert found[0] == {
        "lr": 0.1, "runs": 3, "finished": 3, "failed": 0, "median.best.val_loss": 2.0, "q1.best.val_loss": 1.5,
        "q3.best.val_loss": 2.5, "n.best.val_loss": 3,
    }  # fmt: skip
    assert found[2]["n.best.val_loss"] == 3, "with the failed one"


def test_over_any_parameter_the_repeats_stay_apart_unless_named_too() -> None:
    runs = [
        a_run(f"{fold}{repeat}", fold + repeat / 10, params={"fold": fold, "lr": 1}, repeat=repeat)
        for fold in (1, 2) for repeat in (0, 1)
    ]  # fmt: skip
    assert [(r["repeat"], r["mean.best.val_loss"]) for r in rows(runs, over=("fold",))] == [(0, 1.5), (1, 1.6)]
    assert column(rows(runs, over=("fold", "repeat")), "mean.best.val_loss") == [pytest.approx(1.55)]
    assert column(rows(runs, over=("fold",), columns=("val_loss", "runs")), "runs") == [2, 2]


# ── pivots ──
def grid_runs() -> list[Run]:
    return [
        a_run(f"{l1}{noise}{repeat}", loss + repeat, params={"l1": l1, "noise": noise, "seed": repeat}, repeat=repeat)
        for (l1, noise), loss in {(1e-3, 10): 0.5, (1e-4, 10): 0.3, (1e-3, 0.1): 0.2, (1e-5, 0.1): 0.4}.items()
        for repeat in (0, 1)
    ]  # fmt: skip


def test_a_pivot_has_the_best_of_each_cell_in_the_order_of_the_values_and_marks_the_best_of_all() -> None:
    (table,) = asked(grid_runs(), pivot=("l1", "noise")).pivots
    assert [column.name for column in table.columns] == ["l1 \\ noise", "0.1", "10"]
    assert list(table.rows()) == [(1e-5, 0.4, None), (1e-4, None, 0.3), (1e-3, 0.2, 0.5)]
    assert table.marked == {(2, 1)}
    assert table.caption == "best val_loss (each run's smallest) over seed, repeat; 8 runs"


@pytest.mark.parametrize(
    ("aggregate", "cell"),
    [("worst", 1.2), ("std", math.sqrt(0.5)), ("count", 2), ("best", 0.2),
     ("mean", Mean(mean=0.7, half_width=6.353102, n=2)), ("median", Median(median=0.7, q1=0.45, q3=0.95, n=2))],
)  # fmt: skip
def test_what_stands_in_a_cell_is_what_was_asked_for(aggregate: str, cell: Any) -> None:
    (table,) = asked(grid_runs(), pivot=("l1", "noise"), aggregate=Aggregate(aggregate)).pivots
    found = list(table.rows())[2][1]
    if isinstance(cell, Mean | Median):
        assert astuple(found) == pytest.approx(astuple(cell), rel=1e-6)
    else:
        assert found == pytest.approx(cell)


def test_a_pivot_can_be_cut_in_several_and_says_what_does_not_count() -> None:
    runs = [*grid_runs(), a_run("f", 0.01, params={"l1": 1e-5, "noise": 10, "seed": 0}, state=State.FAILED)]
    first, second = asked(runs, pivot=("l1", "noise"), by=("repeat",)).pivots
    assert (
        first.caption
        == "best val_loss (each run's smallest) over seed, repeat=0; 5 runs: 4 finished, 1 failed; only finished ones count"
    )
    assert next(iter(first.rows())) == (1e-5, 0.4, None)
    assert second.name == "val_loss repeat=1"
    (all_count,) = asked(runs, pivot=("l1", "noise"), unfinished=True).pivots
    assert next(iter(all_count.rows())) == (1e-5, 0.4, 0.01)


# ── words ──
def test_cells_in_words() -> None:
    number = numeral(4)
    assert cell_words(None, Kind.NUMBER, number) == "–"
    assert cell_words(0, Kind.WHOLE, number) == "0"
    assert cell_words(NAN, Kind.NUMBER, number) == "nan"
    assert cell_words(-INF, Kind.NUMBER, number) == "-inf"
    assert cell_words(True, Kind.FLAG, number) == "true"
    assert cell_words(5520.0, Kind.SECONDS, number) == "1h 32m"
    assert (
        cell_words(Measured(best=0.15078, best_step=3, last=0.2, last_step=9), Kind.MEASURED, number)
        == "0.1508 @3 → 0.2 @9"
    )
    assert cell_words(Measured(best=0.1, best_step=9, last=0.1, last_step=9), Kind.MEASURED, number) == "0.1 @9"
    assert cell_words(Measured(best=NAN, best_step=None, last=NAN, last_step=9), Kind.MEASURED, number) == "nan"
    assert cell_words(Mean(mean=0.17, half_width=0.0378, n=4), Kind.MEAN, number) == "0.17 ± 0.038 (n=4)"
    assert cell_words(Mean(mean=0.17, half_width=None, n=1), Kind.MEAN, number) == "0.17 (n=1)"


def test_a_narrow_terminal_loses_the_last_metrics_first_and_never_the_first() -> None:
    table = asked(RUNS).lines.table()
    cells = [["x" * 10] * len(table.columns)]
    names = [table.columns[i].name for i in fitting(table.columns, cells, 60)]
    assert names == ["run", "lr", "data.train", "state", "val_loss"]
    assert len(fitting(table.columns, cells, 500)) == len(table.columns)
    assert "val_loss" in [table.columns[i].name for i in fitting(table.columns, cells, 1)]
