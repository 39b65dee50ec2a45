"""Of what configuration and data a checkpoint is, so that a run never goes on from another run's state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Named
from trainer.config import Config
from trainer.errors import UserMistake


def origin(config: Config, data: list[NDArray[Any]]) -> Named:
    """Two arrays of bytes for a checkpoint: the parameters that count, as JSON, and a SHA-256 of the prepared data."""
    return {"parameters": _bytes(json.dumps(_that_count(config), sort_keys=True).encode()), "data": _digest(data)}


def check_origin(arrays: Named, expected: Named) -> None:
    """Raises UserMistake when the checkpoint is of other parameters, naming them, or of other data."""
    if "parameters" not in arrays or "data" not in arrays:
        raise UserMistake("the checkpoint was not written by this trainer: start the run anew")
    then, now = (json.loads(found["parameters"].tobytes()) for found in (arrays, expected))
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    if changed:
        pairs = ((name, json.dumps(then.get(name)), json.dumps(now.get(name))) for name in changed)
        what = "; ".join(f"{name} was {was} and is {is_now}" for name, was, is_now in pairs)
        raise UserMistake(f"the checkpoint is of other parameters: {what}. Put them back, or enqueue a new run")
    if not np.array_equal(arrays["data"], expected["data"]):
        raise UserMistake("the checkpoint is of other data: a file has changed. Put it back, or enqueue a new run")


def _that_count(item: Any, prefix: str = "") -> dict[str, Any]:
    """All parameters but those of pacing; of files only their content counts, which the digest of the data holds."""
    found: dict[str, Any] = {}
    for f in fields(item):
        value = getattr(item, f.name)
        if is_dataclass(value):
            found.update(_that_count(value, f"{f.name}."))
        elif not f.metadata.get("pacing") and not f.metadata.get("file"):
            found[prefix + f.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)} if is_dataclass(value) else value


def _digest(data: list[NDArray[Any]]) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for array in data:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return _bytes(digest.digest())


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)
