"""Small things that kernels do to whole matrices."""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import entry, kernel


@kernel
def clear(out: Any) -> None:
    """out = 0                                                 # (m, n)

    Also because NumPy's way of writing it, out[:] = 0, compiles the error messages of shapes that do not fit.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0


@kernel
def sum_of_squares(a: Any) -> float:
    """Sum of a[i, j]**2 in float64, in the order of memory      # (m, n)"""
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += float(a[i, j]) * float(a[i, j])
    return total


@entry
def norm(a: Any) -> float:
    """The Euclidean length of a matrix                        # (m, n)"""
    return math.sqrt(sum_of_squares(a))


@kernel
def clip_factor(squares: float, longest: float) -> float:
    """What to multiply a gradient of squared length `squares` with so that it is no longer than `longest` (0: any)."""
    length = math.sqrt(squares)
    if longest <= 0.0 or not length > longest:
        return 1.0
    return longest / length
