"""Products and functions in the tile shape that LABQ_TILES names: `python tiles_process.py IN.npz OUT.npz`.

The shape is fixed while the kernels are compiled, so each shape needs a process of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from trainer.jit import entry, keep_compiled_kernels_for

keep_compiled_kernels_for("float32")

from trainer.kernels.tiles.functions import (  # noqa: E402
    exp,
    greatest_of_row,
    log,
    sigmoid,
    sine_of_half_turns,
    sum_of_row,
    sums_of_lanes,
    tanh,
)
from trainer.kernels.tiles.memory import ahead, begin  # noqa: E402
from trainer.kernels.tiles.products import SHAPE, dots, lanes, listed_product, product  # noqa: E402
from trainer.kernels.tiles.vectors import load, store  # noqa: E402

EXP, TANH, SIGMOID, LOG, SINE = 0, 1, 2, 3, 4


@entry
def multiply(c: Any, a: Any, a_row: int, a_k: int, b: Any, adds: bool) -> None:
    """c (+)= a @ b with a of the strides given"""
    m, n = c.shape
    product(begin(c), n, begin(a), a_row, a_k, begin(b), n, m, n, b.shape[0], adds)


@entry
def multiply_listed(c: Any, a: Any, b: Any, chosen: Any, adds: bool) -> None:
    """c (+)= a[chosen].T @ b[chosen]"""
    m = a.shape[1]
    listed_product(begin(c), c.shape[1], begin(a), 1, m, begin(b), b.shape[1], m, c.shape[1], begin(chosen),
                   chosen.shape[0], adds)  # fmt: skip


@entry
def all_dots(out: Any, room: Any, a: Any, b: Any) -> None:
    """out = a @ b.T"""
    (m, k), n = a.shape, b.shape[0]
    pitch = n * lanes(begin(a))
    dots(begin(room), pitch, begin(a), k, begin(b), k, m, n, k)
    sums_of_lanes(begin(out), n, begin(room), pitch, m, n)


@entry
def apply(out: Any, x: Any, which: int) -> None:
    """out = the function of x"""
    o, p = begin(out), begin(x)
    for j in range(0, x.shape[0], lanes(p)):
        v = load(ahead(p, j))
        if which == EXP:
            store(ahead(o, j), exp(v))
        elif which == TANH:
            store(ahead(o, j), tanh(v))
        elif which == SIGMOID:
            store(ahead(o, j), sigmoid(v))
        elif which == LOG:
            store(ahead(o, j), log(v))
        else:
            store(ahead(o, j), sine_of_half_turns(v))


@entry
def folds(x: Any) -> Any:
    """The sum and the greatest number of a row."""
    return sum_of_row(begin(x), x.shape[0]), greatest_of_row(begin(x), x.shape[0])


def computed(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All results, by name of the case."""
    out: dict[str, np.ndarray] = {}
    for case in sorted({name.partition("/")[0] for name in given}):
        arrays = {name.partition("/")[2]: value for name, value in given.items() if name.startswith(f"{case}/")}
        out |= {
            f"{case}/{name}": value for name, value in (_functions if "x" in arrays else _products)(**arrays).items()
        }
    return out


def _products(a: np.ndarray, b: np.ndarray, e: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    m, n, k = a.shape[0], b.shape[1], b.shape[0]
    out = {"new": np.full((m, n), 7, a.dtype), "added": np.ones((m, n), a.dtype)}
    out |= {"transposed": np.ones((k, n), a.dtype), "listed": np.ones((k, n), a.dtype)}
    multiply(out["new"], a, k, 1, b, False)
    multiply(out["added"], a, k, 1, b, True)
    multiply(out["transposed"], a, 1, k, e, True)
    multiply_listed(out["listed"], a, e, chosen, True)
    out["dots"] = np.zeros((m, k), a.dtype)
    all_dots(out["dots"], np.zeros((m, k, SHAPE.vector_bytes // a.itemsize), a.dtype), e, np.ascontiguousarray(b))
    return out


def _functions(x: np.ndarray, which: np.ndarray) -> dict[str, np.ndarray]:
    y = np.zeros_like(x)
    apply(y, x, int(which))
    return {"y": y, "folds": np.array(folds(x))}


if __name__ == "__main__":
    with np.load(sys.argv[1]) as given:
        np.savez(sys.argv[2], **computed(dict(given)))
