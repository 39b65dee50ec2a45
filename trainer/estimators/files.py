"""Fitted estimators as files: the checkpoint of a run, with what an estimator knows beside it. Never a pickle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Floats, Named
from trainer.data.files import unreadable
from trainer.errors import UserMistake

FilePath = str | os.PathLike[str]

_WEIGHT, _BEST = "weight_", "best_weight_"


def write_arrays(path: FilePath, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A .npz file at exactly this path, which is never seen half written."""
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    named: dict[str, Any] = dict(arrays)
    with open(partial, "wb") as file:
        np.savez(file, **named)
    partial.replace(target)


def read_arrays(path: FilePath) -> Named:
    """All arrays of a checkpoint. Raises UserMistake."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as problem:
        raise unreadable(str(path), problem) from None
    except (ValueError, AttributeError, TypeError, zipfile.BadZipFile, EOFError):
        raise UserMistake(f"{path}: this is not a .npz file of plain arrays") from None
    if "parameters" not in arrays or not weights_in(arrays):
        raise UserMistake(f"{path}: found no parameters and weights; allowed: a checkpoint of the trainer")
    return arrays


def weights_in(arrays: Named) -> dict[str, Floats]:
    """The matrices (rows, columns) by name."""
    return {name.removeprefix(_WEIGHT): array for name, array in arrays.items() if name.startswith(_WEIGHT)}


def with_best_weights(arrays: Named) -> Named:
    """The arrays with the weights of the least validation loss in place of the last. Raises UserMistake."""
    best = {name.replace(_BEST, _WEIGHT): array for name, array in arrays.items() if name.startswith(_BEST)}
    if not best:
        raise UserMistake("there are no best weights: the training had no validation data; allowed: the last weights")
    return {**arrays, **best}


def parameters_in(arrays: Named) -> dict[str, Any]:
    """The parameters of the run, tables flat: `data.valid_fraction`."""
    found: dict[str, Any] = from_bytes(arrays["parameters"])
    return found


def to_bytes(content: object) -> NDArray[np.uint8]:
    """JSON as an array, for a .npz file."""
    return np.frombuffer(json.dumps(content, sort_keys=True).encode(), dtype=np.uint8)


def from_bytes(array: NDArray[Any]) -> Any:
    """What to_bytes was given."""
    return json.loads(array.tobytes())
