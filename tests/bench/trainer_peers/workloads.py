"""What is trained: data like the reports' (or files), initial weights, and the useful arithmetic of a step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]

N_IN, N_OUT = 20, 24
SOFTMAX_SIZES = (5, 4)  # the other 15 outputs are sigmoids
N_SEQUENCES, LONGEST_TWEET = 2500, 34
N_WORDS, N_HIDDEN_TEXT, BPTT, LONGEST_SENTENCE = 8000, 100, 4, 60
START, END, UNKNOWN = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierCase:
    """The report's tweets: 24 outputs = softmax(5) + softmax(4) + sigmoid(15), squared error, L1, noise, momentum."""

    values: Array  # (rows, n_in)
    offsets: Array  # (n + 1)
    labels: Array  # (n, 24)
    weights: Weights  # W_in (n_in, H), W (H, H), W_out (H, 24), b (1, H), b_out (1, 24)
    dtype: str
    batch_size: int = 100
    noise: float = 0.05
    l1: float = 1e-5
    rate: float = 0.05
    momentum: float = 0.9

    @property
    def n_sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_steps(self) -> int:
        """What a time is divided by: steps of sequences."""
        return int(self.offsets[-1])

    @property
    def useful_flops(self) -> float:
        """Per step. A sequence of T steps: 4 I H T + 6 H H (T - 1) + 6 H O, without padding."""
        i, h = self.weights["W_in"].shape
        total = (
            4 * i * h * self.n_steps + 6 * h * h * (self.n_steps - self.n_sequences) + 6 * h * N_OUT * self.n_sequences
        )
        return total / self.n_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCase:
    """The language model of the parallel report: s_t = tanh(U[x_t] + s_{t-1} W), p = softmax(s_t V)."""

    tokens: Array  # (n_tokens), sentences from start mark to end mark
    offsets: Array  # (n + 1)
    weights: Weights  # U (K, H), W (H, H), V (H, K)
    dtype: str
    batch_size: int
    bptt: int = BPTT
    rate: float = 0.005

    @property
    def n_sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_steps(self) -> int:
        """What a time is divided by: predicted words."""
        return int(self.offsets[-1]) - self.n_sequences

    @property
    def useful_flops(self) -> float:
        """Per word: 3 products with V, and forward, bptt levels and gradient of W."""
        h, k = self.weights["V"].shape
        return 6.0 * h * k + 2.0 * h * h * (2 + self.bptt)


Case = ClassifierCase | TextCase
NAMES = ("classifier_h50", "classifier_h150", "lm_b1", "lm_b10")


def generate(folder: Path, n_sentences: int, sequences: str | None = None, text: str | None = None) -> None:
    """Write classifier.npz and text.npz for the processes that are timed."""
    draw = np.random.default_rng(0)
    made = _tweets(draw) if sequences is None else dict(np.load(sequences, allow_pickle=False))
    np.savez(folder / "classifier.npz", **{name: made[name] for name in ("values", "offsets", "labels")})
    tokens, offsets = _sentences(draw, n_sentences) if text is None else _read_text(text, n_sentences)
    np.savez(folder / "text.npz", tokens=tokens, offsets=offsets)


def load(folder: Path, name: str, dtype: str) -> Case:
    """One workload in one precision."""
    kind, size = name.split("_")
    if kind == "classifier":
        with np.load(folder / "classifier.npz") as found:
            return classifier_case(found["values"], found["offsets"], found["labels"], int(size[1:]), dtype)
    with np.load(folder / "text.npz") as found:
        return text_case(found["tokens"], found["offsets"], N_WORDS, N_HIDDEN_TEXT, int(size[1:]), dtype)


def classifier_case(values: Array, offsets: Array, labels: Array, h: int, dtype: str) -> ClassifierCase:
    """Freshly drawn weights for these sequences."""
    draw = np.random.default_rng(1)
    shapes = {"W_in": (values.shape[1], h), "W": (h, h), "W_out": (h, labels.shape[1])}
    weights = {name: _uniform(draw, shape, shape[0], dtype) for name, shape in shapes.items()}
    weights |= {"b": np.zeros((1, h), dtype), "b_out": np.zeros((1, labels.shape[1]), dtype)}
    return ClassifierCase(
        values=values.astype(dtype), offsets=offsets, labels=labels.astype(dtype), weights=weights, dtype=dtype
    )


def text_case(tokens: Array, offsets: Array, k: int, h: int, batch_size: int, dtype: str) -> TextCase:
    """Freshly drawn weights for this text."""
    draw = np.random.default_rng(2)
    shapes = {"U": ((k, h), k), "W": ((h, h), h), "V": ((h, k), h)}
    weights = {name: _uniform(draw, shape, n, dtype) for name, (shape, n) in shapes.items()}
    return TextCase(tokens=tokens, offsets=offsets, weights=weights, dtype=dtype, batch_size=batch_size)


def without_noise(case: Case) -> Case:
    """The case in which every implementation computes the same numbers: each has noise of its own."""
    return replace(case, noise=0.0) if isinstance(case, ClassifierCase) else case


def at_rate(case: Case, rate: float) -> Case:
    """A greater rate, so that the weights move by more than their last bits."""
    return replace(case, rate=rate)


def untruncated(case: TextCase) -> TextCase:
    """Every error is carried back to the start of its sentence."""
    return replace(case, bptt=len(case.tokens))


def _uniform(draw: np.random.Generator, shape: tuple[int, int], n: int, dtype: str) -> Array:
    return draw.uniform(-1 / np.sqrt(n), 1 / np.sqrt(n), shape).astype(dtype)


def _tweets(draw: np.random.Generator) -> dict[str, Array]:
    """2,500 sequences, 14 steps on average and at most 34 like the tweets, with labels that can be learned a little."""
    lengths = np.clip(draw.gamma(3.0, 14 / 3, N_SEQUENCES).round(), 1, LONGEST_TWEET).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = draw.normal(0, 1, (offsets[-1], N_IN))
    means = np.add.reduceat(values, offsets[:-1]) / lengths[:, None]
    scores = means @ draw.normal(0, 4, (N_IN, N_OUT))
    return {"values": values, "offsets": offsets, "labels": _labels(scores)}


def _labels(scores: Array) -> Array:
    """Confidences: softmax or sigmoid of the scores, head by head."""
    first, parts = 0, []
    for size in SOFTMAX_SIZES:
        e = np.exp(scores[:, first : first + size])
        parts.append(e / e.sum(axis=1, keepdims=True))
        first += size
    return np.concatenate([*parts, 1 / (1 + np.exp(-scores[:, first:]))], axis=1)


def _sentences(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Sentences of 20 words on average, words by Zipf's law."""
    share = 1 / np.arange(1, N_WORDS - UNKNOWN)
    lengths = np.clip(draw.gamma(4.0, 5.0, n).round(), 3, LONGEST_SENTENCE).astype(np.int64)
    words = [draw.choice(len(share), length, p=share / share.sum()) + UNKNOWN + 1 for length in lengths]
    return _packed(words)


def _read_text(path: str, n: int) -> tuple[Array, Array]:
    lines = [line.lower().split()[:LONGEST_SENTENCE] for line in Path(path).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    known = Counter(word for line in lines for word in line).most_common(N_WORDS - UNKNOWN - 1)
    number = {word: rank + UNKNOWN + 1 for rank, (word, _) in enumerate(known)}
    return _packed([np.array([number.get(word, UNKNOWN) for word in line]) for line in lines[:n]])


def _packed(sentences: list[Array]) -> tuple[Array, Array]:
    tokens = np.concatenate([np.concatenate([[START], words, [END]]) for words in sentences])
    offsets = np.concatenate([[0], np.cumsum([len(words) + 2 for words in sentences])])
    return tokens.astype(np.int32), offsets.astype(np.int64)
