"""NumPy, tuned: packed rows, one product per step for bias, input and recurrence, everything in place."""

from __future__ import annotations

import numpy as np

from trainer_peers.packing import Packed, pack
from trainer_peers.workloads import N_OUT, SOFTMAX_SIZES, Array, ClassifierCase, TextCase, Weights


class Classifier:
    """A row is [1 | x_t | h_{t-1}], so the gradient of b, W_in and W is one product over all rows of a batch."""

    def __init__(self, case: ClassifierCase) -> None:
        w, self.case = case.weights, case
        self.n_in, self.n_hidden = w["W_in"].shape
        self.inner = np.concatenate([w["b"], w["W_in"], w["W"]])  # (1+I+H, H)
        self.outer = np.concatenate([w["b_out"], w["W_out"]])  # (1+H, O)
        self.velocity = np.zeros_like(self.inner), np.zeros_like(self.outer)
        longest = int(np.diff(case.offsets).max())
        shape = case.batch_size * longest, self.n_hidden
        self.x = np.ones((shape[0], 1 + self.n_in + self.n_hidden), case.dtype)
        self.z, self.d, self.noise = (np.zeros(shape, case.dtype) for _ in range(3))
        self.last = np.ones((case.batch_size, 1 + self.n_hidden), case.dtype)
        self.draw = np.random.Generator(np.random.SFC64(0))

    def run(self, order: Array) -> float:
        size = self.case.batch_size
        return sum(self._update(order[first : first + size]) for first in range(0, len(order), size))

    def weights(self) -> Weights:
        b, w_in, w = np.split(self.inner, [1, 1 + self.n_in])
        return {"b": b, "W_in": w_in, "W": w, "b_out": self.outer[:1], "W_out": self.outer[1:]}

    def _update(self, batch: Array) -> float:
        packed = pack(self.case.offsets, batch)
        self._forward(packed)
        loss, error = self._read_out(packed, len(batch))
        n = len(packed.rows)
        self._backward(packed, error)
        gradients = self.x[:n].T @ self.d[:n], self.last[: len(batch)].T @ error
        for w, v, g in zip((self.inner, self.outer), self.velocity, gradients, strict=True):
            g[1:] += self.case.l1 * np.sign(w[1:])
            v *= self.case.momentum
            g *= self.case.rate
            v -= g
            w += v
        return loss

    def _forward(self, packed: Packed) -> None:
        n, first = len(packed.rows), 1 + self.n_in
        self.x[:n, 1:first] = self.case.values[packed.rows]
        self.x[: packed.counts[0], first:] = 0
        if self.case.noise:
            self.draw.standard_normal(dtype=self.case.dtype, out=self.noise[:n])
            self.noise[:n] *= self.case.noise
        ends = [*packed.starts[1:], n]
        for t, (start, end) in enumerate(zip(packed.starts, ends, strict=True)):
            z = self.z[start:end]
            np.dot(self.x[start:end], self.inner, out=z)
            np.maximum(z, 0, out=z)
            if end < n:
                on = packed.counts[t + 1]
                np.add(z[:on], self.noise[start : start + on], out=self.x[end : end + on, first:])
        np.add(self.z[packed.lasts], self.noise[packed.lasts], out=self.last[: len(packed.lasts), 1:])

    def _read_out(self, packed: Packed, n: int) -> tuple[float, Array]:
        p = self.last[:n] @ self.outer
        target, e = self.case.labels[packed.order], np.empty_like(p)
        first = 0
        for size in SOFTMAX_SIZES:
            part = p[:, first : first + size]
            part -= part.max(axis=1, keepdims=True)
            np.exp(part, out=part)
            part /= part.sum(axis=1, keepdims=True)
            first += size
        p[:, first:] = 1 / (1 + np.exp(-p[:, first:]))
        np.subtract(p, target, out=e)
        loss = float(np.vdot(e, e)) / N_OUT
        e *= 2 / (N_OUT * n)
        e[:, first:] *= p[:, first:] * (1 - p[:, first:])
        for start, size in zip((0, *SOFTMAX_SIZES), SOFTMAX_SIZES, strict=False):
            a, b = p[:, start : start + size], e[:, start : start + size]
            b -= (a * b).sum(axis=1, keepdims=True)
            b *= a
        return loss, e

    def _backward(self, packed: Packed, error: Array) -> None:
        w, n = self.inner[1 + self.n_in :].T, len(packed.rows)
        self.d[packed.lasts] = error @ self.outer[1:].T
        slope, end, on = self.z[:n] > 0, n, 0
        for count, start in zip(reversed(packed.counts), reversed(packed.starts), strict=True):
            if on:
                np.dot(self.d[end : end + on], w, out=self.d[start : start + on])
            self.d[start:end] *= slope[start:end]
            on, end = count, start


class LanguageModel:
    """Truncation by levels: one product for the errors of all words of a batch that go one step further back."""

    def __init__(self, case: TextCase) -> None:
        self.case = case
        self.u, self.w, self.v = (case.weights[name].copy() for name in "UWV")
        self.gemm = _in_place_product(case.dtype)

    def run(self, order: Array) -> float:
        size = self.case.batch_size
        return sum(self._update(order[first : first + size]) for first in range(0, len(order), size))

    def weights(self) -> Weights:
        return {"U": self.u, "W": self.w, "V": self.v}

    def _update(self, batch: Array) -> float:
        packed = pack(self.case.offsets, batch, drop=1)
        words, targets = self.case.tokens[packed.rows], self.case.tokens[packed.rows + 1]
        previous, first = packed.previous, packed.counts[0]
        states = self._states(packed, words)
        loss, errors = _softmax_errors(states @ self.v, targets)
        total = self._carried(errors @ self.v.T, states, previous, first)
        rate = self.case.rate / len(batch)
        self.gemm(states, errors, self.v, rate)
        self.w -= rate * (states[previous].T @ total[first:])
        total *= rate
        for word, row in zip(words.tolist(), total, strict=True):
            self.u[word] -= row
        return loss

    def _states(self, packed: Packed, words: Array) -> Array:
        states = self.u[words]
        for t, (count, start) in enumerate(zip(packed.counts, packed.starts, strict=True)):
            row = states[start : start + count]
            if t:
                row += states[packed.starts[t - 1] : packed.starts[t - 1] + count] @ self.w
            np.tanh(row, out=row)
        return states

    def _carried(self, level: Array, states: Array, previous: Array, first: int) -> Array:
        """D_k = (D_{k-1} W^T) * (1 - s^2), summed over the levels."""
        slope = 1 - states * states
        level *= slope
        total = level.copy()
        for _ in range(min(self.case.bptt, len(states) - 1)):
            carried = np.zeros_like(level)
            carried[previous] = level[first:] @ self.w.T
            carried *= slope
            total += carried
            level = carried
        return total


def _softmax_errors(p: Array, targets: Array) -> tuple[float, Array]:
    """Loss summed over the rows, and p - one-hot, in place.     # (N, K), (N)"""
    rows = np.arange(len(p))
    p -= p.max(axis=1, keepdims=True)
    logits = p[rows, targets].astype(np.float64)
    np.exp(p, out=p)
    sums = p.sum(axis=1, keepdims=True)
    p /= sums
    p[rows, targets] -= 1
    return float(np.log(sums.astype(np.float64)).sum() - logits.sum()), p


def _in_place_product(dtype: str):  # type: ignore[no-untyped-def]
    """v -= rate a^T b: through SciPy's BLAS in one pass, or with a temporary where there is no SciPy."""
    try:
        from scipy.linalg import blas
    except ImportError:

        def plain(a: Array, b: Array, v: Array, rate: float) -> None:
            v -= rate * (a.T @ b)

        return plain
    gemm = blas.sgemm if dtype == "float32" else blas.dgemm

    def fused(a: Array, b: Array, v: Array, rate: float) -> None:
        gemm(-rate, b.T, a.T, beta=1, c=v.T, trans_b=True, overwrite_c=True)

    return fused
