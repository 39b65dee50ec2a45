"""What SMAC writes and calls: `.pcs` in both syntaxes, ConfigSpace's JSON, and the wire of version 2."""

from pathlib import Path
from typing import Any

import pytest
from optimize_lab import EPOCH

from queueing.optimize.space_file import SpaceFile, read_space_file
from queueing.optimize.spec import read_spec
from queueing.optimize.table import OptimizerTable
from queueing.smac_wire import Status, params_of, read_call, result_line, status_of
from store.errors import UserError
from store.runs import Run, Task
from store.states import Reason, State

pytest.importorskip("ConfigSpace")

NEW = """
# a comment
n-hidden integer [4, 256] [32] log
dropout real [0, 0.9] [0.25]     # another
solver categorical {adam, sgd} [adam]
batch ordinal {16, 32, 64} [32]
momentum real [0.1, 0.9] [0.5]
momentum | solver in {sgd} && batch > 16
{solver=sgd, batch=64}
"""
CLASSIC = """
n-hidden [4, 256] [32]il
dropout [0, 0.9] [0.25]
solver {adam, sgd} [adam]
batch {16, 32, 64} [32]
momentum [0.1, 0.9] [0.5]
Conditionals:
momentum | solver in {sgd}
Forbidden:
{solver=sgd, batch=64}
{solver=adam, n-hidden=4}
"""


def read(folder: Path, text: str, name: str = "params.pcs") -> SpaceFile | str:
    file = folder / name
    file.write_text(text)
    return read_space_file(file)


def test_the_new_syntax(tmp_path: Path) -> None:
    space = read(tmp_path, NEW)
    assert isinstance(space, SpaceFile), space
    assert space.params == {
        "n_hidden": {"low": 4, "high": 256, "type": "int", "log": True},
        "dropout": {"low": 0.0, "high": 0.9},
        "solver": {"choice": ["adam", "sgd"]},
        "batch": {"choice": [16, 32, 64]},
        "momentum": {"low": 0.1, "high": 0.9, "when": space.params["momentum"]["when"]},
    }
    assert set(space.params["momentum"]["when"].split(" and ")) == {"(solver == 'sgd')", "(batch > 16)"}
    assert space.where == ["not ((solver == 'sgd') and (batch == 64))"]
    assert space.default == {"n_hidden": 32, "dropout": 0.25, "solver": "adam", "batch": 32}


def test_the_classic_syntax(tmp_path: Path) -> None:
    space = read(tmp_path, CLASSIC)
    assert isinstance(space, SpaceFile), space
    assert space.params["n_hidden"] == {"low": 4, "high": 256, "type": "int", "log": True}
    assert space.params["momentum"]["when"] == "solver == 'sgd'"
    assert "not ((solver == 'adam') and (n_hidden == 4))" in space.where


def test_config_space_json(tmp_path: Path) -> None:
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer, Normal

    made = ConfigurationSpace(space={"lr": Float("lr", (1e-5, 0.1), log=True), "opt": Categorical("opt", ["a", "16"])})
    made.add(Integer("k", (1, 9)), Float("w", (-3.0, 3.0), distribution=Normal(0.0, 1.0)))
    made.add(EqualsCondition(made["k"], made["opt"], "a"))
    made.to_json(tmp_path / "space.json")
    space = read_space_file(tmp_path / "space.json")
    assert isinstance(space, SpaceFile), space
    assert space.params["opt"] == {"choice": ["a", "16"]}
    assert space.params["k"] == {"low": 1, "high": 9, "type": "int", "when": "opt == 'a'"}
    assert space.params["w"] == {"mean": 0.0, "sd": 1.0, "low": -3.0, "high": 3.0}


@pytest.mark.parametrize("text", [NEW, CLASSIC])
def test_conditions_and_forbidden_combinations_are_respected(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.pcs").write_text(text)
    table = OptimizerTable.model_validate({"metric": "loss", "trials": 5, "space": "params.pcs"})
    spec, mistakes = read_spec(table, {}, tmp_path)
    assert mistakes == []
    drawn = [spec.drawn("check", k) for k in range(200)]
    assert all(one is not None and not (one["solver"] == "sgd" and one["batch"] == 64) for one in drawn)
    assert all(one is not None and ("momentum" not in one or one["solver"] == "sgd") for one in drawn)
    assert any(one is not None and "momentum" in one for one in drawn)
    assert spec.table.first == [{"n_hidden": 32, "dropout": 0.25, "solver": "adam", "batch": 32}]
    assert spec.table.space is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr reel [0, 1] [0.5]", "line 1: 'lr reel [0, 1] [0.5]' is no parameter"),
        ("lr real [0, 1] [7]", "ConfigSpace cannot read it"),
        ("1lr real [0, 1] [0.5]", "'1lr': allowed: letters"),
        ("a-b real [0, 1] [0.5]\na_b real [0, 1] [0.5]", "would both be called 'a_b'"),
        ("a real [0, 1] [0.5]\na | b in {1}", "ConfigSpace cannot read it"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    found = read(tmp_path, text)
    assert isinstance(found, str)
    assert found.startswith("params.pcs: ")
    assert said in found


def test_a_missing_file_and_a_strange_name(tmp_path: Path) -> None:
    assert "cannot be read" in str(read_space_file(tmp_path / "nothing.pcs"))
    assert "allowed: .pcs" in str(read(tmp_path, NEW, "params.csv"))


# ── the wire ──
def call(
    *parameters: str, cutoff: str = "1.7976931348623157E308", instance: str = "no_instance", seed: str = "-1"
) -> Any:
    return read_call([instance, "0", cutoff, "2147483647", seed, *parameters])


def test_parameters_are_typed_as_the_file_has_them() -> None:
    made = call("-lr", "'0.1'", "-n", "32.0", "-name", "7", "-flag", "true", "-sp-x", "1", "-opt.beta", "0.9")
    fixed = {"lr": 1.0, "n": 3, "name": "a", "opt": {"beta": 0.5}}
    assert params_of(made, fixed) == {
        "lr": 0.1, "n": 32, "name": "7", "flag": True, "sp_x": 1, "opt.beta": 0.9,
    }  # fmt: skip
    assert isinstance(params_of(made, fixed)["n"], int)


def test_seed_instance_and_cutoff_matter_where_smac_gives_them() -> None:
    plain = call("-lr", "0.1")
    assert (plain.instance, plain.specifics, plain.cutoff_s) == (None, None, None)
    assert params_of(plain, {}) == {"lr": 0.1}
    told = call("-lr", "0.1", cutoff="30", instance="i7", seed="4")
    assert (told.cutoff_s, params_of(told, {})) == (30.0, {"lr": 0.1, "seed": 4, "instance": "i7"})
    assert plain.identity() != told.identity()
    assert call("-lr", "0.1").identity() == plain.identity()


@pytest.mark.parametrize(
    "arguments",
    [["a", "0", "1"], ["a", "0", "x", "1", "1"], ["a", "0", "1", "1", "s"], ["a", "0", "1", "1", "1", "-x"],
     ["a", "0", "1", "1", "1", "x", "1"], ["a", "0", "1", "1", "1", "-x", "1", "-x", "2"]],
)  # fmt: skip
def test_a_wrong_call_says_what_is_wrong(arguments: list[str]) -> None:
    with pytest.raises(UserError):
        read_call(arguments)


def test_a_text_where_the_file_has_a_number_is_refused() -> None:
    with pytest.raises(UserError, match="-lr is 'abc'"):
        params_of(call("-lr", "abc"), {"lr": 0.1})


@pytest.mark.parametrize(
    ("state", "reason", "value", "status"),
    [
        (State.FINISHED, None, 0.3, Status.SAT),
        (State.FINISHED, None, float("nan"), Status.UNSAT),
        (State.FINISHED, None, None, Status.UNSAT),
        (State.FAILED, Reason.DIVERGED, 0.3, Status.UNSAT),
        (State.CANCELLED, Reason.STOPPED, 0.3, Status.UNSAT),
        (State.FAILED, Reason.TIME_LIMIT, 0.3, Status.TIMEOUT),
        (State.FAILED, Reason.ERROR, None, Status.CRASHED),
        (State.FAILED, Reason.OUT_OF_MEMORY, None, Status.CRASHED),
    ],
)
def test_an_ending_in_smacs_words(state: State, reason: Reason | None, value: float | None, status: Status) -> None:
    run = Run(
        id="r", key="r", experiment="e", params={}, task=Task(command=("x",), workdir="/"), queued_at=EPOCH,
        state=state, reason=reason,
    )  # fmt: skip
    assert status_of(run, value) is status


def test_the_line_is_one_line_of_six_fields() -> None:
    line = result_line(Status.CRASHED, 1.5, 1e9, 7, "boom, it said:\nfoo, bar")
    assert line == "Result of algorithm run: CRASHED, 1.500, 0, 1000000000.0, 7, boom; it said: foo; bar"
