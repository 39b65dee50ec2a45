from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from classifier_cases import (
    EPOCH,
    LENGTHS,
    MIXED,
    N_HIDDEN,
    STAND_STILL,
    drawn_weights,
    gradient_of,
    labels_of,
    model,
    noise_of,
    objective,
    sequences,
)
from numpy_twins import (
    ACTIVATIONS,
    ClassifierCase,
    answers,
    classifier_loss,
    classifier_outputs,
    finite_differences,
    penalty,
)

from trainer.kernels.optimizers import ADAM, SGD, Rule

READOUTS = ["last", "mean", "every-step"]
LOSSES = ["mse", "cross-entropy"]
CASES = [
    *(ClassifierCase(activation=f) for f in ACTIVATIONS),
    *(ClassifierCase(loss=loss, heads=((kind, 3),)) for loss in LOSSES for kind in ("softmax", "sigmoid", "linear")),
    *(
        ClassifierCase(activation="relu", readout=r, loss=loss, heads=MIXED, l1=0.01, l2=0.02)
        for r in READOUTS
        for loss in LOSSES
    ),
]
ORDER = [0, 2, 3, 8, 1]


def sgd(rate: float, momentum: float, longest: float = 0.0) -> Rule:
    """Numbers of the types that the loop gives, so that kernels are compiled once."""
    return Rule(SGD, rate, momentum, 0.0, 0.0, longest, 0)


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Within a share of the greatest number of a matrix."""
    for name, value in expected.items():
        scale = np.abs(value).max() + 1e-300
        assert np.abs(found[name] - value).max() / scale < tolerance, name


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_is_that_of_finite_differences(case: ClassifierCase, sigma: float) -> None:
    data, w = sequences(case, LENGTHS), drawn_weights(case)
    value, found = gradient_of(model(case, data, noise=sigma), w, ORDER)
    function = objective(case, data, ORDER, sigma)
    assert value == pytest.approx(function(w), rel=1e-12)
    close(found, finite_differences(function, w), 1e-6)


def test_labels_of_every_step_are_learned_step_by_step() -> None:
    case = ClassifierCase(readout="every-step", heads=MIXED)
    data, w = sequences(case, LENGTHS, labels_steps=True), drawn_weights(case)
    value, found = gradient_of(model(case, data), w, ORDER)
    function = objective(case, data, ORDER, 0.0)
    assert value == pytest.approx(function(w), rel=1e-12)
    close(found, finite_differences(function, w), 1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.1])
@pytest.mark.parametrize(
    "case",
    [
        ClassifierCase(activation=f, readout=r, loss=loss, heads=MIXED, l1=l1, l2=l1)
        for f, r, (loss, l1) in product(ACTIVATIONS, READOUTS, [("mse", 0.001), ("cross-entropy", 0.0)])
    ],
    ids=str,
)
def test_the_gradient_is_that_of_pytorch(case: ClassifierCase, sigma: float) -> None:
    torch = pytest.importorskip("torch")
    n_in, n_hidden, lengths = 20, 50, list(np.random.default_rng(7).integers(1, 30, 24))
    data, w = sequences(case, lengths, n_in), drawn_weights(case, n_in, n_hidden)
    order = list(range(23, -1, -1))
    value, found = gradient_of(model(case, data, n_hidden, noise=sigma, batch_size=24), w, order)
    weights = {name: torch.tensor(matrix, requires_grad=True) for name, matrix in w.items()}
    losses = [torch_loss(torch, data, s, weights, case, noise_of(data, s, n_hidden, sigma)) for s in order]
    loss = sum(losses) / len(order) + torch_penalty(weights, case)
    loss.backward()
    assert value == pytest.approx(loss.item(), rel=1e-12)
    close(found, {name: matrix.grad.numpy() for name, matrix in weights.items()}, 1e-9)


def torch_loss(torch: Any, data: Any, s: int, w: Any, case: ClassifierCase, eta: np.ndarray) -> Any:
    """One sequence's loss, written for autograd."""
    f = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "capped-relu": lambda x: torch.clamp(x, 0, 6),
    }
    x, h, states = torch.tensor(data.values[data.offsets[s] : data.offsets[s + 1]]), torch.zeros(eta.shape[1]), []
    for t in range(len(x)):
        h = f[case.activation](x[t] @ w["W_in"] + h.double() @ w["W"] + w["b"][0]) + torch.tensor(eta[t])
        states.append(h)
    stacked = torch.stack(states)
    read = {"last": stacked[-1:], "mean": stacked.mean(0, keepdim=True), "every-step": stacked}[case.readout]
    z, y, loss, first = read @ w["W_out"] + w["b_out"], torch.tensor(data.labels[s]), 0.0, 0
    for kind, size in case.heads:
        a, t = z[:, first : first + size], y[first : first + size].expand(len(z), size)
        if case.loss == "mse":
            p = {"softmax": lambda v: torch.softmax(v, 1), "sigmoid": torch.sigmoid, "linear": lambda v: v}[kind](a)
            loss = loss + ((p - t) ** 2).sum() / case.n_out
        elif kind == "softmax":
            loss = loss - (t * torch.log_softmax(a, 1)).sum()
        elif kind == "sigmoid":
            loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(a, t, reduction="sum")
        else:
            loss = loss + ((a - t) ** 2).sum() / 2
        first += size
    return loss / len(z)


def torch_penalty(w: Any, case: ClassifierCase) -> Any:
    return sum(case.l1 * w[name].abs().sum() + case.l2 * (w[name] ** 2).sum() for name in ("W_in", "W", "W_out"))


@pytest.mark.parametrize("n_hidden", [1, 7, 8, 50, 65])
@pytest.mark.parametrize("n_in", [1, 8, 20])
def test_every_size_fits_into_its_padding(n_in: int, n_hidden: int) -> None:
    case = ClassifierCase(activation="sigmoid", heads=(("softmax", 9),))
    data, w = sequences(case, LENGTHS, n_in), drawn_weights(case, n_in, n_hidden)
    trained = model(case, data, n_hidden, "float32", noise=0.2, initial_momentum=0.5)
    value, _ = gradient_of(trained, w, ORDER)
    assert value == pytest.approx(objective(case, data, ORDER, 0.2)(w), rel=1e-5)
    flat, memory = trained.layout.pack(w), trained.layout.zeros(1)
    trained.train(np.arange(13), EPOCH, flat, memory, sgd(0.5, 0.5), np.zeros(4))
    for array in (flat, memory[0]):
        assert trained.layout.pack(trained.layout.unpack(array)).tobytes() == array.tobytes()  # padding is still zero


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loss_is_that_of_the_slow_twin(case: ClassifierCase, dtype: str, tolerance: float) -> None:
    data, w, sums = sequences(case, LENGTHS), drawn_weights(case), np.zeros(4)
    trained = model(case, data, dtype=dtype)
    flat = trained.layout.pack(w)
    assert trained.train(np.arange(4), EPOCH, flat, trained.layout.zeros(1), STAND_STILL, sums) == 1
    each = [(data.values[data.offsets[s] : data.offsets[s + 1]], data.labels[s]) for s in range(4)]
    expected = sum(classifier_loss(x, y, w, case, np.zeros((len(x), N_HIDDEN))) for x, y in each)
    np.testing.assert_allclose(sums, [expected, 4, expected, 4], rtol=tolerance)


@pytest.mark.parametrize("readout", READOUTS)
def test_validation_counts_losses_and_wrong_decisions(readout: str) -> None:
    case = ClassifierCase(readout=readout, heads=MIXED)
    data, w = sequences(case, LENGTHS), drawn_weights(case)
    trained, sums = model(case, data, noise=0.5), np.zeros(2 + len(MIXED))
    trained.evaluate(0, 5, trained.layout.pack(w), sums)
    trained.evaluate(5, 13, trained.layout.pack(w), sums)
    loss, wrong = 0.0, np.zeros(4)
    for s in range(13):
        x, y = data.values[data.offsets[s] : data.offsets[s + 1]], labels_of(data, s)
        still = np.zeros((len(x), N_HIDDEN))
        loss += classifier_loss(x, y, w, case, still)
        z = classifier_outputs(x, w, case, still)
        for p in (answers(row, MIXED) for row in z):
            found = [
                p[:3].argmax() != y[:3].argmax(),
                ((p[3:5] > 0.5) != (y[3:5] > 0.5)).sum(),
                0,
                p[7:].argmax() != y[7:].argmax(),
            ]
            wrong += np.array(found, float) / len(z)
    np.testing.assert_allclose(sums, [loss, 13, *wrong], rtol=1e-12)


def test_validation_has_the_same_bits_wherever_it_is_cut() -> None:
    case = ClassifierCase(heads=MIXED)
    data = sequences(case, LENGTHS * 12)
    trained = model(case, data, dtype="float32")
    flat, whole, cut = trained.initial_weights(), np.zeros(6), np.zeros(6)
    trained.evaluate(0, 156, flat, whole)
    for first, last in ((0, 1), (1, 80), (80, 81), (81, 156)):
        trained.evaluate(first, last, flat, cut)
    assert cut.tobytes() == whole.tobytes()


@pytest.mark.parametrize("readout", READOUTS)
def test_predictions_are_the_answers_of_the_slow_twin(readout: str) -> None:
    case = ClassifierCase(readout=readout, heads=MIXED)
    data, other, w = sequences(case, [2, 1]), sequences(case, [3, 8, 1, 4] * 40), drawn_weights(case)
    trained = model(case, data)
    found = trained.predict(other.values, other.offsets, trained.layout.pack(w))
    for s in range(160):
        x = other.values[other.offsets[s] : other.offsets[s + 1]]
        rows = [answers(z, MIXED) for z in classifier_outputs(x, w, case, np.zeros((len(x), N_HIDDEN)))]
        np.testing.assert_allclose(found[s], np.mean(rows, axis=0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("momentum", "longest"), [(0.9, 0.0), (0.9, 0.05), (0.0, 0.05)])
def test_updates_follow_momentum_and_clipping(momentum: float, longest: float) -> None:
    case = ClassifierCase(l1=0.01)
    trained, expected = model(case, sequences(case, LENGTHS), batch_size=2), drawn_weights(case)
    flat, memory = trained.layout.pack(expected), trained.layout.zeros(int(momentum > 0))
    trained.train(np.array([4, 1, 2, 3]), EPOCH, flat, memory, sgd(0.1, momentum, longest), np.zeros(4))
    velocity = {name: np.zeros_like(value) for name, value in expected.items()}
    for batch in ([4, 1], [2, 3]):
        _, g = gradient_of(trained, expected, batch)
        length = math.sqrt(sum(float((v**2).sum()) for v in g.values()))
        for name, value in g.items():
            factor = longest / length if 0 < longest < length else 1
            velocity[name] = momentum * velocity[name] - 0.1 * factor * value
            expected[name] += velocity[name]
    close(trained.layout.unpack(flat), expected, 1e-10)


def after(
    case: ClassifierCase, cuts: list[int], kind: int = 0, lengths: list[int] = LENGTHS * 10, **more: Any
) -> list[bytes]:
    """Weights, memory and sums after two epochs that were cut before these sequences."""
    data = sequences(case, lengths)
    trained = model(case, data, 33, noise=0.1, **more)
    flat, memory, sums, rule = (
        trained.initial_weights(),
        trained.layout.zeros(2),
        np.zeros(4),
        Rule(kind, 0.05, 0.9, 0.99, 1e-8, 0.5, 0),
    )
    for epoch in range(2):
        order = np.random.default_rng(epoch).permutation(data.n_sequences)
        for first, last in zip([0, *cuts], [*cuts, data.n_sequences], strict=True):
            trained.train(order[first:last], epoch, flat, memory, rule, sums)
    return [flat.tobytes(), memory.tobytes(), sums.tobytes()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(threads: int, readout: str, dtype: str) -> None:
    case = ClassifierCase(activation="relu", readout=readout, heads=MIXED, l1=1e-4)
    one = after(case, [], dtype=dtype, batch_size=48)
    assert after(case, [], dtype=dtype, batch_size=48, threads=threads) == one


def test_the_same_bits_come_out_wherever_a_stretch_of_batches_is_cut() -> None:
    case = ClassifierCase(heads=MIXED)
    whole = after(case, [], dtype="float32", batch_size=13)
    for cuts in ([13], [13, 26, 39], [117], [65, 78]):
        assert after(case, cuts, dtype="float32", batch_size=13) == whole


def test_full_batches_do_not_depend_on_threads_either() -> None:
    case = ClassifierCase(readout="mean", heads=MIXED, l2=0.01)
    data, w = sequences(case, LENGTHS * 10), drawn_weights(case)
    order = list(range(130))
    found = {n: gradient_of(model(case, data, batch_size=48, threads=n), w, order) for n in (1, 3)}
    assert found[1][0] == found[3][0]
    assert all(found[1][1][name].tobytes() == found[3][1][name].tobytes() for name in w)
    expected = objective(case, data, order, 0.0)(w)
    assert found[1][0] == pytest.approx(expected, rel=1e-12)


def test_a_model_without_validation_data_trains() -> None:
    case = ClassifierCase()
    data = sequences(case, LENGTHS)
    trained = model(case, data, valid=data.take(np.arange(0)))
    _, gradient = gradient_of(trained, drawn_weights(case), ORDER)
    _, expected = gradient_of(model(case, data), drawn_weights(case), ORDER)
    assert trained.n_valid == 0
    assert all(gradient[name].tobytes() == expected[name].tobytes() for name in expected)


def test_twins_compute_the_same_in_memory_of_their_own() -> None:
    case = ClassifierCase()
    trained, w = model(case, sequences(case, LENGTHS)), drawn_weights(case)
    first, kept = gradient_of(trained, w, ORDER)
    other = trained.twin()
    assert gradient_of(other, w, [1, 2])[0] != first
    again, gradient = gradient_of(other, w, ORDER)
    assert again == first
    assert all(gradient[name].tobytes() == kept[name].tobytes() for name in w)


def test_a_loss_that_is_not_finite_stops_before_its_update() -> None:
    case = ClassifierCase(activation="relu", heads=(("linear", 2),))
    for threads in (1, 2):
        trained = model(case, sequences(case, LENGTHS * 4), batch_size=26, threads=threads)
        w = drawn_weights(case)
        w["W_in"][0, 0] = np.inf
        flat, sums = trained.layout.pack(w), np.zeros(4)
        kept = flat.copy()
        assert trained.train(np.arange(52), 0, flat, trained.layout.zeros(1), sgd(0.1, 0.9), sums) == 0
        assert not np.isfinite(sums[0])
        assert flat.tobytes() == kept.tobytes()


def test_adam_updates_through_the_same_door() -> None:
    case = ClassifierCase()
    assert after(case, [13], ADAM, batch_size=13)[0] != after(case, [13], batch_size=13)[0]


def test_noise_depends_on_the_sequence_and_not_on_the_batch_it_is_in() -> None:
    case, lengths = ClassifierCase(activation="relu"), LENGTHS
    trained, sums = model(case, sequences(case, lengths), noise=0.5, batch_size=1), np.zeros(4)
    together = model(case, sequences(case, lengths), noise=0.5, batch_size=13)
    flat, other = trained.initial_weights(), np.zeros(4)
    trained.train(np.array([2, 0, 5]), 1, flat, trained.layout.zeros(1), STAND_STILL, sums)
    together.train(np.array([0, 5, 2]), 1, flat, trained.layout.zeros(1), STAND_STILL, other)
    assert sums[0] == pytest.approx(other[0], rel=1e-14)


def test_extreme_outputs_give_a_finite_cross_entropy() -> None:
    case = ClassifierCase(loss="cross-entropy", heads=(("softmax", 3), ("sigmoid", 2)))
    trained, w, sums = model(case, sequences(case, LENGTHS), dtype="float32"), drawn_weights(case), np.zeros(4)
    w["b_out"][0] = [1e4, -1e4, 0, 1e4, -1e4]
    trained.train(np.arange(5), 0, trained.layout.pack(w), trained.layout.zeros(1), STAND_STILL, sums)
    assert np.isfinite(sums).all()


def test_the_penalty_is_that_of_the_slow_twin() -> None:
    case = ClassifierCase(l1=0.1, l2=0.2)
    trained, w = model(case, sequences(case, LENGTHS)), drawn_weights(case)
    assert trained.training_metrics(trained.layout.pack(w), 0.0)["penalty"] == pytest.approx(
        penalty(w, case), rel=1e-12
    )
