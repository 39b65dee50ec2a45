"""Which words have a number of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Ints
from trainer.data.lexicon import coded, gathered

START, END, UNKNOWN = 0, 1, 2
MARKS = ("<start>", "<end>", "<unknown>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Words by number; the first three are sentence start, sentence end and any word that is not kept."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self) -> dict[str, int]:
        """The number of each word; a text that spells a mark is no mark."""
        return {word: index for index, word in enumerate(self.words) if index >= len(MARKS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedText:
    """Sentences one after another, each from its start mark to its end mark."""

    tokens: NDArray[np.int32]  # (n_tokens)
    offsets: Ints  # (n_sentences + 1)
    digest: bytes | None = None  # of these arrays, when it is known already

    @property
    def n_sentences(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        """Predictions in the longest sentence."""
        return int(np.diff(self.offsets).max()) - 1 if self.n_sentences else 0

    def take(self, chosen: Ints) -> PackedText:
        """The chosen sentences, in the order given."""
        rows, offsets = gathered(self.offsets, np.asarray(chosen, dtype=np.int64))
        return PackedText(tokens=self.tokens[rows], offsets=offsets)

    def identity(self) -> list[NDArray[Any]]:
        """What to hash to tell this data from other: the digest where it is known, else the arrays."""
        if self.digest is not None:
            return [np.frombuffer(self.digest, dtype=np.uint8)]
        return [self.tokens, self.offsets]


def build_vocabulary(sentences: Iterable[Sequence[str]], size: int) -> Vocabulary:
    """The most frequent words, at most `size` with the three marks; of equally frequent ones those first in order."""
    texts = coded(sentences)
    return most_frequent(texts.lexicon.words, texts.codes, size)


def most_frequent(words: Sequence[str], codes: NDArray[np.int32], size: int) -> Vocabulary:
    """`build_vocabulary` of texts as numbers; words[code] may appear nowhere."""
    counts = np.bincount(codes, minlength=len(words)).tolist()
    used = (code for code, count in enumerate(counts) if count)
    by_rank = sorted(used, key=lambda code: (-counts[code], words[code]))
    return Vocabulary(words=(*MARKS, *(words[code] for code in by_rank[: max(0, size - len(MARKS))])))


def pack(sentences: Iterable[Sequence[str]], vocabulary: Vocabulary) -> PackedText:
    """Sentences as numbers."""
    texts = coded(sentences)
    return pack_codes(texts.lexicon.words, texts.codes, texts.offsets, vocabulary)


def pack_codes(words: Sequence[str], codes: NDArray[np.int32], offsets: Ints, vocabulary: Vocabulary) -> PackedText:
    """`pack` of texts as numbers: sentence s is words[codes[offsets[s]:offsets[s+1]]]."""
    numbers = vocabulary.numbers()
    renumbered = np.array([numbers.get(word, UNKNOWN) for word in words], dtype=np.int32)
    marked = offsets + 2 * np.arange(len(offsets), dtype=np.int64)  # each sentence is longer by its two marks
    tokens = np.full(marked[-1], START, dtype=np.int32)
    tokens[marked[1:] - 1] = END
    inside = np.ones(len(tokens), dtype=np.bool_)
    inside[marked[:-1]] = inside[marked[1:] - 1] = False
    tokens[inside] = renumbered[codes]
    return PackedText(tokens=tokens, offsets=marked)
