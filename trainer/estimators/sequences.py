"""Sequences of feature vectors as callers have them, packed as the kernels want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Floats, Ints

Packed = tuple[NDArray[Any], Ints]  # values (n_rows, n_in), offsets (n_sequences + 1)


def packed(found: Any, name: str) -> Packed:
    """A list of (T_i, n_in) arrays, an array (n, T, n_in), or a tuple (values, offsets). Raises ValueError."""
    if _is_packed(found):
        values, offsets = np.asarray(found[0]), np.asarray(found[1])
        _check_offsets(name, offsets, len(values))
        return _numbers(values, name), offsets.astype(np.int64)
    if hasattr(found, "toarray"):
        raise ValueError(f"{name} is a sparse matrix; allowed: dense arrays, for example {name}.toarray()")
    if not isinstance(found, (list, tuple)):
        found = np.asarray(found)
        if found.ndim == 3:
            return _packed_cube(found, name)
        if found.ndim != 1 or found.dtype != object:
            raise ValueError(f"{name} has shape {found.shape}; allowed: (sequences, steps, features), or a list")
    return _packed_list(found, name)


def _is_packed(found: Any) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and np.ndim(found[0]) == 2 and np.ndim(found[1]) == 1


def _packed_cube(cube: NDArray[Any], name: str) -> Packed:
    n, steps, n_in = cube.shape
    if 0 in cube.shape:
        raise ValueError(f"{name} has shape {cube.shape}; allowed: at least one sequence, one step and one feature")
    return _numbers(cube.reshape(n * steps, n_in), name), np.arange(n + 1, dtype=np.int64) * steps


def _packed_list(found: Sequence[Any], name: str) -> Packed:
    arrays = [np.asarray(item) for item in found]
    if not arrays:
        raise ValueError(f"{name} is empty; allowed: at least one sequence")
    for index, array in enumerate(arrays):
        width = arrays[0].shape[-1] if arrays[0].ndim else 0
        if array.ndim != 2 or 0 in array.shape or array.shape[1] != width:
            allowed = "(steps, features), at least one of each" if index == 0 else f"(steps, {width}), as in {name}[0]"
            raise ValueError(f"{name}[{index}] has shape {array.shape}; allowed: {allowed}")
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return _numbers(np.concatenate(arrays), name), offsets


def _check_offsets(name: str, offsets: NDArray[Any], n_rows: int) -> None:
    if len(offsets) < 2 or offsets.dtype.kind not in "iu" or (np.diff(offsets.astype(np.int64)) < 1).any():
        raise ValueError(f"the offsets of {name} are {offsets}; allowed: at least two rising whole numbers")
    if offsets[0] != 0 or offsets[-1] != n_rows:
        found = f"from {offsets[0]} to {offsets[-1]}"
        raise ValueError(f"the offsets of {name} go {found}; allowed: from 0 to {n_rows}, the rows of its values")


def _numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype == object:
        try:
            values = values.astype(np.float64)
        except TypeError as problem:  # the words of NumPy, which scikit-learn's users know
            raise TypeError(f"{name}: {problem}; allowed: numbers (argument must be a string or a number)") from None
    if values.dtype.kind == "c":
        raise ValueError(f"{name}: Complex data not supported; allowed: real numbers")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {values.dtype}; allowed: numbers")
    return values


def in_precision(values: NDArray[Any], offsets: Ints, dtype: str, name: str) -> Floats:
    """The values in the precision of the training. Raises ValueError naming sequence, row and column of a bad one."""
    with np.errstate(over="ignore"):
        converted: Floats = np.ascontiguousarray(values, dtype=dtype)
    fine = np.isfinite(converted)
    if not fine.all():
        row, column = (int(index) for index in np.unravel_index(int(np.argmin(fine)), values.shape))
        sequence = int(np.searchsorted(offsets, row, side="right")) - 1
        place = f"{name}[{sequence}], row {row - int(offsets[sequence])}, column {column}"
        bad = values[row, column]
        allowed = f"a number that {dtype} can hold" if np.isfinite(bad) else "a finite number"
        raise ValueError(f"{place}: found {'NaN' if np.isnan(bad) else bad}; allowed: {allowed}")
    return converted
