"""What a trained network says, in float64 NumPy whatever the precision of its training.

The same equations as in the kernels: h_t = f(x_t W_in + h_{t-1} W + b), a read-out z = h W_out + b_out, and for the
language model s_t = tanh(U[x_t] + s_{t-1} W), z = s_t V. There is no noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Activation, Head, HeadKind, Readout

_CAP = 6.0  # as in trainer.kernels.activations, which needs Numba
_SEQUENCES_AT_A_TIME = 1024
_LOGITS_AT_A_TIME = 1 << 22

Weights = Mapping[str, Floats]


def activate(x: Doubles, kind: Activation) -> Doubles:
    """f(x), element by element."""
    if kind is Activation.TANH:
        return np.tanh(x)
    if kind is Activation.SIGMOID:
        return sigmoid(x)
    return np.clip(x, 0.0, _CAP if kind is Activation.CAPPED_RELU else None)


def sigmoid(x: Doubles) -> Doubles:
    """1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def softmax(z: Doubles) -> Doubles:
    """Of each row                                              # (n, k)"""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    found: Doubles = e / e.sum(axis=1, keepdims=True)
    return found


def answers(z: Doubles, heads: Sequence[Head]) -> list[Doubles]:
    """Probabilities of every head, or the numbers of a linear one: (n, head.size) each, from outputs (n, n_out)."""
    found, first = [], 0
    for head in heads:
        part = z[:, first : first + head.size]
        found.append({HeadKind.SOFTMAX: softmax, HeadKind.SIGMOID: sigmoid}.get(head.kind, np.copy)(part))
        first += head.size
    return found


def classifier_outputs(
    values: Floats, offsets: Ints, weights: Weights, activation: Activation, readout: Readout
) -> Doubles:
    """Outputs before the heads: (n_sequences, n_out), or (n_rows, n_out) for every step."""
    w = _doubles(weights)
    found = []
    for first, last in _stretches(offsets):
        part, ends = values[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first]
        inputs = part.astype(np.float64) @ w["W_in"] + w["b"]
        states = recurrent_states(inputs, ends, w["W"], activation)
        found.append(_read(states, ends, readout) @ w["W_out"] + w["b_out"])
    return np.concatenate(found)


def _read(states: Doubles, offsets: Ints, readout: Readout) -> Doubles:
    if readout is Readout.EVERY_STEP:
        return states
    return mean_of_steps(states, offsets) if readout is Readout.MEAN else states[offsets[1:] - 1]


def mean_of_steps(rows: Doubles, offsets: Ints) -> Doubles:
    """The mean of the rows of each sequence: (n_sequences, k) of (n_rows, k)."""
    mean: Doubles = np.add.reduceat(rows, offsets[:-1]) / np.diff(offsets)[:, None]
    return mean


def recurrent_states(inputs: Doubles, offsets: Ints, recurrent: Doubles, activation: Activation) -> Doubles:
    """h_t = f(inputs_t + h_{t-1} W) of packed sequences, from h = 0      # (n_rows, n_hidden)

    The longest sequences come first, so that those that still have a step are the upper rows of one matrix.
    """
    states = np.empty_like(inputs)
    lengths = np.diff(offsets)
    by_length = np.argsort(-lengths, kind="stable")
    firsts, falling = offsets[:-1][by_length], -lengths[by_length]
    h = np.zeros((len(by_length), inputs.shape[1]))
    for t in range(int(lengths.max())):
        active = int(np.searchsorted(falling, -t, side="left"))
        rows = firsts[:active] + t
        h = activate(inputs[rows] + h[:active] @ recurrent, activation)
        states[rows] = h
    return states


def _stretches(offsets: Ints) -> Iterator[tuple[int, int]]:
    """Sequences first … last-1, so many at a time that their states fit into memory."""
    n = len(offsets) - 1
    for first in range(0, n, _SEQUENCES_AT_A_TIME):
        yield first, min(n, first + _SEQUENCES_AT_A_TIME)


def language_model_states(tokens: Any, offsets: Ints, weights: Weights) -> Doubles:
    """The state after every token: (n_tokens, n_hidden)."""
    w = _doubles({name: weights[name] for name in ("U", "W")})
    return recurrent_states(w["U"][tokens], offsets, w["W"], Activation.TANH)


def next_word_probabilities(states: Doubles, weights: Weights) -> Doubles:
    """(n, n_words) from states (n, n_hidden)."""
    return softmax(states @ weights["V"].astype(np.float64))


def word_losses(tokens: Any, offsets: Ints, weights: Weights) -> Doubles:
    """-log p of every token but the first of each sentence, in their order: (n_tokens - n_sentences)."""
    found = []
    for first, last in _stretches(offsets):
        part, ends = tokens[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first]
        states = language_model_states(part, ends, weights)
        predicts = np.ones(len(part), dtype=np.bool_)
        predicts[ends[1:] - 1] = False
        rows = np.flatnonzero(predicts)
        found.append(_minus_log_probabilities(states[rows], part[rows + 1], weights["V"].astype(np.float64)))
    return np.concatenate(found)


def _minus_log_probabilities(states: Doubles, words: Any, v: Doubles) -> Doubles:
    losses = np.empty(len(words))
    step = max(1, _LOGITS_AT_A_TIME // v.shape[1])
    for first in range(0, len(words), step):
        z = states[first : first + step] @ v
        top = z.max(axis=1)
        chosen = z[np.arange(len(z)), words[first : first + step]]
        losses[first : first + step] = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - chosen
    return losses


def _doubles(weights: Weights) -> dict[str, Doubles]:
    return {name: matrix.astype(np.float64) for name, matrix in weights.items()}
