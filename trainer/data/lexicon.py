"""Many texts as numbers: each different word is kept once."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Ints


class Lexicon:
    """Gives every different word a number, in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__

    @property
    def words(self) -> list[str]:
        return list(self._numbers)

    def numbers(self, words: Iterable[str]) -> Iterator[int]:
        """The number of each word. This runs once for every word of a data set, so no Python code is in it."""
        return map(self._numbers.__getitem__, words)


class CodedTexts:
    """Texts one after another: text t is words offsets[t] … offsets[t+1]-1 of codes. A million texts are two arrays."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._codes, self._ends = array("i"), array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, words: Sequence[str]) -> None:
        self._codes.extend(self.lexicon.numbers(words))
        self._ends.append(len(self._codes))

    @property
    def codes(self) -> NDArray[np.int32]:
        return np.array(self._codes, dtype=np.int32)

    @property
    def offsets(self) -> Ints:
        return np.array(self._ends, dtype=np.int64)


def coded(texts: Iterable[Sequence[str]]) -> CodedTexts:
    """All texts, with a lexicon of their own."""
    found = CodedTexts(Lexicon())
    for words in texts:
        found.append(words)
    return found


def gathered(offsets: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Rows of the chosen items one after another, (n_rows), and their offsets, (n_chosen + 1)."""
    lengths = np.diff(offsets)[chosen]
    ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
    rows = np.arange(ends[-1], dtype=np.int64) + np.repeat(offsets[chosen] - ends[:-1], lengths)
    return rows, ends
