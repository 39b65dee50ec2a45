"""Training and validation sequences from ready arrays (.npz)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trainer.config import ClassifierConfig, Head, Readout
from trainer.data.ready import load_npz
from trainer.data.sequences import Sequences, default_heads, targets_for
from trainer.data.splits import parts
from trainer.errors import UserMistake


def load_ready(config: ClassifierConfig) -> tuple[tuple[Head, ...], Sequences, Sequences]:
    """Heads, training and validation sequences; labels are what the outputs should be. Raises UserMistake."""
    data = config.data
    file = _first(load_npz(data.train or "", config.dtype.value), data.max_sequences)
    _check_width(file, config.n_in, "n_in")
    heads = config.head or default_heads(file)
    file = _with_targets(file, heads, config)  # before the split, so that a message names rows of the file
    train, valid = parts(data, file.n_sequences, file.name)
    if valid is not None:
        return heads, file.take(train), file.take(valid)
    held_back = load_npz(data.valid or "", config.dtype.value)
    _check_width(held_back, file.values.shape[1], "as in the training data")
    return heads, file.take(train), _with_targets(_first(held_back, data.max_sequences), heads, config)


def _first(sequences: Sequences, most: int | None) -> Sequences:
    return sequences if most is None else sequences.take(np.arange(min(most, sequences.n_sequences)))


def _with_targets(sequences: Sequences, heads: tuple[Head, ...], config: ClassifierConfig) -> Sequences:
    if sequences.has_step_labels and config.readout is not Readout.EVERY_STEP:
        found = f"labels has a row for each of {len(sequences.values)} steps"
        raise UserMistake(f"{sequences.name}: {found}; allowed: one for each sequence, or readout = every-step")
    return replace(sequences, labels=targets_for(sequences, heads).astype(config.dtype.value, copy=False))


def _check_width(sequences: Sequences, allowed: int | None, reason: str) -> None:
    found = sequences.values.shape[1]
    if allowed is not None and found != allowed:
        raise UserMistake(f"{sequences.name}: found {found} features a step; allowed: {allowed} ({reason})")
