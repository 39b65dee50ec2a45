"""A picture for programmes: what would be drawn, as numbers."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from plots.picture import Picture


def as_json(picture: Picture) -> dict[str, Any]:
    """Title, notes, and every piece with its kind and its numbers; NaN is null."""
    rows = [
        [None if piece is None else {"kind": type(piece).__name__.lower(), **_plain(piece)} for piece in row]
        for row in picture.rows
    ]
    labels = {"rows": picture.row_labels, "columns": picture.column_labels}
    return {"title": picture.title, "notes": list(picture.notes), "labels": labels, "rows": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.tolist()]
    if isinstance(value, float) and value != value:
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
