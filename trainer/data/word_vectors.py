"""A vector for every word: from a file, trained, or by hashing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Ints
from trainer.config import SequenceData
from trainer.data.formats import TRAINED
from trainer.data.tokenizers import missing_extra
from trainer.data.vector_files import load_vectors

_DEFAULT_WIDTH = 20


def vector_table(words: Sequence[str], data: SequenceData, n_in: int | None, texts: Texts) -> Doubles:
    """Row w is the vector of words[w]: (n_words, n_in). Raises UserMistake.

    A word that the file or the training texts do not have is hashed to a vector as long as the others are on average.
    """
    if data.vectors is None:
        return hashed_vectors(words, n_in or _DEFAULT_WIDTH)
    if data.vectors == TRAINED:
        table, known = trained_vectors(words, texts, n_in or _DEFAULT_WIDTH, data.vectors_seed, data.vectors_epochs)
    else:
        table, known = load_vectors(data.vectors, words)
    return filled(table, known, words)


def filled(table: Doubles, known: NDArray[np.bool_], words: Sequence[str]) -> Doubles:
    """The table with hashed vectors in its rows that are not known, at the root mean square of those that are."""
    unknown = np.flatnonzero(~known)
    hashed = hashed_vectors([words[row] for row in unknown.tolist()], table.shape[1])
    table[unknown] = hashed * (_root_mean_square(table[known]) if known.any() else 1.0)
    return table


def _root_mean_square(numbers: Doubles) -> float:
    """To six digits: in which order a machine adds must not show, for a run may go on on another machine."""
    return float(f"{math.sqrt(np.mean(numbers**2)):.5e}")


def hashed_vectors(words: Sequence[str], width: int) -> Doubles:
    """(n_words, width)."""
    table = np.empty((len(words), width))
    for row, word in enumerate(words):
        table[row] = hashed_vector(word, width)
    return table


def hashed_vector(word: str, width: int) -> Doubles:
    """A fixed pseudo-random vector (width,) of the word: independent, uniform, mean 0, variance 1.

    Different words are nearly at right angles; nothing of their meaning is in it. The same on every machine.
    """
    words = np.frombuffer(hashlib.shake_256(word.encode()).digest(4 * width), dtype="<u4")
    return (words / 2.0**31 - 1.0) * math.sqrt(3.0)


class Texts:
    """The training texts as lists of words, as often as they are asked for."""

    def __init__(self, words: Sequence[str], codes: NDArray[np.int32], offsets: Ints, chosen: Ints) -> None:
        self._words, self._codes, self._offsets, self._chosen = words, codes, offsets, chosen

    def __iter__(self) -> Iterator[list[str]]:
        for text in self._chosen:
            yield [self._words[code] for code in self._codes[self._offsets[text] : self._offsets[text + 1]]]


def trained_vectors(
    words: Sequence[str], texts: Texts, width: int, seed: int, epochs: int
) -> tuple[Doubles, NDArray[np.bool_]]:
    """word2vec (Mikolov et al. 2013; CBOW, 5 negative samples, window 5) of the texts by gensim: table and which rows.

    One thread, so that the same seed gives the same vectors. Raises UserMistake when gensim is missing.
    """
    try:
        from gensim.models import word2vec
    except ImportError:
        raise missing_extra(f'data.vectors = "{TRAINED}"', "gensim", "word2vec") from None
    gensim: Any = word2vec
    found = gensim.Word2Vec(texts, vector_size=width, min_count=1, workers=1, seed=seed, epochs=epochs).wv
    table, known = np.zeros((len(words), width)), np.zeros(len(words), dtype=np.bool_)
    for row, word in enumerate(words):
        if word in found.key_to_index:
            table[row], known[row] = found[word], True
    return table, known
