from __future__ import annotations

import math

import numpy as np
import pytest
from numpy_twins import finite_differences, language_model_gradient, language_model_loss

from trainer.kernels import language_model as kernels

K, H = 11, 5
SENTENCES = [[0, 3, 4, 5, 3, 1], [0, 7, 1], [0, 2, 2, 9, 10, 8, 4, 3, 1], [0, 6, 5, 1]]
TOKENS = np.concatenate(SENTENCES).astype(np.int32)
OFFSETS = np.cumsum([0, *map(len, SENTENCES)], dtype=np.int64)


Arrays = dict[str, np.ndarray]


def weights(seed: int = 0, k: int = K, h: int = H) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {"U": draw.normal(0, 0.5, (k, h)), "W": draw.normal(0, 0.5, (h, h)), "V": draw.normal(0, 0.5, (h, k))}


def named(w: dict[str, np.ndarray], dtype: str) -> kernels.Weights:
    return kernels.Weights(**{name: value.astype(dtype) for name, value in w.items()})


def empty_like(w: dict[str, np.ndarray], dtype: str) -> kernels.Weights:
    return kernels.Weights(**{name: np.zeros(value.shape, dtype) for name, value in w.items()})


def work(dtype: str, t: int = 10, k: int = K, h: int = H) -> kernels.Work:
    rows = [np.zeros((t, h), dtype) for _ in range(3)]
    marks = np.zeros(k, np.int64), np.zeros(k, np.bool_), np.zeros(1, np.int64)
    return kernels.Work(np.zeros((t + 1, h), dtype), np.zeros((t, k), dtype), *rows, *marks)


def updated(
    w: Arrays, order: list[int], size: int, bptt: int, rates: tuple[float, float, float], dtype: str = "float64"
) -> tuple[kernels.Weights, np.ndarray]:
    """Weights and sums after training."""
    new, sums = named(w, dtype), np.zeros(4)
    velocity, gradient = empty_like(w, dtype), empty_like(w, dtype)
    k, h = w["U"].shape
    chosen, room = np.array(order), work(dtype, k=k, h=h)
    done = kernels.train(TOKENS, OFFSETS, chosen, size, new, velocity, gradient, room, bptt, rates, sums)
    assert done == math.ceil(len(order) / size)
    assert all(not g.any() for g in gradient)
    return new, sums


def gradient_of_kernel(w: Arrays, order: list[int], bptt: int, dtype: str = "float64") -> Arrays:
    """One update at learning rate 1 moves the weights by the gradient."""
    new, _ = updated(w, order, len(order), bptt, (1.0, 0.0, 0.0), dtype)
    return {name: w[name] - getattr(new, name) for name in w}


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("bptt", [0, 1, 4, 20])
def test_the_gradient_is_the_double_loop_of_the_tutorial(bptt: int) -> None:
    w = weights()
    found = gradient_of_kernel(w, [0, 2, 1], bptt)
    each = [language_model_gradient(np.array(SENTENCES[i]), w, bptt) for i in (0, 2, 1)]
    for name in w:
        assert relative(found[name], sum(g[name] for g in each) / 3) < 1e-12


def test_the_gradient_holds_for_more_units_than_a_block_of_lanes() -> None:
    w = weights(1, k=83, h=37)
    found = gradient_of_kernel(w, [0, 1, 2, 3], 4)
    each = [language_model_gradient(np.array(words), w, 4) for words in SENTENCES]
    for name in w:
        assert relative(found[name], sum(g[name] for g in each) / 4) < 1e-12


def test_float32_comes_close_to_the_twin() -> None:
    w = weights()
    found = gradient_of_kernel(w, [0, 2], 4, "float32")
    each = [language_model_gradient(np.array(SENTENCES[i]), w, 4) for i in (0, 2)]
    for name in w:
        assert relative(found[name], sum(g[name] for g in each) / 2) < 1e-5


def test_the_untruncated_gradient_is_that_of_finite_differences() -> None:
    w = weights()
    slopes = finite_differences(lambda v: language_model_loss(np.array(SENTENCES[2]), v), w)
    found = gradient_of_kernel(w, [2], 100)
    for name in w:
        assert relative(found[name], slopes[name]) < 1e-7


def test_the_loss_is_summed_over_words_in_training_and_in_validation() -> None:
    w = weights()
    expected = sum(language_model_loss(np.array(words), w) for words in SENTENCES)
    _, sums = updated(w, [3, 1, 0, 2], 4, 4, (0.1, 0.0, 0.0))
    np.testing.assert_allclose(sums, [expected, 18, expected, 18], rtol=1e-12)
    found = np.zeros(2)
    kernels.evaluate(TOKENS, OFFSETS, 0, 4, named(w, "float64"), work("float64"), found)
    np.testing.assert_allclose(found, [expected, 18], rtol=1e-12)


@pytest.mark.parametrize(("momentum", "longest"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.5), (0.9, 0.5)])
def test_updates_follow_momentum_and_clipping(momentum: float, longest: float) -> None:
    w = weights()
    found, _ = updated(w, [0, 1, 2, 3, 0], 2, 4, (0.1, momentum, longest))
    expected = {name: value.copy() for name, value in w.items()}
    velocity = {name: np.zeros_like(value) for name, value in w.items()}
    for batch in ([0, 1], [2, 3], [0]):
        each = [language_model_gradient(np.array(SENTENCES[i]), expected, 4) for i in batch]
        g = {name: sum(e[name] for e in each) / len(batch) for name in w}
        length = math.sqrt(sum(float((v**2).sum()) for v in g.values()))
        factor = longest / length if 0 < longest < length else 1.0
        for name in w:
            velocity[name] = momentum * velocity[name] - 0.1 * factor * g[name]
            expected[name] += velocity[name]
    for name in w:
        assert relative(getattr(found, name), expected[name]) < 1e-12


def test_one_call_and_one_call_per_update_give_the_same_bits() -> None:
    w = weights()
    whole, sums = updated(w, [0, 1, 2, 3], 1, 4, (0.1, 0.0, 1.0), "float32")
    parts, pieces = named(w, "float32"), np.zeros(4)
    velocity, gradient, room = empty_like(w, "float32"), empty_like(w, "float32"), work("float32")
    for i in range(4):
        kernels.train(TOKENS, OFFSETS, np.array([i]), 1, parts, velocity, gradient, room, 4, (0.1, 0.0, 1.0), pieces)
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))
    assert (sums == pieces).all()


def test_training_ends_before_the_update_of_a_loss_that_is_not_finite() -> None:
    w = weights()
    w["U"][7] = np.nan  # a word of sentence 1 alone
    new, sums = named(w, "float64"), np.zeros(4)
    velocity, gradient, room = empty_like(w, "float64"), empty_like(w, "float64"), work("float64")
    order = np.array([0, 1, 2])
    assert kernels.train(TOKENS, OFFSETS, order, 1, new, velocity, gradient, room, 4, (0.1, 0.0, 0.0), sums) == 1
    assert math.isnan(sums[0])
    assert np.isfinite(new.V).all()
