"""What the engines propose: inside the space, the same for the same history, better than chance."""

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
from optimize_lab import PARAMS, a_spec, told

from queueing.keys import canonical
from queueing.optimize.coding import coding, contains, lies_in
from queueing.optimize.engine import engine_for
from queueing.optimize.spec import Spec
from queueing.space.domains import Choice, Domain, Normal, Range
from queueing.space.names import placed
from store.studies import Trial, TrialState

NESTED = {
    "layers": [1, 2],
    "act": {"choice": ["tanh", ["relu", 0.1]]},
    "solver": {
        "name": ["adam", "sgd"],
        "momentum": {"low": 0.1, "high": 0.9, "when": "solver.name == 'sgd'"},
    },
    "lr": {"low": 1e-5, "high": 1.0, "log": True},
    "units": {"low": 10, "high": 300, "step": 10, "type": "int"},
    "decay": {"low": 0.1, "high": 1.0, "num": 4},
    "l2": {"mean": -7, "sd": 2, "log": True},
}
NEEDS_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="the sampler gp needs PyTorch")
SAMPLERS = ["tpe", "cma-es", "nsga2", "nsga3", "qmc", "random", pytest.param("gp", marks=NEEDS_TORCH)]


def proposals(spec: Spec, count: int, value: Callable[[dict[str, Any]], float | None]) -> list[Trial]:
    """A history as it grows when each trial is told before the next is asked for."""
    past: list[Trial] = []
    for number in range(count):
        proposal = engine_for(spec).ask(number, past)
        assert proposal is not None
        params = placed({}, proposal.values)
        past.append(told(number, value(dict(proposal.values)), params, notes=proposal.notes))
    return past


def bowl(values: dict[str, Any]) -> float:
    return (values["x"] - 0.3) ** 2 + (values["n"] - 50) ** 2 / 1e4 + (0.2 if values["c"] == "b" else 0.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_lie_in_a_nested_conditional_space(sampler: str) -> None:
    spec = a_spec(NESTED, sampler=sampler, where="layers * units <= 400", startup=3, population=4, seed=5)
    past = proposals(spec, 12, lambda values: math.log(values["lr"]) ** 2)
    for trial in past:
        values = _flat(trial.params)
        assert lies_in(spec.space, {}, values), values
        assert values["layers"] * values["units"] <= 400
        assert ("solver.momentum" in values) == (values["solver.name"] == "sgd")
    assert len({canonical(trial.params) for trial in past}) > 8


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_history_gives_the_same_proposal_and_another_seed_another(sampler: str) -> None:
    spec = a_spec(PARAMS, sampler=sampler, startup=4, population=4, seed=1)
    past = proposals(spec, 9, bowl)
    again = engine_for(spec).ask(9, past)
    assert again is not None
    assert again == engine_for(spec).ask(9, past)
    other = engine_for(a_spec(PARAMS, sampler=sampler, startup=4, population=4, seed=2)).ask(9, past)
    assert other is not None
    assert other.values != again.values


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trials_that_run_failed_or_were_stopped_disturb_no_engine(sampler: str) -> None:
    spec = a_spec(PARAMS, sampler=sampler, startup=2, population=4)
    past = proposals(spec, 8, bowl)
    past[1] = replace(past[1], state=TrialState.FAILED, values=())
    past[2] = replace(past[2], state=TrialState.PRUNED, values=(0.7,), points=((0, 0.9), (3, 0.7)))
    past[3] = replace(past[3], state=TrialState.PRUNED, values=())
    past[4] = replace(past[4], state=TrialState.OPEN, values=(), told_at=None)
    past[5] = replace(past[5], params={"x": 7.0, "n": 3, "c": "a"})
    warm = told(-1, 0.2, {"x": 0.3, "n": 40, "c": "a", "other": 1})
    proposal = engine_for(spec).ask(8, [warm, *past])
    assert proposal is not None
    assert spec.has(proposal.values)


@pytest.mark.parametrize("sampler", ["tpe", "cma-es"])
def test_an_optimizer_comes_closer_than_chance(sampler: str) -> None:
    spec = a_spec({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}, sampler=sampler, seed=3)

    def far(values: dict[str, Any]) -> float:
        return (values["x"] - 0.9) ** 2 + (values["y"] - 0.1) ** 2

    def mean_of_last(name: str) -> float:
        chosen = replace(spec, table=spec.table.model_copy(update={"sampler": name}))
        return sum(trial.values[0] for trial in proposals(chosen, 50, far)[-15:]) / 15

    assert mean_of_last(sampler) < 0.4 * mean_of_last("random")


def test_a_grid_is_every_combination_once_and_then_nothing() -> None:
    spec = a_spec({"x": [1, 2, 3], "y": {"choice": ["a", "b"], "when": "x > 1"}}, sampler="grid", trials=None)
    past: list[Trial] = []
    while (proposal := engine_for(spec).ask(len(past), past)) is not None:
        past.append(told(len(past), 0.0, placed({}, proposal.values), notes=proposal.notes))
    assert [trial.params for trial in past] == [
        {"x": 1}, {"x": 2, "y": "a"}, {"x": 2, "y": "b"}, {"x": 3, "y": "a"}, {"x": 3, "y": "b"},
    ]  # fmt: skip


def test_quasi_random_points_fill_the_square_evenly() -> None:
    spec = a_spec({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}, sampler="qmc", seed=4)
    past = proposals(spec, 16, lambda _: 0.0)
    cells = {(int(4 * trial.params["x"]), int(4 * trial.params["y"])) for trial in past}
    assert len(cells) == 16


def test_several_objectives_are_told_as_several() -> None:
    objectives = [{"metric": "loss"}, {"metric": "speed", "direction": "maximize"}]
    for sampler in ("nsga2", "tpe", "random"):
        spec = a_spec(PARAMS, sampler=sampler, metric=None, objective=objectives, population=4, startup=3)
        past: list[Trial] = []
        for number in range(10):
            proposal = engine_for(spec).ask(number, past)
            assert proposal is not None
            values = (bowl(dict(proposal.values)), proposal.values["x"])
            past.append(told(number, 0.0, placed({}, proposal.values), values=values, notes=proposal.notes))
        assert len(past) == 10


DOMAINS: list[tuple[Domain, list[Any], list[Any]]] = [
    (Choice(values=("a", 1, 1.0, True, (1, 2))), ["a", 1, 1.0, True], ["b", 2, False]),
    (Range(low=0.0, high=1.0), [0.0, 0.25, 1.0], [-0.1, 1.1, "x", True, math.nan]),
    (Range(low=1e-5, high=1.0, log=True), [1e-5, 0.01, 1.0], [0.0]),
    (Range(low=1, high=100, integer=True, log=True), [1, 10, 100], [1.5, 0]),
    (Range(low=0.0, high=1.0, step=0.25), [0.0, 0.5, 1.0], [0.3]),
    (Range(low=0.001, high=1.0, log=True, num=4), [0.001, 1.0], [0.5]),
    (Normal(mean=0.0, sd=1.0), [-3.0, 0.0, 2.5], ["x"]),
    (Normal(mean=-7.0, sd=2.0, log=True, low=1e-6, high=1.0), [1e-5, 0.5], [2.0]),
]


@pytest.mark.parametrize(("domain", "inside", "outside"), DOMAINS)
def test_values_are_coded_and_decoded(domain: Domain, inside: list[Any], outside: list[Any]) -> None:
    code = coding(domain)
    for value in inside:
        assert contains(domain, value)
        back = code.decode(code.encode(value))
        if isinstance(domain, Choice):
            assert (back, type(back)) == (value, type(value))
        else:
            assert back == pytest.approx(value, rel=1e-4, abs=1e-4)
            assert code.from_unit(code.to_unit(value)) == pytest.approx(value, rel=1e-4, abs=1e-4)
    assert not any(contains(domain, value) for value in outside)


def test_importances_name_what_matters() -> None:
    from queueing.optimize.optuna_engine import importances

    spec = a_spec({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}, sampler="random")
    past = proposals(spec, 60, lambda values: (values["x"] - 0.3) ** 2)
    found = importances(spec, past)
    assert found["x"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)


def test_smac_proposes_inside_the_space_and_never_what_is_under_way() -> None:
    pytest.importorskip("smac")
    spec = a_spec(PARAMS | {"m": {"low": 0.1, "high": 0.9, "when": "c == 'b'"}}, engine="smac", startup=6, seed=2)
    past: list[Trial] = []
    engine = engine_for(spec)
    for number in range(8):
        proposal = engine.ask(number, past)
        assert proposal is not None
        assert spec.has(proposal.values), proposal.values
        value = bowl(dict(proposal.values)) if number % 3 else None
        past.append(told(number, value, placed({}, proposal.values)))
    assert len({canonical(trial.params) for trial in past}) == 8
    past[1] = replace(past[1], state=TrialState.FAILED, values=())
    again = engine.ask(8, past)
    assert again is not None
    assert again.values == engine_for(spec).ask(8, past).values  # type: ignore[union-attr]


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        found.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return found
