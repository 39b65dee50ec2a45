"""Labelled short texts in a table (.tsv): words become vectors, numbers become classes."""

from __future__ import annotations

import bisect
import math

import numpy as np

from trainer.arrays import Doubles
from trainer.config import SequenceData
from trainer.data.files import read_text
from trainer.data.sequences import Sequences
from trainer.data.text import tokenize
from trainer.data.word_vectors import WordVectors
from trainer.errors import UserMistake


def load_tsv(path: str, data: SequenceData, vectors: WordVectors) -> Sequences:
    """A sequence of word vectors and a class number for every row. Raises UserMistake with row and column."""
    lines = read_text(path).split("\n")
    text_at, number_at = _columns(path, lines[0].rstrip("\r").split("\t"), data)
    n_columns = max(text_at, number_at) + 1
    rows: list[list[Doubles]] = []
    labels: list[int] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        if len(cells) < n_columns:
            raise UserMistake(f"{path}: row {number}: found {len(cells)} columns; allowed: at least {n_columns}")
        rows.append(_words(path, number, cells[text_at], data, vectors))
        labels.append(_class(path, number, cells[number_at], data))
    if not rows:
        raise UserMistake(f"{path}: there is no row below the header; allowed: at least one")
    return Sequences(
        values=np.array([vector for row in rows for vector in row]),
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        labels=np.array(labels, dtype=np.float64),
        name=path,
    )


def _columns(path: str, header: list[str], data: SequenceData) -> tuple[int, int]:
    for name, parameter in ((data.text_column, "text_column"), (data.number_column, "number_column")):
        if name not in header:
            raise UserMistake(f"{path}: row 1: there is no column {name} (data.{parameter}); found {', '.join(header)}")
    return header.index(data.text_column), header.index(data.number_column)


def _words(path: str, row: int, cell: str, data: SequenceData, vectors: WordVectors) -> list[Doubles]:
    words = tokenize(cell)
    if not words:
        raise UserMistake(f"{path}: row {row}, column {data.text_column}: there is no word; allowed: at least one")
    return [vectors.of(word) for word in words]


def _class(path: str, row: int, cell: str, data: SequenceData) -> int:
    """How many thresholds the number reaches."""
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserMistake(f"{path}: row {row}, column {data.number_column}: found {cell!r}; allowed: a finite number")
    return bisect.bisect_right(data.thresholds, number)
