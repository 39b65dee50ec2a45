"""Of what configuration and data a checkpoint is, so that a run never goes on from another run's state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Named
from trainer.config import Config
from trainer.errors import UserMistake

if TYPE_CHECKING:
    from trainer.models import Model


def origin(config: Config, data: list[NDArray[Any]]) -> Named:
    """Two arrays of bytes for a checkpoint: the parameters that count, as JSON, and a SHA-256 of the prepared data."""
    return {"parameters": as_json(_that_count(config)), "data": _digest(data)}


def kept_with_weights(config: Config, model: Model) -> Named:
    """What stands beside the weights in every checkpoint, so that the file alone is enough to predict, sample, export.

    `parameters` and `data` are the origin; `configuration` is what load_config takes, as JSON, with the names of files
    and without what only paces, so that it does not differ between runs of the same result.
    """
    return {**origin(config, model.data()), "configuration": as_json(_given(config)), **model.extras()}


def as_json(item: Any) -> NDArray[np.uint8]:
    """An array of bytes that holds JSON."""
    return _bytes(json.dumps(item, sort_keys=True, ensure_ascii=False).encode())


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
            found[prefix + f.name] = plain(value)
    return found


def _given(item: Any) -> Any:
    """The parameters as they would be given: null is the absence of a parameter."""
    named = {f.name: getattr(item, f.name) for f in fields(item) if not f.metadata.get("pacing")}
    return {name: _given(v) if is_dataclass(v) else plain(v) for name, v in named.items() if v is not None}


def plain(value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return {f.name: plain(getattr(value, f.name)) for f in fields(value)} if is_dataclass(value) else value


def _digest(data: list[NDArray[Any]]) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for array in data:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return _bytes(digest.digest())


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)
