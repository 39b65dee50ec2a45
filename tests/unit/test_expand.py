from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from queueing.definition import define_table
from queueing.expand import Definition, configurations, runs
from queueing.keys import ALPHABET, run_id, run_key
from store.errors import BadExperiment
from store.settings import Settings


def definition(**table: Any) -> Definition:
    return define_table({"name": "x", "command": ["true"], **table}, "", Path("/tmp/x.toml"), Settings())


def test_a_grid_is_the_product_in_the_order_of_the_file() -> None:
    made = definition(params={"c": 0}, sweep={"params": {"a": [1, 2], "b": ["p", "q"]}})
    assert [params for params, _ in configurations(made)] == [
        {"c": 0, "a": 1, "b": "p"}, {"c": 0, "a": 1, "b": "q"}, {"c": 0, "a": 2, "b": "p"}, {"c": 0, "a": 2, "b": "q"},
    ]  # fmt: skip
    assert made.size == 4


def test_zip_pairs_the_lists() -> None:
    made = definition(sweep={"method": "zip", "params": {"a": [1, 2], "b": [3, 4]}})
    assert [params for params, _ in configurations(made)] == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert made.size == 2


def test_repeats_differ_in_their_seed() -> None:
    made = definition(params={"seed": 10}, sweep={"repeat": 3})
    assert list(configurations(made)) == [({"seed": 10 + i}, i) for i in range(3)]


def test_one_run_without_a_sweep_has_no_invented_seed() -> None:
    assert list(configurations(definition(params={"a": 1}))) == [({"a": 1}, 0)]


def test_a_large_grid_is_expanded_lazily() -> None:
    made = definition(sweep={"params": {"a": list(range(400)), "b": list(range(400))}})
    assert made.size == 160_000
    first = next(iter(runs(made, datetime.now(UTC), "me", {})))
    assert first.params == {"a": 0, "b": 0}


def test_a_grid_that_nobody_can_want_is_refused_at_once() -> None:
    with pytest.raises(BadExperiment, match="makes 1000000000000 runs; allowed: at most 200000"):
        definition(sweep={"params": {name: list(range(1000)) for name in "abcd"}})


def test_zip_may_repeat_a_value_but_no_combination() -> None:
    made = definition(sweep={"method": "zip", "params": {"a": [1, 1], "b": [2, 3]}})
    assert made.size == 2


def test_the_same_configuration_has_the_same_id_wherever_it_is_written() -> None:
    key = run_key("x", ["true"], None, {"b": 1, "a": [1.5, {"d": 1, "c": 2}]}, 0)
    assert key == run_key("x", ["true"], None, {"a": [1.5, {"c": 2, "d": 1}], "b": 1}, 0)


@pytest.mark.parametrize(
    "other",
    [("y", ["true"], None, {"a": 1}, 0), ("x", ["false"], None, {"a": 1}, 0), ("x", [], "rnn", {"a": 1}, 0),
     ("x", ["true"], None, {"a": 2}, 0), ("x", ["true"], None, {"a": True}, 0), ("x", ["true"], None, {"a": "1"}, 0),
     ("x", ["true"], None, {"a": 1}, 1)],
)  # fmt: skip
def test_anything_that_differs_makes_another_run(other: tuple[Any, ...]) -> None:
    assert run_key(*other) != run_key("x", ["true"], None, {"a": 1}, 0)


def test_ids_can_be_read_aloud() -> None:
    ids = {run_id(run_key("x", ["true"], None, {"a": i}, 0)) for i in range(2000)}
    assert len(ids) == 2000
    assert all(len(one) == 12 and set(one) <= set(ALPHABET) for one in ids)


def test_resources_do_not_change_the_identity() -> None:
    small = next(runs(definition(), datetime.now(UTC), "me", {}))
    large = next(runs(definition(resources={"memory": "1GB"}, priority=3), datetime.now(UTC), "you", {}))
    assert small.id == large.id


def test_a_table_from_python_is_checked_like_a_file() -> None:
    with pytest.raises(BadExperiment, match="unknown key"):
        definition(prioritty=1)
