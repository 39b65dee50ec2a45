"""Products of small matrices. The innermost loop runs along memory and never sums, so it becomes vector code
without reordering a sum; where a sum cannot be avoided, `dot` takes it in a fixed order.
"""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import entry, inlined, kernel
from trainer.kernels.lanes import dot


@inlined
def add_scaled4(out: Any, a0: Any, x0: Any, a1: Any, x1: Any, a2: Any, x2: Any, a3: Any, x3: Any) -> None:
    """out += a0 x0 + a1 x1 + a2 x2 + a3 x3, all rows of length n, added from left to right."""
    for j in range(out.shape[0]):
        out[j] = (((out[j] + a0 * x0[j]) + a1 * x1[j]) + a2 * x2[j]) + a3 * x3[j]


@inlined
def add_scaled(out: Any, a: Any, x: Any) -> None:
    """out += a x, rows of length n."""
    for j in range(out.shape[0]):
        out[j] += a * x[j]


@kernel
def add_row_product(out: Any, a: Any, b: Any) -> None:
    """out += a @ b                                            # (n) += (k) @ (k, n)"""
    k = a.shape[0]
    whole = k - k % 4
    for i in range(0, whole, 4):
        add_scaled4(out, a[i], b[i], a[i + 1], b[i + 1], a[i + 2], b[i + 2], a[i + 3], b[i + 3])
    for i in range(whole, k):
        add_scaled(out, a[i], b[i])


@kernel
def add_product(out: Any, a: Any, b: Any) -> None:
    """out += a @ b                                            # (m, n) += (m, k) @ (k, n)"""
    for row in range(a.shape[0]):
        add_row_product(out[row], a[row], b)


@kernel
def add_left_transposed(out: Any, a: Any, b: Any) -> None:
    """out += a.T @ b                                          # (k, n) += (m, k).T @ (m, n)"""
    m = a.shape[0]
    whole = m - m % 4
    for i in range(a.shape[1]):
        row = out[i]
        for t in range(0, whole, 4):
            add_scaled4(row, a[t, i], b[t], a[t + 1, i], b[t + 1], a[t + 2, i], b[t + 2], a[t + 3, i], b[t + 3])
        for t in range(whole, m):
            add_scaled(row, a[t, i], b[t])


@kernel
def add_row_right_transposed(out: Any, a: Any, b: Any) -> None:
    """out += a @ b.T                                          # (k) += (n) @ (k, n).T"""
    for i in range(out.shape[0]):
        out[i] += dot(a, b[i])


@kernel
def add_right_transposed(out: Any, a: Any, b: Any) -> None:
    """out += a @ b.T                                          # (m, k) += (m, n) @ (k, n).T"""
    for row in range(a.shape[0]):
        add_row_right_transposed(out[row], a[row], b)


@kernel
def clear(out: Any) -> None:
    """out = 0                                                 # (m, n)

    Also because NumPy's way of writing it, out[:] = 0, compiles the error messages of shapes that do not fit.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0


@kernel
def copy(out: Any, a: Any) -> None:
    """out = a                                                 # (n), (n)"""
    for j in range(out.shape[0]):
        out[j] = a[j]


@kernel
def add_rows(out: Any, a: Any) -> None:
    """out += a.sum(axis=0)                                    # (n) += (m, n)"""
    for row in range(a.shape[0]):
        for j in range(out.shape[0]):
            out[j] += a[row, j]


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


@kernel
def count_loss(sums: Any, loss: float, weight: float) -> None:
    """Add the loss of one update to the sums of the logging window and of the epoch: (loss, weight) twice.   # (4)"""
    sums[0] += loss
    sums[1] += weight
    sums[2] += loss
    sums[3] += weight
