"""Grids with conditions and constraints, several sweeps in one file, order."""

import re
import tomllib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from queueing.definition import define_table
from queueing.expand import Definition, configurations
from queueing.sweep import grid
from store.errors import BadExperiment
from store.settings import Settings


def definition(sweep: Any, **more: Any) -> Definition:
    return define_table({"name": "x", "command": ["true"], "sweep": sweep, **more}, "", Path("/tmp/x.toml"), Settings())


def points(sweep: Any, **more: Any) -> list[dict[str, Any]]:
    return [params for params, _ in configurations(definition(sweep, **more))]


OPTIMIZERS = {
    "optimizer": ["adam", "sgd"],
    "beta": {"choice": [0.8, 0.9], "when": {"optimizer": "adam"}},
    "momentum": {"choice": [0.0, 0.5, 0.9], "when": "optimizer == 'sgd'"},
}


def test_what_does_not_exist_makes_no_combinations() -> None:
    assert points({"params": OPTIMIZERS}) == [
        {"optimizer": "adam", "beta": 0.8}, {"optimizer": "adam", "beta": 0.9}, {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "sgd", "momentum": 0.9},
    ]  # fmt: skip


def test_a_fixed_value_is_the_default_where_the_condition_does_not_hold() -> None:
    made = points({"params": OPTIMIZERS}, params={"beta": 0.5, "momentum": 0.1})
    assert made[0] == {"beta": 0.8, "momentum": 0.1, "optimizer": "adam"}
    assert made[-1] == {"beta": 0.5, "momentum": 0.9, "optimizer": "sgd"}


def test_a_constraint_cuts_a_grid() -> None:
    made = points({"params": {"n": [100, 200, 300], "layers": [1, 2, 3]}, "where": ["n * layers <= 300", "n > base"]},
                  params={"base": 100})  # fmt: skip
    assert [(one["n"], one["layers"]) for one in made] == [(200, 1), (300, 1)]


def test_a_constraint_prunes_before_the_product_is_walked() -> None:
    """3 · 10**9 combinations, of which the first two constraints leave a million times fewer."""
    axes = {name: list(range(1000)) for name in "abc"} | {"d": [0, 1, 2]}
    made = definition({"params": axes, "where": ["a < 2", "b == a", "c + d < 3"]})
    assert made.size == 2 * 6
    assert all(params["a"] == params["b"] < 2 for params, _ in configurations(made))


def test_too_many_combinations_to_look_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "MOST_CANDIDATES", 10_000)
    with pytest.raises(BadExperiment, match="more than 10000 combinations to look at"):
        definition({"params": {name: list(range(1000)) for name in "abc"}, "where": "a + b + c < 1"})


def test_nested_tables_and_ranges_in_a_grid() -> None:
    made = points({"params": {"optimizer": {"lr": {"low": 0.001, "high": 0.1, "log": True, "num": 3}}}},
                  params={"optimizer": {"name": "adam"}})  # fmt: skip
    assert made == [{"optimizer": {"name": "adam", "lr": lr}} for lr in (0.001, 0.01, 0.1)]


def test_several_sweeps_in_one_file_and_what_two_of_them_make_counts_once() -> None:
    made = definition([
        {"params": {"a": [1, 2], "b": [1]}},
        {"method": "zip", "params": {"a": [2, 3], "b": [1, 1]}},
        {"method": "random", "samples": 3, "params": {"c": {"low": 0, "high": 1}}},
    ])  # fmt: skip
    found = [params for params, _ in configurations(made)]
    assert [(one.get("a"), one.get("b")) for one in found[:3]] == [(1, 1), (2, 1), (3, 1)]
    assert made.size == len(found) == 6


def test_a_shuffled_sweep_has_the_same_runs_in_another_order() -> None:
    sweep = {"params": {"a": list(range(20)), "b": list(range(5))}, "where": "a != 3"}
    plain, shuffled = points(sweep), points({**sweep, "shuffle": True, "seed": 1})
    assert plain != shuffled
    assert sorted(plain, key=str) == sorted(shuffled, key=str)
    assert shuffled == points({**sweep, "shuffle": True, "seed": 1})
    assert shuffled != points({**sweep, "shuffle": True, "seed": 2})
    firsts = [one["a"] for one in shuffled[:20]]
    assert len(set(firsts)) > 8, "not one value of the outer axis after the other"


def test_many_points_need_eight_bytes_each() -> None:
    axis = {"low": 1, "high": 400, "type": "int"}
    tracemalloc.start()
    made = definition({"params": {"a": axis, "b": axis}, "where": "a + b > 2"})
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert made.size == 159_999
    assert taken < 2_000_000
    assert sum(1 for _ in zip(configurations(made), range(1000), strict=False)) == 1000


def test_the_examples_of_the_documentation_are_sweeps() -> None:
    text = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text()
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]
    assert len(points(blocks[0]["sweep"])) == 60 * 3
    assert definition(blocks[1]["sweep"]).size == 2 + 64
