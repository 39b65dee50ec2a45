"""Which kind of file a name stands for. Pure, and free of NumPy."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePath

TRAINED = "word2vec"  # in the place of a file of word vectors: they are trained


class Format(Enum):
    """By the end of the name, in any case."""

    ARRAYS = ".npz"
    CSV = ".csv"
    TSV = ".tsv"
    LINES = "text"

    @property
    def is_table(self) -> bool:
        return self in (Format.CSV, Format.TSV)


def format_of(path: str) -> Format:
    """LINES for a name with any other end, or with none."""
    end = PurePath(path).suffix.lower()
    return next((kind for kind in Format if kind.value == end), Format.LINES)
