"""The implementations that tests/bench/trainer.py times do the same updates: those of the slow obvious twins."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_twins import (
    ClassifierCase,
    classifier_loss,
    finite_differences,
    language_model_gradient,
    language_model_loss,
)

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from trainer_peers import numpy_peer, tables, worker, workloads
from trainer_peers.packing import pack
from trainer_peers.workloads import Case, untruncated, without_noise

HEADS = [("softmax", 5), ("softmax", 4), ("sigmoid", 15)]
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def sequences(dtype: str = "float64") -> workloads.ClassifierCase:
    draw = np.random.default_rng(3)
    offsets = np.cumsum([0, 3, 1, 5, 2, 4, 4])
    labels = np.concatenate(
        [draw.dirichlet(np.ones(size), 6) for size in (5, 4)] + [draw.uniform(0, 1, (6, 15))], axis=1
    )
    case = workloads.classifier_case(draw.normal(0, 1, (19, 3)), offsets, labels, 6, dtype)
    return replaced(case, batch_size=2)


def sentences(dtype: str = "float64", batch_size: int = 1) -> workloads.TextCase:
    each = [[0, 3, 4, 5, 3, 1], [0, 7, 1], [0, 2, 2, 9, 10, 8, 4, 3, 1], [0, 6, 5, 1], [0, 1], [0, 9, 3, 2, 4, 8, 8, 1]]
    offsets = np.cumsum([0, *map(len, each)])
    tokens = np.concatenate(each * 2).astype(np.int32)
    return workloads.text_case(tokens, np.concatenate([offsets, offsets[1:] + offsets[-1]]), 11, 7, batch_size, dtype)


def replaced(case: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(case, **changes)


def cases(dtype: str) -> list[Case]:
    return [sequences(dtype), sentences(dtype, 1), sentences(dtype, 4)]


def relative(found: Any, expected: Any) -> float:
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in expected)


def one_update(case: Any, n: int) -> tuple[float, dict[str, np.ndarray]]:
    """Loss and gradient of the first n sequences, by the NumPy implementation."""
    model = worker.trained(numpy_peer, replaced(case, batch_size=n, rate=1.0))
    loss = model.run(np.arange(n))
    return loss, {name: case.weights[name] - w for name, w in model.weights().items()}


def test_the_classifier_in_numpy_is_the_twin() -> None:
    case = without_noise(sequences())
    assert isinstance(case, workloads.ClassifierCase)
    twin = ClassifierCase(activation="relu", loss="mse", heads=HEADS)

    def loss(w: Any) -> float:
        steps = zip(case.offsets[:-1], case.offsets[1:], case.labels, strict=True)
        each = [classifier_loss(case.values[a:b], y, w, twin, np.zeros((b - a, 6))) for a, b, y in steps]
        return float(np.sum(each))

    found_loss, found = one_update(case, 6)
    assert found_loss == pytest.approx(loss(case.weights), rel=1e-12)
    slopes = finite_differences(lambda w: loss(w) / 6, {name: w.copy() for name, w in case.weights.items()})
    l1 = {name: case.l1 * np.sign(w) if name.startswith("W") else 0 for name, w in case.weights.items()}
    assert relative(found, {name: slopes[name] + l1[name] for name in slopes}) < 1e-6


@pytest.mark.parametrize("n", [1, 5])
def test_the_language_model_in_numpy_is_the_twin(n: int) -> None:
    case = sentences()
    words = [case.tokens[a:b] for a, b in zip(case.offsets[:n], case.offsets[1:], strict=False)]
    loss, found = one_update(case, n)
    assert loss == pytest.approx(sum(language_model_loss(each, case.weights) for each in words), rel=1e-12)
    gradients = [language_model_gradient(each, case.weights, case.bptt) for each in words]
    assert relative(found, {name: sum(g[name] for g in gradients) / n for name in found}) < 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "needs"),
    [("torch_manual", "torch"), ("torch_rnn", "torch"), ("jax", "jax"), ("labq", "numba"), ("eigen", "")],
)
def test_every_implementation_makes_the_updates_of_the_one_in_numpy(name: str, needs: str, dtype: str) -> None:
    if needs:
        pytest.importorskip(needs)
    if name == "eigen" and dtype == "float32":
        pytest.skip("the programme of the report has float64 alone")
    try:
        module = import_module(f"trainer_peers.{name}_peer")
    except ImportError as missing:
        pytest.skip(f"{missing} is not there")
    for case in cases(dtype)[1 if name == "eigen" else 0 :]:
        expected_of = untruncated(case) if name == "torch_rnn" and isinstance(case, workloads.TextCase) else case
        expected = worker.check(numpy_peer, replaced(expected_of))
        assert relative(worker.check(module, case), expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["numpy", "torch_manual", "torch_rnn", "jax", "labq"])
def test_noise_moves_the_weights_of_every_implementation(name: str) -> None:
    if name.startswith(("torch", "jax")):
        pytest.importorskip(name.split("_")[0])
    module, case = import_module(f"trainer_peers.{name}_peer"), sequences("float32")
    runs = [worker.trained(module, c) for c in (replaced(case, noise=0.5), without_noise(case))]
    losses = [run.run(np.arange(6)) for run in runs]
    assert losses[0] != losses[1]
    assert all(np.isfinite(losses))


def bench(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and output of the whole bench."""
    file = Path(__file__).parents[1] / "bench" / "trainer.py"
    ended = subprocess.run([sys.executable, str(file), *arguments], stdout=subprocess.PIPE, text=True)
    return ended.returncode, json.loads(ended.stdout)


def test_the_bench_prints_times_ratios_and_limits_and_names_what_is_missing() -> None:
    code, found = bench("--quick", "--json", "--rounds", "1", "--only", "classifier_h50", "--one-thread")
    assert code == 0, found["refused"]
    row = found["classifier_h50"]
    for name in ("torch_rnn", "torch_manual", "jax", "numpy"):
        assert (row[f"{name}_us"] is None) == (row["ratios"][name] is None) == (name in found["missing"])
    assert row["labq_us"] > 0
    assert row["ratios"]["numpy"] == pytest.approx(row["numpy_us"] / row["labq_us"], abs=0.01)
    assert 0 < row["roofline"] < 1
    assert found["roofline"]["peak_gflops"]["float32"]["1"] > found["roofline"]["peak_gflops"]["float64"]["1"] > 0
    table = tables.markdown(found)
    assert found["command"] in table
    assert "| classifier_h50 |" in table


def test_an_implementation_that_computes_something_else_is_noticed() -> None:
    case = sentences()
    right, wrong = worker.check(numpy_peer, case), worker.check(numpy_peer, replaced(case, bptt=3))
    bench_script = load_bench()
    assert bench_script.deviation(right, right) == 0
    assert bench_script.deviation(wrong, right) > 1e-3


def load_bench() -> Any:
    """tests/bench/trainer.py, which must not take the name of the package."""
    file = Path(__file__).parents[1] / "bench" / "trainer.py"
    spec = importlib.util.spec_from_file_location("trainer_bench", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["trainer_bench"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_packed_rows_are_the_running_sequences_of_each_step() -> None:
    packed = pack(np.array([0, 2, 5, 6]), np.array([0, 1, 2]))
    assert packed.order.tolist() == [1, 0, 2]
    assert packed.rows.tolist() == [2, 0, 5, 3, 1, 4]
    assert packed.counts == [3, 2, 1]
    assert packed.lasts.tolist() == [5, 4, 2]
    assert packed.previous.tolist() == [0, 1, 3]
    assert packed.halves == [2, 1, 1, 1, 0, 1]


def test_useful_arithmetic_is_that_of_the_products() -> None:
    assert sentences().useful_flops == 6 * 7 * 11 + 12 * 7 * 7
    case = sequences()
    assert case.useful_flops * 19 == 4 * 3 * 6 * 19 + 6 * 36 * (19 - 6) + 6 * 6 * 24 * 6
