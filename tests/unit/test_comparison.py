"""The best run of a sweep."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from queueing.comparison import best, check_metric, check_params, grid, groups, param
from store.errors import UserError
from store.outcomes import Outcome
from store.runs import MetricSummary


def a_run(name: str, smallest: float | None, **params: Any) -> Outcome:
    loss = MetricSummary(last=9.0, last_step=9, count=9, min=smallest, min_step=3, max=9.0, max_step=9)
    return Outcome(
        id=name, experiment="e", params=params,
        summary={} if smallest is None else {"loss": loss}, queued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


RUNS = [
    a_run("a", 0.5, l1=1e-3, noise=10, stop="none"),
    a_run("b", 0.3, l1=1e-4, noise=10, stop="none"),
    a_run("c", 0.2, l1=1e-3, noise=0.1, stop="early"),
    a_run("d", None, l1=1e-4, noise=0.1, stop="early"),
    a_run("e", 0.4, l1=1e-3, noise=10, stop="early"),
]


def test_the_best_run_is_that_of_the_smallest_value_ever_or_the_greatest() -> None:
    smallest, greatest = best(RUNS, "loss"), best(RUNS, "loss", greatest=True)
    assert smallest is not None
    assert greatest is not None
    assert (smallest.run.id, smallest.value, smallest.step) == ("c", 0.2, 3)
    assert (greatest.value, greatest.step) == (9.0, 9)


def test_runs_without_a_number_are_never_the_best() -> None:
    assert best([RUNS[3]], "loss") is None
    assert best([], "loss") is None
    assert best(RUNS, "accuracy") is None


def test_groups_are_in_the_order_of_their_values() -> None:
    assert {key: [run.id for run in runs] for key, runs in groups(RUNS, ["l1"]).items()} == {
        (1e-4,): ["b", "d"], (1e-3,): ["a", "c", "e"],
    }  # fmt: skip
    assert list(groups(RUNS, ["stop", "noise"])) == [("early", 0.1), ("early", 10), ("none", 10)]
    assert list(groups(RUNS, [])) == [()]


def test_a_grid_has_the_best_of_every_cell_and_a_gap_where_there_is_none() -> None:
    down, across, cells = grid(RUNS, "loss", "l1", "noise")
    assert (down, across) == ([1e-4, 1e-3], [0.1, 10])
    assert [[one and one.run.id for one in row] for row in cells] == [[None, "b"], ["c", "e"]]


def test_a_parameter_in_a_table_is_named_by_its_path() -> None:
    run = a_run("a", 0.1, data={"vectors": {"size": 20}})
    assert param(run, "data.vectors.size") == 20
    assert param(run, "data.other.size") is None
    assert list(groups([run], ["data"])) == [('{"vectors": {"size": 20}}',)]


def test_unknown_names_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(UserError, match="no run has a parameter L1; there are: l1, noise, stop"):
        check_params(RUNS, ["l1", "L1"])
    with pytest.raises(UserError, match="no run has a metric val_loss; there are: loss"):
        check_metric(RUNS, "val_loss")
    assert math.isclose(best(RUNS, "loss").value, 0.2)  # type: ignore[union-attr]
