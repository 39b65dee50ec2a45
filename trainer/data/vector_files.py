"""Files of word vectors: word2vec (text or binary) and GloVe, each also compressed (.gz).

Text: a line `word x1 x2 … xn` for each word; word2vec begins with a line `words n`. Binary (.bin): that line, then
each word, a space, and n little-endian float32. Only the vectors that are asked for are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles
from trainer.data.files import open_bytes, reading
from trainer.errors import UserMistake

_LONGEST_WORD_BYTES = 10_000
_WIDEST = 100_000
_LARGEST = float(np.finfo(np.float32).max)
_Found = tuple[str, str, Doubles]  # place for messages, word, vector


def load_vectors(path: str, words: Sequence[str]) -> tuple[Doubles, NDArray[np.bool_]]:
    """Table (n_words, n) of the file's vectors and which rows it has, (n_words,). Raises UserMistake with the place.

    A word is found as it is spelled; else the first word of the file that is it in lower case is taken.
    """
    wanted = {word: row for row, word in enumerate(words)}
    exact, known = np.zeros(len(words), dtype=np.bool_), np.zeros(len(words), dtype=np.bool_)
    with reading(path), open_bytes(path) as file:
        is_binary = path.lower().removesuffix(".gz").endswith(".bin")
        width, vectors = (_binary if is_binary else _text)(path, file, wanted)
        table = np.zeros((len(words), width))
        for place, word, vector in vectors:
            _check_finite(place, vector)
            is_exact = word in wanted
            row = wanted[word if is_exact else word.lower()]
            if not (exact[row] if is_exact else known[row]):
                table[row], known[row] = vector, True
                exact[row] |= is_exact
    return table, known


def _text(path: str, file: BinaryIO, wanted: dict[str, int]) -> tuple[int, Iterator[_Found]]:
    line = file.readline().removeprefix(b"\xef\xbb\xbf")
    n_cells = len(line.split())
    if n_cells < 2:
        raise UserMistake(f"{path}: row 1: found {n_cells} cells; allowed: a word and its numbers")
    header = _header(line) if n_cells == 2 else None
    width = header[1] if header else n_cells - 1
    return width, _text_vectors(path, file, [] if header else [line], width, wanted)


def _text_vectors(
    path: str, file: BinaryIO, first: list[bytes], width: int, wanted: dict[str, int]
) -> Iterator[_Found]:
    row = 1 - len(first)
    for line in chain(first, file):
        row += 1
        word, cells = _cells(line, width)
        if not cells:
            continue
        place = f"{path}: row {row}"
        if word is None or (b" " in word and _is_number(word.rpartition(b" ")[2])):
            found = len(line.split()) - 1
            raise UserMistake(f"{place}: found {found} numbers; allowed: {width}, as in row 1")
        spelled = word.decode()
        if spelled in wanted or spelled.lower() in wanted:
            yield place, spelled, np.array([_number(place, at, cell) for at, cell in enumerate(cells, start=2)])


def _cells(line: bytes, width: int) -> tuple[bytes | None, list[bytes]]:
    """The word, None when there are too few cells for one, and the numbers. A word may hold spaces, also Unicode's."""
    cells = line.strip().rsplit(None, width)
    return (cells[0], cells[1:]) if len(cells) > width else (None, cells)


def _binary(path: str, file: BinaryIO, wanted: dict[str, int]) -> tuple[int, Iterator[_Found]]:
    header = _header(file.readline(100))
    if header is None:
        raise UserMistake(f"{path}: this is not a word2vec file in binary form; allowed: `words numbers` in row 1")
    return header[1], _binary_vectors(path, file, *header, wanted)


def _binary_vectors(path: str, file: BinaryIO, n_words: int, width: int, wanted: dict[str, int]) -> Iterator[_Found]:
    for number in range(1, n_words + 1):
        place = f"{path}: word {number}"
        word = _word(file).decode("utf-8", errors="replace")
        content = file.read(4 * width)
        if not word or len(content) < 4 * width:
            raise UserMistake(f"{place}: the file ends inside it; allowed: {n_words} words of {width} numbers")
        if word in wanted or word.lower() in wanted:
            yield place, word, np.frombuffer(content, dtype="<f4").astype(np.float64)


def _word(file: BinaryIO) -> bytes:
    """The bytes up to the next space; some writers end each vector with a line break."""
    found = bytearray()
    while (byte := file.read(1)) not in (b" ", b"") and len(found) < _LONGEST_WORD_BYTES:
        found += byte
    return bytes(found).lstrip(b"\n")


def _header(line: bytes) -> tuple[int, int] | None:
    cells = line.split()
    if len(cells) != 2 or not all(cell.isdigit() for cell in cells) or not 1 <= int(cells[1]) <= _WIDEST:
        return None
    return int(cells[0]), int(cells[1])


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(place: str, column: int, cell: bytes) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        found = repr(cell.decode(errors="replace"))
        raise UserMistake(f"{place}, column {column}: found {found}; allowed: a finite number")
    return number


def _check_finite(place: str, vector: Doubles) -> None:
    if not np.isfinite(vector).all():
        at = int(np.argmin(np.isfinite(vector)))
        raise UserMistake(f"{place}, number {at + 1}: found {vector[at]}; allowed: a finite number")
