"""`labq.watch`: the same numbers whatever library the arrays are of, and the names that the trainer uses."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labq


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What was written, as the worker reads it."""
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv("LABQ_EVENTS", str(events))
    monkeypatch.setenv("LABQ_DIR", str(tmp_path))
    monkeypatch.setattr(labq, "_EVENTS_FD", None)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []

    return read


class Tensor:
    """As torch has it, as far as it is used."""

    def __init__(self, values: Any, grad: Any = None) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self.grad = None if grad is None else Tensor(grad)
        self.shape = self.values.shape

    def detach(self) -> "Tensor":
        return Tensor(self.values)

    def clone(self) -> "Tensor":
        return Tensor(self.values.copy())

    def reshape(self, *shape: int) -> "Tensor":
        return Tensor(self.values.reshape(*shape))

    def norm(self) -> float:
        return float(np.linalg.norm(self.values))

    def is_floating_point(self) -> bool:
        return True

    def __sub__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.values - other.values)


class Module:
    def __init__(self, **parameters: Tensor) -> None:
        self.parameters = parameters

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.parameters.items()


def test_lengths_of_weights_gradients_and_updates(lines: Any) -> None:
    weights = {"W": np.array([[3.0, 0.0], [0.0, 4.0]]), "b": np.array([0.0, 0.0])}
    gradients = {"W": np.full((2, 2), 1.0), "b": np.array([3.0, 0.0])}
    w = labq.watch(weights=weights, gradients=gradients, every=2)
    assert w.log(0) is None
    weights["W"] -= 0.5
    weights["b"] += 1.0
    found = w.log(1)
    length, moved = math.sqrt(2.5**2 + 3.5**2 + 0.5), 1.0
    assert found == pytest.approx({
        "norm_W": length, "norm_b": math.sqrt(2), "gradient_norm_W": 2.0, "gradient_norm_b": 3.0,
        "gradient_norm": math.sqrt(13), "update_ratio_W": moved / length, "update_ratio_b": 1.0,
        "update_ratio": math.sqrt(1 + 2) / math.sqrt(length**2 + 2),
    })  # fmt: skip
    (line,) = lines()
    assert line.pop("_t") > 0
    assert line == {"step": 1, **found}


def test_a_module_brings_its_gradients(lines: Any) -> None:
    module = Module(**{"layer.weight": Tensor([3.0, 4.0], grad=[6.0, 8.0]), "layer.bias": Tensor([1.0])})
    w = labq.watch(weights=module, every=1)
    w.log(0)
    module.parameters["layer.weight"].values += 1.0
    assert w.log(1) == pytest.approx({
        "norm_layer.weight": math.sqrt(41), "norm_layer.bias": 1.0, "gradient_norm_layer.weight": 10.0, "gradient_norm": 10.0,
        "update_ratio_layer.weight": math.sqrt(2 / 41), "update_ratio_layer.bias": 0.0, "update_ratio": math.sqrt(2 / 42),
    })  # fmt: skip


def test_named_parameters_may_be_an_iterator(lines: Any) -> None:
    module = Module(a=Tensor([1.0], grad=[2.0]))
    w = labq.watch(weights=module.named_parameters(), every=1)
    for step in range(3):
        found = w.log(step)
        assert found is not None
        assert (found["norm_a"], found["gradient_norm"]) == (1.0, 2.0)


def test_a_function_may_give_new_arrays_each_time_nested_as_they_like(lines: Any) -> None:
    trees = [{"enc": {"W": np.array([3.0, 4.0])}}, {"enc": {"W": np.array([3.0, 5.0])}}]
    w = labq.watch(weights=lambda: trees[0], every=1)
    w.log(0)
    trees.pop(0)
    assert w.log(1) == pytest.approx({
        "norm_enc.W": math.sqrt(34), "update_ratio_enc.W": 1 / math.sqrt(34), "update_ratio": 1 / math.sqrt(34)
    })  # fmt: skip


def test_which_steps_are_watched_depends_on_the_steps_alone(lines: Any) -> None:
    def watched(steps: range) -> list[int]:
        w = labq.watch(weights={"a": [1.0]}, every=10)
        return [step for step in steps if w.log(step) is not None]

    assert watched(range(35)) == [9, 19, 29]
    assert watched(range(17, 35)) == [19, 29]
    assert watched(range(0, 100, 25)) == [25, 50, 75]


def test_ratios_need_a_copy_which_is_kept_from_the_step_before_only() -> None:
    weights = {"a": np.ones(4)}
    w = labq.watch(weights=weights, every=10)
    copies = []
    for step in range(20):
        w.log(step)
        copies.append(w._before is not None)
    assert copies == ([False] * 8 + [True, False]) * 2
    plain = labq.watch(weights=weights, every=1, updates=False)
    assert plain.log(0) == plain.log(1) == {"norm_a": 2.0}
    assert plain._before is None


@pytest.mark.parametrize(
    ("activation", "values", "dead", "flat"),
    [
        ("auto", [[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]], 1 / 3, 3 / 6),
        ("auto", [[-0.999, 0.5, -0.2], [-1.0, 0.999, 0.1]], 1 / 3, 3 / 6),
        ("sigmoid", [[0.001, 0.5, 0.999], [0.999, 0.5, 0.4]], 1 / 3, 3 / 6),
        ("relu", [[-1.0, 0.5], [-2.0, 0.5]], 1 / 2, 2 / 4),
    ],
)
def test_units_that_no_longer_take_part(lines: Any, activation: str, values: Any, dead: float, flat: float) -> None:
    array = np.array(values)
    found = labq.watch(activations=lambda: {"h": array[:, None]}, every=1, activation=activation).log(0)
    assert found == pytest.approx({
        "activation_mean_h": array.mean(), "activation_std_h": array.std(), "dead_units": dead, "flat_states": flat
    })  # fmt: skip


def test_samples_are_kept_as_a_file_that_is_announced_once(lines: Any, tmp_path: Path) -> None:
    w = labq.watch(samples=lambda: ["a cat sat", "a dog ran"], every=1)
    w.log(0)
    w.log(7)
    assert (tmp_path / "samples.txt").read_text() == "step 7\na cat sat\na dog ran\n"
    assert [line["_artifact"] for line in lines()] == [str(tmp_path / "samples.txt")]


def test_outside_labq_it_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("LABQ_EVENTS", "LABQ_DIR"):
        monkeypatch.delenv(name, raising=False)
    labq.watch(weights={"a": [3.0, 4.0]}, samples="x", every=1).log(0)
    said = capsys.readouterr().err
    assert '"norm_a": 5.0' in said
    assert "samples at step 0:\nx" in said


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64", "bool"])
def test_arrays_of_any_kind_have_a_length(lines: Any, kind: str) -> None:
    found = labq.watch(weights={"a": np.ones((10, 10), dtype=kind)}, every=1, updates=False).log(0)
    assert found == {"norm_a": 10.0}


@pytest.mark.filterwarnings("ignore:overflow")
def test_lengths_do_not_overflow_before_they_must_and_what_is_not_finite_is_told(lines: Any) -> None:
    def length(values: Any) -> float:
        found = labq.watch(weights={"a": np.array(values, dtype=np.float32)}, every=1, updates=False).log(0)
        assert found is not None
        return found["norm_a"]

    assert length([3e30, 4e30]) == pytest.approx(5e30)
    assert length([]) == 0.0
    assert math.isnan(length([1.0, math.nan]))
    assert length([1.0, math.inf]) == math.inf


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nothing to watch"),
        ({"weights": {}, "every": 0}, "every is 0"),
        ({"weights": {}, "activation": "x"}, "is 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        labq.watch(**given)


def test_torch(lines: Any) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hidden: dict[str, Any] = {}
    model[1].register_forward_hook(lambda _module, _given, made: hidden.update(h=made))
    w = labq.watch(weights=model, activations=hidden, every=2)
    inputs = torch.randn(16, 4)
    for step in range(4):
        optimizer.zero_grad()
        loss = (model(inputs) ** 2).mean()
        loss.backward()
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        optimizer.step()
        found = w.log(step)
    assert found is not None
    weight = dict(model.named_parameters())["0.weight"].detach()
    assert found["norm_0.weight"] == pytest.approx(float(weight.norm()))
    assert found["update_ratio_0.weight"] == pytest.approx(float((weight - before["0.weight"]).norm() / weight.norm()))
    slopes = torch.cat([value.grad.reshape(-1) for value in model.parameters()])
    assert found["gradient_norm"] == pytest.approx(float(slopes.norm()))
    assert 0 <= found["dead_units"] <= found["flat_states"] <= 1
    assert {"activation_mean_h", "activation_std_h"} <= set(found)
