from __future__ import annotations

import math

import numpy as np
import pytest
from numpy_twins import (
    ClassifierCase,
    answers,
    classifier_loss,
    classifier_output,
    finite_differences,
    noise,
    penalty,
)

from trainer.kernels import activations, readout
from trainer.kernels import classifier as kernels

I, H = 3, 6  # noqa: E741
LENGTHS = [4, 1, 7, 2]
OFFSETS = np.cumsum([0, *LENGTHS], dtype=np.int64)
VALUES = np.random.default_rng(1).normal(0, 1, (OFFSETS[-1], I))
MIXED = [("softmax", 3), ("sigmoid", 2), ("linear", 2), ("softmax", 2)]
KINDS = {"softmax": readout.SOFTMAX, "sigmoid": readout.SIGMOID, "linear": readout.LINEAR}
CODES = {
    "tanh": activations.TANH,
    "sigmoid": activations.SIGMOID,
    "relu": activations.RELU,
    "capped-relu": activations.CAPPED_RELU,
}
LOSSES = {"mse": readout.MSE, "cross-entropy": readout.CROSS_ENTROPY}
QUIET = kernels.Noise(0.0, 0, 0)


def targets(heads: list[tuple[str, int]]) -> np.ndarray:
    draw = np.random.default_rng(2)
    parts = []
    for kind, size in heads:
        part = draw.uniform(0.1, 1, (len(LENGTHS), size))
        parts.append(part / part.sum(axis=1, keepdims=True) if kind == "softmax" else part)
    return np.concatenate(parts, axis=1)


def weights(n_out: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(3)
    shapes = {"W_in": (I, H), "W": (H, H), "W_out": (H, n_out), "b": (1, H), "b_out": (1, n_out)}
    return {name: draw.normal(0, 0.35, shape) for name, shape in shapes.items()}


def table(heads: list[tuple[str, int]]) -> np.ndarray:
    firsts = np.cumsum([0, *(size for _, size in heads)])
    return np.array([(KINDS[kind], firsts[i], size) for i, (kind, size) in enumerate(heads)], dtype=np.int64)


def named(w: dict[str, np.ndarray], dtype: str = "float64") -> kernels.Weights:
    return kernels.Weights(**{name: value.astype(dtype) for name, value in w.items()})


def work(n_out: int, dtype: str = "float64") -> kernels.Work:
    t = max(LENGTHS)
    rows = [np.zeros((t + 1, H), dtype), np.zeros((t, H), dtype), np.zeros((t, H), dtype)]
    return kernels.Work(*rows, np.zeros(n_out, dtype), np.zeros(n_out, dtype))


def trained(
    case: ClassifierCase,
    w: dict[str, np.ndarray],
    order: list[int],
    size: int,
    rates: tuple[float, float, float],
    eta: kernels.Noise = QUIET,
    dtype: str = "float64",
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Weights and sums after training."""
    y, sums, new = targets(case.heads).astype(dtype), np.zeros(4), named(w, dtype)
    zero = {name: np.zeros_like(value) for name, value in w.items()}
    done = kernels.train(
        VALUES.astype(dtype), OFFSETS, y, np.array(order), size, new, named(zero, dtype), named(zero, dtype),
        work(y.shape[1], dtype), table(case.heads), CODES[case.activation], LOSSES[case.loss], eta, case.l1, case.l2,
        rates, sums,
    )  # fmt: skip
    assert done == math.ceil(len(order) / size)
    return new._asdict(), sums


def objective(case: ClassifierCase, order: list[int], eta: kernels.Noise) -> object:
    """The mean loss of a batch with its penalties, as a function of the weights."""
    y = targets(case.heads)

    def of(w: dict[str, np.ndarray]) -> float:
        losses = []
        for s in order:
            x = VALUES[OFFSETS[s] : OFFSETS[s + 1]]
            rows = [noise(H, eta.sigma, eta.seed, eta.epoch, s, t) for t in range(len(x))]
            losses.append(classifier_loss(x, y[s], w, case, np.array(rows)))
        return sum(losses) / len(losses) + penalty(w, case)

    return of


CASES = [
    *(ClassifierCase(f, "mse", [("softmax", 3)]) for f in CODES),
    *(ClassifierCase("tanh", loss, [(kind, 3)]) for loss in LOSSES for kind in KINDS),
    *(ClassifierCase("relu", loss, MIXED, l1=0.01, l2=0.02) for loss in LOSSES),
]


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_is_that_of_finite_differences(case: ClassifierCase, sigma: float) -> None:
    w, order, eta = weights(sum(size for _, size in case.heads)), [0, 2, 3], kernels.Noise(sigma, 2**33 + 1, 4)
    new, _ = trained(case, w, order, 3, (1.0, 0.0, 0.0), eta)
    slopes = finite_differences(objective(case, order, eta), w)
    for name in w:
        np.testing.assert_allclose(w[name] - new[name], slopes[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loss_is_that_of_the_slow_twin(case: ClassifierCase, dtype: str, tolerance: float) -> None:
    w, y = weights(sum(size for _, size in case.heads)), targets(case.heads)
    _, sums = trained(case, w, [0, 1, 2, 3], 4, (0.1, 0.5, 1.0), QUIET, dtype)
    each = [VALUES[OFFSETS[s] : OFFSETS[s + 1]] for s in range(4)]
    expected = sum(classifier_loss(x, y[s], w, case, np.zeros((len(x), H))) for s, x in enumerate(each))
    np.testing.assert_allclose(sums, [expected, 4, expected, 4], rtol=tolerance)


def test_validation_counts_losses_and_wrong_decisions() -> None:
    case = ClassifierCase("tanh", "mse", MIXED)
    w, y, sums = weights(9), np.round(targets(MIXED)), np.zeros(2 + len(MIXED))
    kernels.evaluate(VALUES, OFFSETS, y, 0, 4, named(w), work(9), table(MIXED), 0, 0, sums)
    loss, wrong = 0.0, [0, 0, 0, 0]
    for s in range(4):
        x = VALUES[OFFSETS[s] : OFFSETS[s + 1]]
        still = np.zeros((len(x), H))
        loss += classifier_loss(x, y[s], w, case, still)
        p = answers(classifier_output(x, w, case, still), MIXED)
        wrong[0] += p[:3].argmax() != y[s, :3].argmax()
        wrong[1] += int(((p[3:5] > 0.5) != (y[s, 3:5] > 0.5)).sum())
        wrong[3] += p[7:].argmax() != y[s, 7:].argmax()
    np.testing.assert_allclose(sums, [loss, 4, *wrong], rtol=1e-12)


@pytest.mark.parametrize(("momentum", "longest"), [(0.9, 0.0), (0.9, 0.05), (0.0, 0.05)])
def test_updates_follow_momentum_and_clipping(momentum: float, longest: float) -> None:
    case, w = ClassifierCase("tanh", "mse", [("softmax", 3)], l1=0.01), weights(3)
    found, _ = trained(case, w, [0, 1, 2, 3], 2, (0.1, momentum, longest))
    expected = {name: value.copy() for name, value in w.items()}
    velocity = {name: np.zeros_like(value) for name, value in w.items()}
    for batch in ([0, 1], [2, 3]):
        step, _ = trained(case, expected, batch, 2, (1.0, 0.0, 0.0))
        g = {name: expected[name] - step[name] for name in w}
        length = math.sqrt(sum(float((v**2).sum()) for v in g.values()))
        for name in w:
            factor = longest / length if 0 < longest < length else 1
            velocity[name] = momentum * velocity[name] - 0.1 * factor * g[name]
            expected[name] += velocity[name]
    for name in w:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-13)


def test_noise_depends_on_the_sequence_and_not_on_the_batch_it_is_in() -> None:
    case, w, eta = ClassifierCase("relu", "mse", [("softmax", 3)]), weights(3), kernels.Noise(0.5, 9, 2)
    _, together = trained(case, w, [2, 0], 2, (1e-300, 0.0, 0.0), eta)
    _, apart = trained(case, w, [0, 2], 1, (1e-300, 0.0, 0.0), eta)
    np.testing.assert_allclose(together[0], apart[0], rtol=1e-12)


def test_extreme_outputs_give_a_finite_cross_entropy() -> None:
    case, w = ClassifierCase("tanh", "cross-entropy", [("softmax", 3), ("sigmoid", 2)]), weights(5)
    w["b_out"][0] = [1e4, -1e4, 0, 1e4, -1e4]
    _, sums = trained(case, w, [0, 1], 2, (0.1, 0.0, 0.0), QUIET, "float32")
    assert np.isfinite(sums).all()
