"""Activations of hidden units, with their slopes."""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import kernel

TANH, SIGMOID, RELU, CAPPED_RELU = 0, 1, 2, 3
CAP = 6.0


@kernel
def activate(row: Any, slope: Any, kind: int) -> None:
    """row = f(row) and slope = f'(row before), in place       # (n_hidden), (n_hidden)"""
    if kind == TANH:
        _tanh(row, slope)
    elif kind == SIGMOID:
        _sigmoid(row, slope)
    elif kind == RELU:
        _clamp(row, slope, row.dtype.type(math.inf))
    else:
        _clamp(row, slope, row.dtype.type(CAP))


@kernel
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow."""
    one = type(x)(1)
    if x >= 0:
        return one / (one + math.exp(-x))
    e = math.exp(x)
    return e / (one + e)


@kernel
def _tanh(row: Any, slope: Any) -> None:
    for j in range(row.shape[0]):
        y = math.tanh(row[j])
        row[j] = y
        slope[j] = row.dtype.type(1) - y * y


@kernel
def _sigmoid(row: Any, slope: Any) -> None:
    for j in range(row.shape[0]):
        y = sigmoid(row[j])
        row[j] = y
        slope[j] = y * (row.dtype.type(1) - y)


@kernel
def _clamp(row: Any, slope: Any, top: Any) -> None:
    """Rectify, and cut at `top`. NaN passes through, so that divergence is seen in the loss."""
    zero, one = row.dtype.type(0), row.dtype.type(1)
    for j in range(row.shape[0]):
        x = row[j]
        slope[j] = one if (x > zero and x < top) else zero
        row[j] = zero if x <= zero else (top if x > top else x)
