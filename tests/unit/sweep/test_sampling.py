"""Sampled sweeps: reproducible, independent, evenly spread."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from queueing.definition import define_table
from queueing.expand import Definition, configurations
from queueing.space.names import flat
from queueing.sweep.designs import halton_columns, latin_columns, random_columns, sobol_columns
from store.errors import BadExperiment
from store.settings import Settings

METHODS = ["random", "lhs", "sobol", "halton"]
NAMES = ("lr", "noise", "units", "momentum", "depth")
PARAMS: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 0.1, "log": True},
    "units": {"low": 10, "high": 300, "type": "int"},
    "act": {"choice": ["tanh", "relu"]},
    "w": {"mean": 0, "sd": 1},
    "drop": {"low": 0, "high": 0.5},
}
GOLDEN = {
    "random": [0.0017384833662463875, 55, "tanh", 2.616518143983283, 0.19336716945916482],
    "lhs": [3.631137000943099e-05, 94, "relu", 3.058997358994377, 0.2983417923647912],
    "sobol": [3.868627210049497e-05, 106, "relu", 1.4647242386940018, 0.07736840113449868],
    "halton": [0.012704321306406936, 122, "relu", 0.08844184414195444, 0.0020250181658110584],
}


def definition(sweep: Any, **more: Any) -> Definition:
    return define_table({"name": "x", "command": ["true"], "sweep": sweep, **more}, "", Path("/tmp/x.toml"), Settings())


def drawn(
    method: str, samples: int, seed: int = 7, params: dict[str, Any] = PARAMS, **more: Any
) -> list[dict[str, Any]]:
    made = definition({"method": method, "samples": samples, "seed": seed, "params": params, **more})
    return [flat(params) for params, _ in configurations(made)]


def columns(method: str, samples: int, seed: int = 3) -> np.ndarray:
    made = {
        "random": lambda: random_columns(NAMES, seed),
        "lhs": lambda: latin_columns(NAMES, seed, samples),
        "sobol": lambda: sobol_columns(NAMES, seed, samples),
        "halton": lambda: halton_columns(NAMES, seed),
    }[method]()
    return np.array([[column(index) for column in made] for index in range(samples)])


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_these_values_on_every_machine(method: str) -> None:
    assert list(drawn(method, 4)[0].values()) == GOLDEN[method]


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_values(method: str) -> None:
    assert drawn(method, 4, seed=8)[0] != drawn(method, 4)[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_further_parameter_changes_no_other(method: str) -> None:
    more = {**PARAMS, "new": {"low": 0, "high": 1}}
    assert [{**point, "new": 0} for point in drawn(method, 20)] == [
        {**point, "new": 0} for point in drawn(method, 20, params=more)
    ]


def test_the_order_of_parameters_does_not_matter_to_random_samples() -> None:
    turned = dict(reversed(PARAMS.items()))
    assert drawn("random", 20, params=turned) == [dict(reversed(point.items())) for point in drawn("random", 20)]


@pytest.mark.parametrize("method", ["random", "sobol", "halton"])
def test_more_samples_leave_the_first_as_they_are(method: str) -> None:
    assert drawn(method, 200)[:50] == drawn(method, 50)


@pytest.mark.parametrize("method", ["random", "sobol", "halton"])
def test_a_constraint_rejects_points_and_shifts_none(method: str) -> None:
    everything = drawn(method, 400)
    kept = drawn(method, 100, where="units * drop <= 20 and act == 'tanh'")
    fitting = [point for point in everything if point["units"] * point["drop"] <= 20 and point["act"] == "tanh"]
    assert kept[: len(fitting)] == fitting[:100]
    assert len(kept) == 100


def test_a_latin_hypercube_leaves_out_what_a_constraint_rejects() -> None:
    everything = drawn("lhs", 100)
    assert drawn("lhs", 100, where="units <= 155") == [point for point in everything if point["units"] <= 155]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_axes_are_not_correlated(method: str, seed: int) -> None:
    """A seeded search whose parameters share one stream collapses to a line."""
    at = columns(method, 1024, seed)
    off = np.abs(np.corrcoef(at.T) - np.eye(len(NAMES))).max()
    assert off < 4 / np.sqrt(1024)
    assert abs(np.corrcoef(at[:-1, 0], at[1:, 0])[0, 1]) < (4 / np.sqrt(1024) if method in ("random", "lhs") else 1)


@pytest.mark.parametrize("method", METHODS)
def test_every_axis_is_uniform(method: str) -> None:
    at = columns(method, 2000)
    assert at.min() > 0
    assert at.max() < 1
    assert min(stats.kstest(at[:, axis], "uniform").pvalue for axis in range(at.shape[1])) > 0.01


def test_seeds_next_to_each_other_have_nothing_in_common() -> None:
    first, second = columns("random", 2000, 1), columns("random", 2000, 2)
    assert np.abs(np.corrcoef(first.T, second.T) - np.eye(10)).max() < 4 / np.sqrt(2000)


def test_a_latin_hypercube_has_one_point_in_each_slice() -> None:
    at = columns("lhs", 97)
    for axis in range(at.shape[1]):
        assert sorted(np.floor(at[:, axis] * 97).astype(int)) == list(range(97))


def test_sobol_points_are_balanced_in_every_dyadic_box() -> None:
    at = columns("sobol", 64)
    for axis in range(at.shape[1]):
        assert sorted(np.floor(at[:, axis] * 64).astype(int)) == list(range(64))
    for halves in (1, 2, 3, 4, 5):  # the first two axes are a (0, 6, 2)-net, digital shift or not
        box = np.floor(at[:, 0] * 2**halves) * 2 ** (6 - halves) + np.floor(at[:, 1] * 2 ** (6 - halves))
        assert sorted(box.astype(int)) == list(range(64))


def test_without_its_shift_it_is_the_sequence_of_scipy() -> None:
    theirs = qmc.Sobol(len(NAMES), scramble=False, bits=30).random(256)
    ours = columns("sobol", 256)
    as_bits = [(np.floor(one * 2**30)).astype(np.int64) for one in (theirs, ours)]
    shifts = as_bits[0] ^ as_bits[1]
    assert (shifts == shifts[0]).all(), "one shift for each axis"


def test_halton_points_are_balanced_in_their_bases() -> None:
    at = columns("halton", 243)
    for axis, base in enumerate((2, 3, 5, 7, 11)):
        power = base ** int(np.log(243) / np.log(base) + 1e-9)
        assert sorted(np.floor(at[:power, axis] * power + 1e-9).astype(int)) == list(range(power))


@pytest.mark.parametrize("method", ["sobol", "halton"])
def test_low_discrepancy_is_low(method: str) -> None:
    random = np.median([qmc.discrepancy(columns("random", 256, seed)) for seed in range(5)])
    assert qmc.discrepancy(columns(method, 256)) < random / 5


def test_distributions_have_their_moments() -> None:
    made = drawn("sobol", 4096, params={
        "n": {"mean": 3, "sd": 2}, "ln": {"mean": -2, "sd": 0.5, "log": True}, "log": {"low": 0.001, "high": 1.0, "log": True},
        "int": {"low": 1, "high": 4, "type": "int"}, "c": {"choice": ["a", "b"], "weights": [1, 3]},
    })  # fmt: skip
    column = {name: [point[name] for point in made] for name in made[0]}
    assert np.mean(column["n"]) == pytest.approx(3, abs=0.01)
    assert np.std(column["n"]) == pytest.approx(2, abs=0.02)
    assert np.median(column["ln"]) == pytest.approx(np.exp(-2), rel=0.01)
    assert stats.kstest(np.log(column["ln"]), "norm", (-2, 0.5)).pvalue > 0.5
    assert stats.kstest(np.log10(column["log"]), "uniform", (-3, 3)).pvalue > 0.5
    assert [column["int"].count(k) for k in (1, 2, 3, 4)] == [1024] * 4
    assert column["c"].count("b") == 3072


def test_a_point_drawn_twice_is_drawn_again() -> None:
    made = drawn("random", 20, params={"a": [1, 2, 3, 4, 5], "b": {"low": 1, "high": 4, "type": "int"}})
    assert len({(point["a"], point["b"]) for point in made}) == 20


def test_more_points_than_there_are_is_a_mistake() -> None:
    with pytest.raises(BadExperiment, match="only 20 different points"):
        drawn("random", 21, params={"a": [1, 2, 3, 4, 5], "b": {"low": 1, "high": 4, "type": "int"}})


def test_repeats_with_a_seed_of_the_sweep_have_derived_seeds() -> None:
    made = definition(
        {"method": "random", "samples": 2, "seed": 5, "repeat": 3, "params": {"a": {"low": 0, "high": 1}}}
    )
    found = [(params["seed"], repeat) for params, repeat in configurations(made)]
    assert found[:3] == found[3:], "the same for every point: a fair comparison"
    assert len({seed for seed, _ in found}) == 3
    assert {seed for seed, _ in found}.isdisjoint({0, 1, 2})
    longer = definition(
        {"method": "random", "samples": 2, "seed": 5, "repeat": 5, "params": {"a": {"low": 0, "high": 1}}}
    )
    assert [(params["seed"], repeat) for params, repeat in configurations(longer)][:3] == found[:3]
