"""Scratch memory of the language model's kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trainer.kernels.barrier import SIZE
from trainer.kernels.language_model import Room, Seat
from trainer.kernels.language_model_output import PARTS, Owed, Softmax
from trainer.kernels.language_model_recurrence import Rows, Sizes
from trainer.layout import ALIGNMENT_BYTES


def room_for(sizes: Sizes, n_threads: int, dtype: DTypeLike) -> Room:
    """Most of it is the exponentials, rows x words; memory that is not used costs nothing."""
    n_rows, panels, states = sizes.rows, sizes.panels, (sizes.rows, sizes.pitch)
    return Room(
        rows=Rows(
            inputs=zeros((n_rows,), np.int32),
            targets=zeros((n_rows,), np.int32),
            begins=zeros((n_rows,), np.int8),
            cuts=zeros((n_rows,), np.int8),
            losses=zeros((n_rows,), np.float64),
            **{name: zeros(states, dtype) for name in ("states", "errors", "level", "carried")},
            transposed=zeros((sizes.hidden, sizes.pitch), dtype),
        ),
        softmax=Softmax(
            exponentials=zeros((panels, n_rows, sizes.width), dtype),
            tops=zeros((panels, n_rows), dtype),
            part_tops=zeros((PARTS, n_rows), dtype),
            part_sums=zeros((PARTS, n_rows), dtype),
            part_errors=zeros((PARTS, *states), dtype),
            target_logits=zeros((n_rows,), dtype),
        ),
        owed=Owed(
            n=zeros((1,), np.int64),
            factor=zeros((1,), dtype),
            states=zeros(states, dtype),
            targets=zeros((n_rows,), np.int32),
            tops=zeros((n_rows,), dtype),
            shares=zeros((n_rows,), dtype),
            scaled=zeros((n_threads, *states), dtype),
        ),
        read=zeros((2,), np.int64),
        loss=zeros((1,), np.float64),
    )


def seats(n_threads: int) -> list[Seat]:
    """One for each of the threads that compute together."""
    barrier = zeros((SIZE,), np.int64)
    return [Seat(number=number, threads=n_threads, barrier=barrier) for number in range(n_threads)]


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros whose rows of vectors do not straddle two lines of the cache."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + ALIGNMENT_BYTES, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[first : first + n_bytes].view(dtype).reshape(shape)
