"""Which words have a number of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Ints

START, END, UNKNOWN = 0, 1, 2
_MARKS = ("<start>", "<end>", "<unknown>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Words by number; the first three are sentence start, sentence end and any word that is not kept."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedText:
    """Sentences one after another, each from its start mark to its end mark."""

    tokens: NDArray[np.int32]  # (n_tokens)
    offsets: Ints  # (n_sentences + 1)

    @property
    def n_sentences(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        """Predictions in the longest sentence."""
        return int(np.diff(self.offsets).max()) - 1 if self.n_sentences else 0


def build_vocabulary(sentences: Iterable[Sequence[str]], size: int) -> Vocabulary:
    """The most frequent words, at most `size` with the three marks; of equally frequent ones those first in order."""
    counts = Counter(word for sentence in sentences for word in sentence)
    by_rank = sorted(counts, key=lambda word: (-counts[word], word))
    return Vocabulary(words=(*_MARKS, *by_rank[: max(0, size - len(_MARKS))]))


def pack(sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> PackedText:
    """Sentences as numbers."""
    number = {word: index for index, word in enumerate(vocabulary.words) if index >= len(_MARKS)}
    tokens: list[int] = []
    offsets = [0]
    for sentence in sentences:
        tokens.append(START)
        tokens.extend(number.get(word, UNKNOWN) for word in sentence)
        tokens.append(END)
        offsets.append(len(tokens))
    return PackedText(tokens=np.array(tokens, dtype=np.int32), offsets=np.array(offsets, dtype=np.int64))
