"""A vector for every word: from a file, or by hashing."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from trainer.arrays import Doubles
from trainer.data.files import read_text
from trainer.errors import UserMistake


def hashed_vector(word: str, width: int) -> Doubles:
    """A fixed pseudo-random vector (width,) of the word: independent, uniform, mean 0, variance 1.

    Different words are nearly at right angles; nothing of their meaning is in it. The same on every machine.
    """
    words = np.frombuffer(hashlib.shake_256(word.encode()).digest(4 * width), dtype="<u4")
    return (words / 2.0**31 - 1.0) * math.sqrt(3.0)


class WordVectors:
    """Looks words up; a word that the file does not have is hashed."""

    def __init__(self, width: int, known: dict[str, Doubles] | None = None) -> None:
        self.width = width
        self._known = dict(known or {})

    def of(self, word: str) -> Doubles:
        """The vector (width,) of a word."""
        vector = self._known.get(word)
        if vector is None:
            vector = self._known[word] = hashed_vector(word, self.width)
        return vector


def load_word_vectors(path: str) -> WordVectors:
    """A file with a line `word x1 x2 … xn` for each word. Raises UserMistake with row and column."""
    known: dict[str, Doubles] = {}
    width = 0
    for row, line in enumerate(read_text(path).splitlines(), start=1):
        word, *cells = line.split() or [""]
        if not word:
            continue
        vector = np.array([_number(path, row, column, cell) for column, cell in enumerate(cells, start=2)])
        width = width or len(vector)
        if len(vector) != width or width == 0:
            raise UserMistake(f"{path}: row {row}: found {len(vector)} numbers; allowed: {width or 'at least 1'}")
        known[word.lower()] = vector
    if not known:
        raise UserMistake(f"{path}: there is no word in it; allowed: lines of a word and its numbers")
    return WordVectors(width, known)


def _number(path: str, row: int, column: int, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserMistake(f"{path}: row {row}, column {column}: found {cell!r}; allowed: a finite number")
    return number
