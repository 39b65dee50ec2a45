from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy_twins import finite_differences, language_model_gradient, language_model_loss

from trainer.config import LanguageModelConfig, ModelKind, Precision, Truncation
from trainer.data.vocabulary import PackedText, Vocabulary
from trainer.kernels import optimizers
from trainer.models.language_model import LanguageModel

SENTENCES = [[0, 3, 4, 5, 3, 1], [0, 1], [0, 2, 2, 9, 10, 8, 4, 3, 1], [0, 6, 5, 1]]
SGD = optimizers.Rule(optimizers.SGD, 0.1, 0.0, 0.0, 1e-8, 0.0, 0)

Arrays = dict[str, np.ndarray]


def packed(sentences: list[list[int]]) -> PackedText:
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    return PackedText(tokens=np.concatenate(sentences).astype(np.int32), offsets=offsets)


def model(sentences: list[list[int]] = SENTENCES, k: int = 11, h: int = 5, **parameters: Any) -> LanguageModel:
    given = {"dtype": Precision.FLOAT64, "n_hidden": h, **parameters}
    config = LanguageModelConfig(model=ModelKind.LANGUAGE_MODEL, **given)
    words = ("<start>", "<end>", "<unknown>", *(f"w{i}" for i in range(3, k)))
    return LanguageModel(config, Vocabulary(words=words), packed(sentences), packed(sentences))


def weights(m: LanguageModel, seed: int = 0, deviation: float = 0.5) -> Arrays:
    draw = np.random.default_rng(seed)
    k, h = len(m.vocabulary), m.config.n_hidden
    return {name: draw.normal(0, deviation, shape) for name, shape in (("U", (k, h)), ("W", (h, h)), ("V", (h, k)))}


def flat_of(m: LanguageModel, w: Arrays) -> np.ndarray:
    return m.layout.pack({name: value.astype(m.layout.dtype) for name, value in w.items()})


def random_sentences(n: int, k: int, seed: int = 5) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    return [[0, *draw.integers(2, k, draw.integers(0, 25)).tolist(), 1] for _ in range(n)]


def gradient(m: LanguageModel, w: Arrays, order: list[int]) -> tuple[Arrays, float]:
    found = m.layout.zeros()
    objective = m.gradient(np.array(order), 0, flat_of(m, w), found)
    return m.layout.unpack(found), objective


def slow_gradient(
    sentences: list[list[int]], w: Arrays, order: list[int], bptt: int, chunk: int | None = None
) -> Arrays:
    each = [language_model_gradient(np.array(sentences[i]), w, bptt, chunk) for i in order]
    return {name: sum(g[name] for g in each) / len(order) for name in w}


def trained(
    m: LanguageModel, w: Arrays, cuts: list[list[int]], rule: optimizers.Rule = SGD, slots: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Flat weights and sums after training on these orders, a call for each."""
    flat, memory, sums = flat_of(m, w), m.layout.zeros(slots), np.zeros(4)
    for order in cuts:
        assert m.train(np.array(order), 0, flat, memory, rule, sums) == math.ceil(len(order) / m.config.batch_size)
    return flat, sums


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("bptt", [0, 1, 4, 20])
def test_the_gradient_is_the_double_loop_of_the_tutorial(bptt: int) -> None:
    m = model(bptt=bptt)
    w = weights(m)
    found, objective = gradient(m, w, [0, 2, 1])
    expected = slow_gradient(SENTENCES, w, [0, 2, 1], bptt)
    for name in w:
        assert relative(found[name], expected[name]) < 1e-12
    losses = [language_model_loss(np.array(SENTENCES[i]), w) for i in (0, 2, 1)]
    assert objective == pytest.approx(sum(losses) / 3, rel=1e-12)


@pytest.mark.parametrize("bptt", [1, 3, 20])
def test_chunked_truncation_goes_back_to_the_beginning_of_the_chunk(bptt: int) -> None:
    m = model(bptt=bptt, truncation=Truncation.CHUNKED)
    w = weights(m)
    found, _ = gradient(m, w, [2, 0])
    expected = slow_gradient(SENTENCES, w, [2, 0], 100, bptt)
    for name in w:
        assert relative(found[name], expected[name]) < 1e-12


@pytest.mark.parametrize(("dtype", "tolerance"), [(Precision.FLOAT64, 1e-12), (Precision.FLOAT32, 2e-5)])
@pytest.mark.parametrize(("k", "h"), [(3, 1), (83, 37), (700, 20)])
def test_the_gradient_holds_for_any_size_of_vocabulary_and_state(
    k: int, h: int, dtype: Precision, tolerance: float
) -> None:
    sentences = random_sentences(7, k)
    m = model(sentences, k, h, dtype=dtype)
    w = weights(m, 1, 0.3)
    found, _ = gradient(m, w, list(range(7)))
    expected = slow_gradient(sentences, w, list(range(7)), 4)
    for name in w:
        assert relative(found[name], expected[name]) < tolerance


def test_large_logits_neither_overflow_nor_vanish() -> None:
    sentences = random_sentences(5, 300)
    m = model(sentences, 300, 9, dtype=Precision.FLOAT32)
    w = weights(m, 2, 30.0)
    found, objective = gradient(m, w, [0, 1, 2, 3, 4])
    expected = slow_gradient(sentences, w, [0, 1, 2, 3, 4], 4)
    assert math.isfinite(objective)
    assert relative(found["V"], expected["V"]) < 1e-3


def test_a_gradient_of_more_words_than_there_is_room_for_is_taken_in_groups() -> None:
    sentences = random_sentences(60, 40)
    m = model(sentences, 40, 6)
    w = weights(m)
    assert sum(map(len, sentences)) > 2 * m._sizes.rows
    found, _ = gradient(m, w, list(range(60)))
    expected = slow_gradient(sentences, w, list(range(60)), 4)
    for name in w:
        assert relative(found[name], expected[name]) < 1e-12


def test_the_untruncated_gradient_is_that_of_finite_differences() -> None:
    m = model(bptt=100)
    w = weights(m)
    slopes = finite_differences(lambda v: language_model_loss(np.array(SENTENCES[2]), v), w)
    found, _ = gradient(m, w, [2])
    for name in w:
        assert relative(found[name], slopes[name]) < 1e-7


@pytest.mark.parametrize("chunk", [None, 3])
def test_the_gradient_is_that_of_torch(chunk: int | None) -> None:
    torch = pytest.importorskip("torch")
    sentences = random_sentences(4, 50)
    chunked = Truncation.TUTORIAL if chunk is None else Truncation.CHUNKED
    m = model(sentences, 50, 13, bptt=chunk or 100, truncation=chunked)
    w = weights(m)
    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in w.items()}
    u, recurrent, v = parameters.values()
    loss = torch.zeros((), dtype=torch.float64)
    for words in sentences:
        state = torch.zeros(13, dtype=torch.float64)
        for t, (word, following) in enumerate(pairwise(words)):
            state = torch.tanh(u[word] + (state.detach() if chunk and t % chunk == 0 else state) @ recurrent)
            loss = loss - torch.log_softmax(state @ v, 0)[following] / len(sentences)
    loss.backward()
    found, objective = gradient(m, w, [0, 1, 2, 3])
    assert objective == pytest.approx(loss.item(), rel=1e-12)
    for name in w:
        assert relative(found[name], parameters[name].grad.numpy()) < 1e-9


def test_the_loss_is_summed_over_words_in_training_and_in_validation() -> None:
    m = model(batch_size=4)
    w = weights(m)
    expected = sum(language_model_loss(np.array(words), w) for words in SENTENCES)
    _, sums = trained(m, w, [[3, 1, 0, 2]])
    np.testing.assert_allclose(sums, [expected, 17, expected, 17], rtol=1e-12)
    whole, parts = np.zeros(2), np.zeros(2)
    m.evaluate(0, 4, flat_of(m, w), whole)
    np.testing.assert_allclose(whole, [expected, 17], rtol=1e-12)
    for first, last in ((0, 1), (1, 3), (3, 4)):
        m.evaluate(first, last, flat_of(m, w), parts)
    assert (whole == parts).all()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_forty_updates_are_those_of_the_slow_twin(batch_size: int) -> None:
    sentences = random_sentences(40 * batch_size, 90)
    m = model(sentences, 90, 17, batch_size=batch_size)
    w = weights(m, 3, 0.2)
    order = np.random.default_rng(1).permutation(40 * batch_size).tolist()
    flat, _ = trained(m, w, [order], SGD._replace(rate=0.01))  # a large rate would make rounding errors grow
    for start in range(0, len(order), batch_size):
        g = slow_gradient(sentences, w, order[start : start + batch_size], 4)
        w = {name: w[name] - 0.01 * g[name] for name in w}
    for name, value in m.layout.unpack(flat).items():
        assert relative(value, w[name]) < 1e-12


def clipped(longest: float, g: Arrays) -> Arrays:
    length = math.sqrt(sum(float((v**2).sum()) for v in g.values()))
    return {name: v * (longest / length if 0 < longest < length else 1.0) for name, v in g.items()}


@pytest.mark.parametrize(("momentum", "longest"), [(0.9, 0.0), (0.0, 0.5), (0.9, 0.5)])
def test_updates_follow_momentum_and_clipping(momentum: float, longest: float) -> None:
    m = model(batch_size=2)
    w = weights(m)
    rule = SGD._replace(momentum=momentum, longest=longest)
    flat, _ = trained(m, w, [[0, 1, 2, 3, 0]], rule, slots=int(momentum > 0))
    velocity = {name: np.zeros_like(value) for name, value in w.items()}
    for batch in ([0, 1], [2, 3], [0]):
        g = clipped(longest, slow_gradient(SENTENCES, w, batch, 4))
        velocity = {name: momentum * velocity[name] - 0.1 * g[name] for name in w}
        w = {name: w[name] + velocity[name] for name in w}
    for name, value in m.layout.unpack(flat).items():
        assert relative(value, w[name]) < 1e-12


def test_adagrad_leaves_words_alone_that_were_not_read() -> None:
    m = model(batch_size=2)
    w = weights(m)
    flat, _ = trained(m, w, [[0, 2], [3, 0]], SGD._replace(kind=optimizers.ADAGRAD), slots=1)
    squares, expected = {name: np.zeros_like(value) for name, value in w.items()}, dict(w)
    for batch in ([0, 2], [3, 0]):
        g = slow_gradient(SENTENCES, expected, batch, 4)
        squares = {name: squares[name] + g[name] ** 2 for name in w}
        expected = {name: expected[name] - 0.1 * g[name] / (np.sqrt(squares[name]) + 1e-8) for name in w}
    for name, value in m.layout.unpack(flat).items():
        assert relative(value, expected[name]) < 1e-12
    assert (m.layout.unpack(flat)["U"][7] == w["U"][7]).all()


CUTS = [[list(range(12))], [[i] for i in range(12)], [list(range(5)), list(range(5, 12))]]
RULES = [(SGD, 0), (SGD._replace(momentum=0.9), 1), (SGD._replace(kind=optimizers.ADAGRAD), 1)]


@pytest.mark.parametrize(("rule", "slots"), RULES, ids=["sgd", "momentum", "adagrad"])
@pytest.mark.parametrize("dtype", list(Precision))
def test_bits_depend_neither_on_threads_nor_on_where_a_run_is_cut(
    rule: optimizers.Rule, slots: int, dtype: Precision
) -> None:
    sentences = random_sentences(12, 500)
    found = []
    for threads in (1, 2, 3):
        m = model(sentences, 500, 21, dtype=dtype, threads=threads)
        found += [trained(m, weights(m, 4, 0.3), cut, rule, slots) for cut in (CUTS if threads < 3 else CUTS[:1])]
    for flat, sums in found[1:]:
        assert flat.tobytes() == found[0][0].tobytes()
        assert sums.tobytes() == found[0][1].tobytes()


def test_what_is_owed_to_the_weights_is_what_an_update_at_once_gives() -> None:
    sentences = random_sentences(6, 70)
    m = model(sentences, 70, 8)
    w, rate = weights(m), 0.1
    flat, _ = trained(m, w, [[4]])
    g, _ = gradient(m, w, [4])
    for name, value in m.layout.unpack(flat).items():
        np.testing.assert_allclose(value, w[name] - rate * g[name], rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_give_the_same_gradient_and_validation_loss(threads: int) -> None:
    sentences = random_sentences(9, 300)
    one, many = model(sentences, 300, 10), model(sentences, 300, 10, threads=threads)
    w = weights(one)
    a, b = one.layout.zeros(), one.layout.zeros()
    assert one.gradient(np.arange(9), 0, flat_of(one, w), a) == many.twin().gradient(
        np.arange(9), 0, flat_of(one, w), b
    )
    assert a.tobytes() == b.tobytes()
    sums = np.zeros((2, 2))
    one.evaluate(0, 9, flat_of(one, w), sums[0])
    many.evaluate(0, 9, flat_of(one, w), sums[1])
    assert (sums[0] == sums[1]).all()


def test_padding_stays_zero() -> None:
    m = model()
    flat, _ = trained(m, weights(m), [[0, 1, 2, 3]])
    assert flat.tobytes() == m.layout.pack(m.layout.unpack(flat)).tobytes()


@pytest.mark.parametrize(("rule", "slots"), RULES, ids=["sgd", "momentum", "adagrad"])
def test_training_ends_before_the_update_of_a_loss_that_is_not_finite(rule: optimizers.Rule, slots: int) -> None:
    m = model()
    w = weights(m)
    w["U"][6] = np.nan  # a word of sentence 3 alone
    flat, memory, sums = flat_of(m, w), m.layout.zeros(slots), np.zeros(4)
    assert m.train(np.array([0, 3, 2]), 0, flat, memory, rule, sums) == 1
    assert math.isnan(sums[0])
    expected, _ = trained(m, w, [[0]], rule, slots)
    assert flat.tobytes() == expected.tobytes()


def test_a_batch_too_large_to_keep_waiting_is_an_update_by_its_whole_gradient() -> None:
    sentences = random_sentences(120, 30)
    m = model(sentences, 30, 4, batch_size=120)
    w = weights(m)
    assert m._largest_batch > m._sizes.rows
    flat, _ = trained(m, w, [list(range(120))])
    g = slow_gradient(sentences, w, list(range(120)), 4)
    for name, value in m.layout.unpack(flat).items():
        assert relative(value, w[name] - 0.1 * g[name]) < 1e-12
