"""The mathematics again, slow and obvious, in float64 NumPy: what the kernels are measured against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def philox(counter: tuple[int, ...], key: tuple[int, ...], rounds: int = 10) -> tuple[int, ...]:
    """Philox4x32, as in the paper."""
    mask = 0xFFFFFFFF
    c, k = list(counter), list(key)
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return tuple(c)


def noise(n_hidden: int, sigma: float, seed: int, epoch: int, sequence: int, step: int) -> np.ndarray:
    """Of one step: the four words of counter i make units 16 apart, because 16 counters are drawn side by side."""
    numbers = np.zeros(64 * math.ceil(n_hidden / 64))
    for i in range(len(numbers) // 4):
        words = philox((i, step, sequence, epoch), (seed & 0xFFFFFFFF, seed >> 32), rounds=7)
        unit = 64 * (i // 16) + i % 16
        for a, b in (words[:2], words[2:]):
            radius = math.sqrt(-2 * math.log(((a >> 9) + 0.5) / 2**23))
            angle = 2 * math.pi * (b >> 8) / 2**24
            numbers[unit], numbers[unit + 16] = radius * math.cos(angle), radius * math.sin(angle)
            unit += 32
    return sigma * numbers[:n_hidden]


def language_model_states(words: np.ndarray, w: Weights) -> list[np.ndarray]:
    states = [np.zeros(w["W"].shape[0])]
    for word in words[:-1]:
        states.append(np.tanh(w["U"][word] + states[-1] @ w["W"]))
    return states


def language_model_loss(words: np.ndarray, w: Weights) -> float:
    states = language_model_states(words, w)
    answers = [softmax(s @ w["V"]) for s in states[1:]]
    return -sum(math.log(p[word]) for p, word in zip(answers, words[1:], strict=True))


def language_model_gradient(words: np.ndarray, w: Weights, bptt: int, chunk: int | None = None) -> Weights:
    """The double loop of Britz's tutorial, in row vectors. No error goes beyond the beginning of a chunk of steps."""
    s = language_model_states(words, w)
    g = {name: np.zeros_like(value) for name, value in w.items()}
    for t in range(len(words) - 1):
        error = softmax(s[t + 1] @ w["V"])
        error[words[t + 1]] -= 1
        g["V"] += np.outer(s[t + 1], error)
        delta = (w["V"] @ error) * (1 - s[t + 1] ** 2)
        begin = 0 if chunk is None else t - t % chunk
        for step in range(t, max(begin, t - bptt) - 1, -1):
            g["W"] += np.outer(s[step], delta)
            g["U"][words[step]] += delta
            delta = (w["W"] @ delta) * (1 - s[step] ** 2)
    return g


ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "capped-relu": (lambda x: np.clip(x, 0, 6), lambda x: ((x > 0) & (x < 6)) * 1.0),
}


@dataclass(kw_only=True)
class ClassifierCase:
    """What a classifier's loss depends on beside its weights. heads: (kind, size) one after another."""

    activation: str = "tanh"
    readout: str = "last"
    loss: str = "mse"
    heads: tuple[tuple[str, int], ...] = (("softmax", 3),)
    l1: float = 0.0
    l2: float = 0.0

    @property
    def n_out(self) -> int:
        return sum(size for _, size in self.heads)


def classifier_outputs(x: np.ndarray, w: Weights, case: ClassifierCase, eta: np.ndarray) -> np.ndarray:
    """What is read out of one sequence, before the heads: one row, or one of every step."""
    f, _ = ACTIVATIONS[case.activation]
    h, states = np.zeros(w["W"].shape[0]), []
    for t in range(len(x)):
        h = f(x[t] @ w["W_in"] + h @ w["W"] + w["b"][0]) + eta[t]
        states.append(h)
    read = {"last": states[-1:], "mean": [np.mean(states, axis=0)], "every-step": states}[case.readout]
    return np.array(read) @ w["W_out"] + w["b_out"]


def answers(z: np.ndarray, heads: tuple[tuple[str, int], ...]) -> np.ndarray:
    parts, first = [], 0
    for kind, size in heads:
        part = z[first : first + size]
        parts.append({"softmax": softmax, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "linear": lambda a: a}[kind](part))
        first += size
    return np.concatenate(parts)


def classifier_loss(x: np.ndarray, y: np.ndarray, w: Weights, case: ClassifierCase, eta: np.ndarray) -> float:
    """Of one sequence, without penalties. y: labels of the sequence, or a row of them for every step."""
    z = classifier_outputs(x, w, case, eta)
    return float(
        np.mean([head_loss(row, label, case) for row, label in zip(z, np.broadcast_to(y, z.shape), strict=True)])
    )


def head_loss(z: np.ndarray, y: np.ndarray, case: ClassifierCase) -> float:
    """Of one read-out."""
    p = answers(z, case.heads)
    if case.loss == "mse":
        return float(np.mean((p - y) ** 2))
    loss, first = 0.0, 0
    for kind, size in case.heads:
        q, t = p[first : first + size], y[first : first + size]
        if kind == "softmax":
            loss -= float(t @ np.log(q))
        elif kind == "sigmoid":
            loss -= float(t @ np.log(q) + (1 - t) @ np.log(1 - q))
        else:
            loss += float(np.sum((q - t) ** 2) / 2)
        first += size
    return loss


def penalty(w: Weights, case: ClassifierCase) -> float:
    penalised = [w[name] for name in ("W_in", "W", "W_out")]
    return sum(case.l1 * float(np.abs(v).sum()) + case.l2 * float((v**2).sum()) for v in penalised)


def finite_differences(loss: Any, w: Weights, step: float = 1e-6) -> Weights:
    """Central differences of loss(w) for every weight."""
    gradient = {}
    for name, value in w.items():
        g = gradient[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            kept = value[index]
            value[index] = kept + step
            above = loss(w)
            value[index] = kept - step
            g[index] = (above - loss(w)) / (2 * step)
            value[index] = kept
    return gradient


class Descent:
    """Updates of one vector of weights, each rule as in its paper; `rule` is a trainer.kernels.optimizers.Rule."""

    def __init__(self, rule: Any, weights: np.ndarray) -> None:
        self.rule, self.weights, self.number = rule, weights.copy(), 0
        self.first, self.second = np.zeros_like(weights), np.zeros_like(weights)

    def step(self, g: np.ndarray) -> None:
        rule, self.number = self.rule, self.number + 1
        length = math.sqrt(float((g**2).sum()))
        if 0 < rule.longest < length:
            g = g * rule.longest / length
        way = (self._sgd, self._nesterov, self._adagrad, self._rmsprop, self._adam)[rule.kind]
        self.weights += way(g)

    def _sgd(self, g: np.ndarray) -> np.ndarray:
        self.first = self.rule.momentum * self.first - self.rule.rate * g
        return self.first

    def _nesterov(self, g: np.ndarray) -> np.ndarray:
        """Sutskever's two points: theta, and theta + mu v where g was taken, which is the one that is kept."""
        theta = self.weights - self.rule.momentum * self.first
        self.first = self.rule.momentum * self.first - self.rule.rate * g
        theta = theta + self.first
        return theta + self.rule.momentum * self.first - self.weights

    def _adagrad(self, g: np.ndarray) -> np.ndarray:
        self.first = self.first + g**2
        return -self.rule.rate * g / (np.sqrt(self.first) + self.rule.epsilon)

    def _rmsprop(self, g: np.ndarray) -> np.ndarray:
        self.first = self.rule.decay * self.first + (1 - self.rule.decay) * g**2
        return -self.rule.rate * g / (np.sqrt(self.first) + self.rule.epsilon)

    def _adam(self, g: np.ndarray) -> np.ndarray:
        b1, b2 = self.rule.momentum, self.rule.decay
        self.first, self.second = b1 * self.first + (1 - b1) * g, b2 * self.second + (1 - b2) * g**2
        mean, square = self.first / (1 - b1**self.number), self.second / (1 - b2**self.number)
        return -self.rule.rate * mean / (np.sqrt(square) + self.rule.epsilon)
