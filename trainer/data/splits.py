"""Which sequences of a file are trained on, and which are held back."""

from __future__ import annotations

import numpy as np

from trainer.arrays import Ints
from trainer.config import DataTable
from trainer.errors import UserMistake
from trainer.order import split


def parts(data: DataTable, n: int, name: str) -> tuple[Ints, Ints | None]:
    """Rising indices into the n sequences of the file `name`, for training and for validation.

    None: validation has a file of its own. Raises UserMistake when a slice ends behind the file.
    """
    everything = np.arange(n, dtype=np.int64)
    train = _cut(everything, data.train_slice, "train_slice", name)
    if data.valid is not None:
        return train, None
    if data.valid_slice is None:
        kept, held_back = split(len(train), data.valid_fraction, data.split_seed)
        return train[kept], train[held_back]
    valid = _cut(everything, data.valid_slice, "valid_slice", name)
    if data.train_slice is None:
        train = np.setdiff1d(everything, valid)
    if not len(train):
        found = f"data.valid_slice is all of the {n} sequences"
        raise UserMistake(f"{name}: {found}; allowed: at least one left to train on")
    return train, valid


def _cut(everything: Ints, chosen: tuple[int, int] | None, parameter: str, name: str) -> Ints:
    if chosen is None:
        return everything
    first, end = chosen
    if end > len(everything):
        found = f"data.{parameter} is [{first}, {end}]"
        raise UserMistake(f"{name}: {found}; allowed: an end up to {len(everything)}, the sequences it has")
    return everything[first:end]
