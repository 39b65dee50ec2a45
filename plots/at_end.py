"""What the trainer keeps of a classifier's answers: `answers-at-end.json`, and with watch = ["confusion"] a CSV."""

import csv
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plots.picture import Floats, array
from store.errors import UserError
from store.outcomes import Outcome
from store.runs import Artifact
from store.store import Store

AT_END = "answers-at-end.json"
_LARGEST = 50_000_000
_CONFUSION = re.compile(r"confusion-(.+)-from-epoch-(\d+)\.csv")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AtEnd:
    """`confusion`: (classes, classes) of each head, rows are what is right. `features`: rises of the loss."""

    epoch: int
    loss: float
    confusion: dict[str, Floats]
    features: Floats


def at_end(one: Outcome, store: Store) -> AtEnd | None:
    """None: the run has kept none. Raises UserError for a file that is not what the trainer writes."""
    found = [artifact for artifact in store.artifacts(one.id) if artifact.name == AT_END]
    if not found:
        return None
    try:
        told = json.loads(_text(found[-1], store))
        return AtEnd(
            epoch=int(told["epoch"]),
            loss=float(told["loss"]),
            confusion={str(name): _square(matrix) for name, matrix in told["confusion"].items()},
            features=array(told["features"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{AT_END} of run {one.id} is not what the trainer writes: {error}") from error


def watched(one: Outcome, store: Store, epoch: int | None) -> dict[str, tuple[int, Floats]]:
    """Of each head the epoch and its matrix: the last one, or that of `epoch`; from all attempts' files."""
    found: dict[str, tuple[int, Floats]] = {}
    for artifact in sorted(store.artifacts(one.id), key=lambda artifact: artifact.attempt):
        named = _CONFUSION.fullmatch(artifact.name)
        if named is None:
            continue
        for at, matrix in _matrices(_text(artifact, store), artifact).items():
            if at == epoch or (epoch is None and at >= found.get(named[1], (0, None))[0]):
                found[named[1]] = at, matrix
    return found


def _matrices(text: str, artifact: Artifact) -> dict[int, Floats]:
    rows: dict[int, list[list[float]]] = {}
    try:
        for line in csv.DictReader(text.splitlines()):
            counts = [float(value) for name, value in line.items() if name.startswith("answered_")]
            rows.setdefault(int(line["epoch"]), []).append(counts)
        return {epoch: _square(matrix) for epoch, matrix in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{artifact.name} of run {artifact.run} is not what the trainer writes: {error}") from error


def _square(matrix: object) -> Floats:
    found = array(matrix)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not np.isfinite(found).all():
        raise ValueError(f"a matrix of shape {found.shape} is no confusion matrix")
    return found


def _text(artifact: Artifact, store: Store) -> str:
    if artifact.size_bytes > _LARGEST:
        raise UserError(
            f"{artifact.name} of run {artifact.run} has {artifact.size_bytes:,} bytes: it is not the trainer's"
        )
    with tempfile.TemporaryDirectory() as folder:
        return store.fetch_artifact(artifact, Path(folder)).read_text(encoding="utf-8", errors="replace")
