"""The rules of an update against their equations in NumPy, and against torch.optim where torch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_twins import Descent

from trainer.kernels.optimizers import ADAGRAD, ADAM, NESTEROV, RMSPROP, SGD, Rule, apply

SIZE = 3000  # some blocks of the sum of squares, and a rest
SLOTS = {SGD: 1, NESTEROV: 1, ADAGRAD: 1, RMSPROP: 1, ADAM: 2}
KINDS = {"sgd": SGD, "nesterov": NESTEROV, "adagrad": ADAGRAD, "rmsprop": RMSPROP, "adam": ADAM}


def rule(kind: int, **more: Any) -> Rule:
    plain = {"rate": 0.05, "momentum": 0.8, "decay": 0.95, "epsilon": 1e-6, "longest": 0.0, "first": 0}
    return Rule(kind=kind, **{**plain, **more})


def gradients(n: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (n, size))


def descended(numbers: Rule, steps: np.ndarray, slots: int, dtype: str = "float64") -> np.ndarray:
    weights = np.linspace(-1, 1, steps.shape[1]).astype(dtype)
    memory = np.zeros((slots, steps.shape[1]), dtype)
    for number, gradient in enumerate(steps):
        apply(weights, gradient.astype(dtype), memory, numbers, number)
    return weights


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("longest", [0.0, 20.0])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_every_rule_is_its_equation(kind: int, longest: float, dtype: str, tolerance: float) -> None:
    numbers, steps = rule(kind, longest=longest), gradients(7)
    twin = Descent(numbers, np.linspace(-1, 1, SIZE))
    for gradient in steps:
        twin.step(gradient)
    assert relative(descended(numbers, steps, SLOTS[kind], dtype), twin.weights) < tolerance


def test_without_a_slot_of_memory_there_is_no_momentum() -> None:
    steps = gradients(3)
    found = descended(rule(SGD), steps, 0)
    np.testing.assert_allclose(found, np.linspace(-1, 1, SIZE) - 0.05 * steps.sum(axis=0), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_what_was_done_before_the_call_counts_for_adam_and_calls_may_be_cut_anywhere(kind: int) -> None:
    steps = gradients(5)
    weights, memory = np.linspace(-1, 1, SIZE), np.zeros((SLOTS[kind], SIZE))
    for first in range(5):
        apply(weights, steps[first].copy(), memory, rule(kind, first=first), 0)
    assert (weights == descended(rule(kind), steps, SLOTS[kind])).all()


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 5000), scale=st.sampled_from([1e-3, 1.0, 1e15]), dtype=st.sampled_from(["float32", "float64"])
)
def test_a_gradient_is_clipped_to_its_length_whatever_its_size(size: int, scale: float, dtype: str) -> None:
    gradient = (scale * gradients(1, size, seed=size)[0]).astype(dtype)
    length = float(np.linalg.norm(gradient.astype(np.float64)))
    clipped = gradient.copy()
    apply(np.zeros(size, dtype), clipped, np.zeros((0, size), dtype), rule(SGD, longest=length / 3), 0)
    np.testing.assert_allclose(clipped, gradient.astype(np.float64) / 3, rtol=1e-5 if dtype == "float32" else 1e-13)
    untouched = gradient.copy()
    apply(np.zeros(size, dtype), untouched, np.zeros((0, size), dtype), rule(SGD, longest=length * 1.001), 0)
    assert (untouched == gradient).all()


def test_a_gradient_whose_squares_are_beyond_float32_is_clipped_all_the_same() -> None:
    gradient = np.full(2000, 1e30, np.float32)
    apply(np.zeros(2000, np.float32), gradient, np.zeros((0, 2000), np.float32), rule(SGD, longest=1.0), 0)
    np.testing.assert_allclose(np.linalg.norm(gradient.astype(np.float64)), 1, rtol=1e-6)


def test_padding_stays_zero() -> None:
    for kind, slots in SLOTS.items():
        weights, memory = np.zeros(40), np.zeros((slots, 40))
        for number in range(3):
            apply(weights, np.zeros(40), memory, rule(kind, longest=1.0), number)
        assert not weights.any()
        assert not memory.any()


def torch_optimizer(torch: Any, kind: int, weight: Any) -> Any:
    numbers = rule(kind)
    if kind in (SGD, NESTEROV):
        return torch.optim.SGD([weight], lr=numbers.rate, momentum=numbers.momentum, nesterov=kind == NESTEROV)
    if kind == ADAGRAD:
        return torch.optim.Adagrad([weight], lr=numbers.rate, eps=numbers.epsilon)
    if kind == RMSPROP:
        return torch.optim.RMSprop([weight], lr=numbers.rate, alpha=numbers.decay, eps=numbers.epsilon)
    betas = (numbers.momentum, numbers.decay)
    return torch.optim.Adam([weight], lr=numbers.rate, betas=betas, eps=numbers.epsilon)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_every_rule_is_that_of_torch_at_a_constant_rate(kind: int) -> None:
    torch = pytest.importorskip("torch")
    steps = gradients(20)
    weight = torch.nn.Parameter(torch.linspace(-1, 1, SIZE, dtype=torch.float64))
    with torch.no_grad():
        weight.copy_(torch.from_numpy(np.linspace(-1, 1, SIZE)))
    optimizer = torch_optimizer(torch, kind, weight)
    for gradient in steps:
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    assert relative(descended(rule(kind), steps, SLOTS[kind]), weight.detach().numpy()) < 1e-12


def test_after_a_change_of_the_rate_old_velocity_keeps_the_old_one_unlike_in_torch() -> None:
    torch = pytest.importorskip("torch")
    steps = gradients(2)
    weights, memory = np.zeros(SIZE), np.zeros((1, SIZE))
    weight = torch.nn.Parameter(torch.zeros(SIZE, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.5)
    for gradient, rate in zip(steps, (0.1, 0.01), strict=True):
        apply(weights, gradient.copy(), memory, rule(SGD, rate=rate, momentum=0.5), 0)
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    ours, theirs = (
        -0.1 * steps[0] + (-0.05 * steps[0] - 0.01 * steps[1]),
        -0.1 * steps[0] - 0.01 * (0.5 * steps[0] + steps[1]),
    )
    assert relative(weights, ours) < 1e-12
    assert relative(weight.detach().numpy(), theirs) < 1e-12


def test_torch_clips_to_the_same_length() -> None:
    torch = pytest.importorskip("torch")
    gradient = gradients(1)[0]
    weight = torch.nn.Parameter(torch.zeros(SIZE, dtype=torch.float64))
    weight.grad = torch.from_numpy(gradient.copy())
    torch.nn.utils.clip_grad_norm_([weight], 2.5)
    clipped = gradient.copy()
    apply(np.zeros(SIZE), clipped, np.zeros((0, SIZE)), rule(SGD, longest=2.5), 0)
    assert relative(clipped, weight.grad.numpy()) < 1e-6  # torch adds 1e-6 to the length
