"""JAX: a whole epoch of the classifier is one compiled scan; of the language model, one compiled update per length."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from trainer_peers.packing import Packed, pack
from trainer_peers.workloads import N_OUT, SOFTMAX_SIZES, Array, ClassifierCase, TextCase, Weights

jax.config.update("jax_enable_x64", True)  # without it float64 is float32

_STEP_BUCKET, _ROW_BUCKET = 4, 32


class Classifier:
    """Sequences are padded to the longest of the data, for a scan has one shape; steps that are not there are masked."""

    def __init__(self, case: ClassifierCase) -> None:
        self.case = case
        lengths = np.diff(case.offsets)
        x = np.zeros((case.n_sequences, int(lengths.max()), case.values.shape[1]), case.dtype)
        for s, (first, last) in enumerate(zip(case.offsets[:-1], case.offsets[1:], strict=True)):
            x[s, : last - first] = case.values[first:last]
        self.data = jnp.asarray(x), jnp.asarray(lengths), jnp.asarray(case.labels)
        self.parameters = {name: jnp.asarray(value) for name, value in case.weights.items()}
        self.velocity = {name: jnp.zeros_like(value) for name, value in self.parameters.items()}
        self.key = jax.random.key(0)
        self._epoch = jax.jit(partial(_epoch, case.noise, case.l1, case.rate, case.momentum), donate_argnums=(0, 1))

    def run(self, order: Array) -> float:
        if len(order) % self.case.batch_size:
            raise ValueError("JAX wants whole batches")
        batches = jnp.asarray(order.reshape(-1, self.case.batch_size))
        self.key, key = jax.random.split(self.key)
        self.parameters, self.velocity, loss = self._epoch(self.parameters, self.velocity, key, batches, self.data)
        return float(loss)

    def weights(self) -> Weights:
        return {name: np.asarray(value) for name, value in self.parameters.items()}


def _epoch(
    noise: float, l1: float, rate: float, momentum: float, w: Any, v: Any, key: Any, batches: Any, data: Any
) -> Any:
    x, lengths, labels = data

    def update(state: Any, batch: Any) -> Any:
        w, v, key = state
        key, here = jax.random.split(key)
        loss, g = jax.value_and_grad(_loss)(w, x[batch], lengths[batch], labels[batch], noise, here)
        g = {name: g[name] + (l1 * jnp.sign(w[name]) if name.startswith("W") else 0) for name in g}
        v = {name: momentum * v[name] - rate * g[name] for name in v}
        return ({name: w[name] + v[name] for name in w}, v, key), loss * len(batch)

    (w, v, _), losses = lax.scan(update, (w, v, key), batches)
    return w, v, losses.astype(jnp.float64).sum()


def _loss(w: Any, x: Any, lengths: Any, labels: Any, noise: float, key: Any) -> Any:
    """Mean over the batch. x: (B, T, I)"""
    n, steps = x.shape[:2]
    inputs = jnp.swapaxes(x, 0, 1) @ w["W_in"] + w["b"]  # (T, B, H)
    eta = noise * jax.random.normal(key, inputs.shape, x.dtype) if noise else jnp.zeros((steps, 1, 1), x.dtype)

    def advance(h: Any, step: Any) -> Any:
        t, a, e = step
        new = jax.nn.relu(a + h @ w["W"]) + e
        return jnp.where((t < lengths)[:, None], new, h), None

    h, _ = lax.scan(advance, jnp.zeros((n, w["W"].shape[0]), x.dtype), (jnp.arange(steps), inputs, eta))
    z, first = h @ w["W_out"] + w["b_out"], sum(SOFTMAX_SIZES)
    groups = jnp.split(z[:, :first], np.cumsum(SOFTMAX_SIZES)[:-1], axis=1)
    answers = jnp.concatenate([*(jax.nn.softmax(g) for g in groups), jax.nn.sigmoid(z[:, first:])], axis=1)
    return jnp.square(answers - labels).sum() / (N_OUT * n)


class LanguageModel:
    """Truncation by levels. Rows of a batch are packed before the product with V, so padding costs only the recurrence.

    A shape is a compilation, so steps and rows are rounded up to buckets.
    """

    def __init__(self, case: TextCase) -> None:
        self.case = case
        self.parameters = tuple(jnp.asarray(case.weights[name]) for name in "UWV")
        self._update = _compiled(case.bptt)

    def run(self, order: Array) -> float:
        size, losses = self.case.batch_size, []
        for first in range(0, len(order), size):
            batch = order[first : first + size]
            rate = np.asarray(self.case.rate / len(batch), self.case.dtype)
            self.parameters, loss = self._update(self.parameters, rate, *self._padded(batch))
            losses.append(loss)
        return float(sum(losses))

    def weights(self) -> Weights:
        return dict(zip("UWV", map(np.asarray, self.parameters), strict=True))

    def _padded(self, batch: Array) -> tuple[Array, Array, Array, Array]:
        """words (T, B), targets (N), places of the rows among the T B states (N), and which rows are there (N)."""
        packed = pack(self.case.offsets, batch, drop=1)
        n, steps = len(packed.rows), _up(len(packed.counts), _STEP_BUCKET if len(batch) == 1 else 4 * _STEP_BUCKET)
        words, room = np.zeros((steps, len(batch)), np.int32), _up(n, _ROW_BUCKET) if len(batch) > 1 else steps
        places = _places(packed, len(batch))
        words.reshape(-1)[places] = self.case.tokens[packed.rows]
        return words, _filled(self.case.tokens[packed.rows + 1], room), _filled(places, room), np.arange(room) < n


@lru_cache
def _compiled(bptt: int) -> Any:
    """One for all models, so that a shape is compiled once in a process."""
    return jax.jit(partial(_update_text, bptt), donate_argnums=(0,))


def _places(packed: Packed, n: int) -> Array:
    return np.concatenate([t * n + np.arange(count) for t, count in enumerate(packed.counts)]).astype(np.int32)


def _filled(numbers: Array, room: int) -> Array:
    out = np.zeros(room, np.int32)
    out[: len(numbers)] = numbers
    return out


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


def _update_text(bptt: int, parameters: Any, rate: Any, words: Any, targets: Any, places: Any, there: Any) -> Any:
    u, w, v = parameters

    def advance(s: Any, x: Any) -> Any:
        s = jnp.tanh(x + s @ w)
        return s, s

    shape = (*words.shape, w.shape[0])
    _, states = lax.scan(advance, jnp.zeros(shape[1:], u.dtype), u[words])
    rows = states.reshape(-1, shape[2])[places]
    log_p = jax.nn.log_softmax(rows @ v)
    index = jnp.arange(len(targets))
    loss = -jnp.where(there, log_p[index, targets], 0).sum()
    errors = jnp.where(there[:, None], jnp.exp(log_p).at[index, targets].add(-1), 0)
    # Places of rows that are not there name row 0, to which they add zeros.
    level = jnp.zeros((shape[0] * shape[1], shape[2]), u.dtype).at[places].add(errors @ v.T).reshape(shape)
    slope = 1 - states * states
    total = level = level * slope
    for _ in range(bptt):
        level = jnp.concatenate([level[1:] @ w.T, jnp.zeros_like(level[:1])]) * slope
        total = total + level
    dw = jnp.einsum("tbi,tbj->ij", states[:-1], total[1:])
    new = u.at[words].add(-rate * total), w - rate * dw, v - rate * (rows.T @ errors)
    return new, loss.astype(jnp.float64)
