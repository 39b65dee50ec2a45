"""From labels as callers have them to targets of the outputs, and from outputs back to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Ints
from trainer.config import Head, HeadKind
from trainer.estimators.parameters import plain

Labels = NDArray[Any]
_DEFAULT_NAME = "class"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLabels:
    """A head with the meaning of its outputs."""

    head: Head
    classes: Labels | None  # (head.size), of a softmax head: what each of its outputs stands for

    def targets(self, y: Labels, name: str) -> Doubles:
        """(n, head.size). Raises ValueError for the first label that the head cannot learn."""
        if self.head.kind is HeadKind.SOFTMAX and y.ndim == 1:
            return self._rows_of_classes(y, name)
        targets = _matrix(y, name)
        if targets.shape[1] != self.head.size:
            raise ValueError(f"{name} has {targets.shape[1]} columns; allowed: {self.head.size}, the size of the head")
        _check_finite(targets, name)
        return targets

    def _rows_of_classes(self, y: Labels, name: str) -> Doubles:
        assert self.classes is not None
        known = {label: index for index, label in enumerate(self.classes.tolist())}
        codes = np.array([known.get(label, -1) for label in y.tolist()], dtype=np.int64)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            shown = ", ".join(repr(label) for label in list(known)[:10])
            raise ValueError(f"{name}: row {row}: found {y.tolist()[row]!r}; allowed: one of {shown}")
        return np.eye(self.head.size)[codes]

    def decisions(self, answers: Doubles) -> Labels:
        """What the answers (n, head.size) say: labels (n), yes or no (n, size), or numbers (n) or (n, size)."""
        if self.classes is not None:
            chosen: Labels = self.classes[answers.argmax(axis=1)]
            return chosen
        decided = answers if self.head.kind is HeadKind.LINEAR else (answers > 0.5).astype(np.int64)
        return decided[:, 0] if self.head.size == 1 else decided


def declared(parameter: Any, y: Any, classes: Any = None) -> list[dict[str, Any]]:
    """The heads as tables [[head]], with sizes; what is left out is taken from the labels."""
    if parameter is not None:
        tables = plain(parameter)
        return [_with_size(table, y, len(tables)) for table in tables] if isinstance(tables, list) else tables
    if isinstance(y, Mapping):
        return [_of_labels(name, labels) for name, labels in y.items()]
    return [_of_labels(_DEFAULT_NAME, y if classes is None else classes)]


def _of_labels(name: str, y: Any) -> dict[str, Any]:
    labels = as_labels(y)
    if labels.ndim == 2:
        raise ValueError(f"head is missing; y has {labels.shape[1]} columns: say what they are in the parameter head")
    return {"name": name, "kind": HeadKind.SOFTMAX.value, "size": _n_classes(labels)}


def _with_size(table: Any, y: Any, n_heads: int) -> Any:
    if not isinstance(table, dict) or "size" in table or (n_heads > 1 and not isinstance(y, Mapping)):
        return table
    labels = as_labels(y.get(table.get("name"), ()) if isinstance(y, Mapping) else y)
    as_classes = table.get("kind") == HeadKind.SOFTMAX.value and labels.ndim == 1
    columns = labels.shape[1] if labels.ndim == 2 else 1
    return {**table, "size": _n_classes(labels) if as_classes else columns}


def _n_classes(labels: Labels) -> int:
    return max(2, len(_unique(labels)))


def labelled(heads: Sequence[Head], y: Any, classes: Any = None) -> list[HeadLabels]:
    """The heads with the classes that the labels have. Raises ValueError."""
    return [HeadLabels(head=head, classes=_classes_of(head, heads, y, classes)) for head in heads]


def _classes_of(head: Head, heads: Sequence[Head], y: Any, classes: Any) -> Labels | None:
    if head.kind is not HeadKind.SOFTMAX:
        return None
    named = getattr(head, "classes", None)
    part = as_labels(classes if classes is not None else _part(head, heads, y))
    if named is not None or part.ndim == 2:
        return np.array(named) if named is not None else np.arange(head.size)
    found = _unique(part)
    _check_classes(found, part, head)
    # Class numbers below the size of a head declare all of its classes, even those that no sequence has.
    if found.dtype.kind in "iu" and len(found) < head.size and found[0] >= 0 and found[-1] < head.size:
        return np.arange(head.size)
    if len(found) != head.size:
        raise ValueError(f"y has {len(found)} classes; allowed: {head.size}, the size of the head {head.name}")
    return found


def _check_classes(found: Labels, y: Labels, head: Head) -> None:
    if found.dtype.kind == "f" and not np.array_equal(found, np.floor(found)):
        _check_finite(y[:, None], "y")
        row = int(np.argmax(y != np.floor(y)))
        rest = f"y: row {row}: found {y[row]}; allowed: class labels, or a head of kind linear"
        raise ValueError(f"Unknown label type: continuous. {rest}")
    if len(found) < 2 and head.name == _DEFAULT_NAME:
        raise ValueError(f"y has one class, {found.tolist()[0]!r}; allowed: at least two classes")


def targets(heads: Sequence[HeadLabels], y: Any, name: str) -> Doubles:
    """What all outputs should be: (n, n_out). Raises ValueError."""
    together = as_labels(y) if len(heads) > 1 and not isinstance(y, Mapping) else None
    if together is not None and together.ndim == 2:
        _check_finite(matrix := _matrix(together, name), name)
        return matrix
    plain_heads = [item.head for item in heads]
    parts = [item.targets(as_labels(_part(item.head, plain_heads, y)), _name(item, heads, name)) for item in heads]
    if len({len(part) for part in parts}) > 1:
        lengths = ", ".join(str(len(part)) for part in parts)
        raise ValueError(f"{name} has {lengths} labels in its heads; allowed: as many in each")
    return np.concatenate(parts, axis=1)


def _name(item: HeadLabels, heads: Sequence[HeadLabels], name: str) -> str:
    return name if len(heads) == 1 else f"{name}[{item.head.name!r}]"


def _part(head: Head, heads: Sequence[Head], y: Any) -> Any:
    """The labels of one head."""
    if isinstance(y, Mapping):
        if head.name not in y:
            raise ValueError(f"y has the keys {', '.join(map(str, y))}; allowed: one for each head, also {head.name}")
        return y[head.name]
    if len(heads) == 1:
        return y
    matrix = as_labels(y)
    n_out = sum(one.size for one in heads)
    if matrix.ndim != 2 or matrix.shape[1] != n_out:
        allowed = f"(sequences, {n_out}), or a dict with a key for each head"
        raise ValueError(f"y has shape {matrix.shape}; allowed: {allowed}")
    first = sum(one.size for one in heads[: list(heads).index(head)])
    return matrix[:, first : first + head.size]


def every_step(y: Any, offsets: Ints, name: str) -> Any:
    """Labels of steps one after another, where y has a list of them for each sequence; else y as it is."""
    if isinstance(y, Mapping):
        return {key: every_step(labels, offsets, f"{name}[{key!r}]") for key, labels in y.items()}
    if len(y) != len(offsets) - 1 or not all(np.ndim(item) > 0 for item in y):
        return y
    lengths = np.diff(offsets).tolist()
    if [len(item) for item in y] != lengths:
        index = next(i for i, item in enumerate(y) if len(item) != lengths[i])
        raise ValueError(f"{name}[{index}] has {len(y[index])} labels; allowed: {lengths[index]}, one for each step")
    return np.concatenate([as_labels(item) for item in y])


def as_labels(y: Any) -> Labels:
    """(n) or (n, columns), texts as an array of texts. A single column is one label a row."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None; allowed: labels")
    labels = np.asarray(y)
    if labels.ndim not in (1, 2) or len(labels) == 0:
        raise ValueError(f"y has shape {labels.shape}; allowed: a label for each sequence")
    if labels.dtype == object and all(isinstance(item, str) for item in labels.flat):
        labels = labels.astype(str)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _unique(labels: Labels) -> Labels:
    try:
        return np.unique(labels)
    except TypeError:
        raise ValueError("y has labels of different kinds; allowed: all texts or all numbers") from None


def _matrix(y: Labels, name: str) -> Doubles:
    try:
        numbers = y.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is of type {y.dtype}; allowed: numbers") from None
    return numbers[:, None] if numbers.ndim == 1 else numbers


def _check_finite(targets: Labels, name: str) -> None:
    bad = np.argwhere(~np.isfinite(targets))
    if len(bad):
        row, column = bad[0]
        found = targets[row, column]
        place = f"{name}: row {row}, column {column}"
        raise ValueError(f"{place}: found {'NaN' if np.isnan(found) else found}; allowed: a finite number")


def to_tables(heads: Sequence[HeadLabels]) -> list[dict[str, Any]]:
    """For a file: the heads without their classes."""
    return [{f.name: plain(getattr(item.head, f.name)) for f in fields(item.head)} for item in heads]
