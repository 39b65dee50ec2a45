"""Sentences as callers have them: texts, lists of words, or numbers of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Ints
from trainer.data.tokenizers import Cut
from trainer.data.vocabulary import MARKS, PackedText, Vocabulary, build_vocabulary, pack

Words = list[str]
Tokens = NDArray[np.int32]
Sentences = list[Words] | list[Tokens]


def sentences(found: Any, name: str, longest: int, cut: Cut) -> Sentences:
    """Words of each sentence, those longer than `longest` in pieces; or its tokens as they are. Raises ValueError.

    found: a list of texts, of lists of words, or of arrays of tokens; or a tuple (tokens, offsets). What has no word
    is left out. Tokens begin with the mark of a sentence start and end with that of its end.
    """
    items: Any = beginnings(found, name, cut)
    if are_tokens(items):
        whole: list[Tokens] = items
        return whole
    pieces = [words[at : at + longest] for words in items for at in range(0, len(words), longest)]
    if not pieces:
        raise ValueError(f"{name}: there is no word in it; allowed: at least one sentence")
    return pieces


def beginnings(found: Any, name: str, cut: Cut) -> Any:
    """Words or tokens of each item, which may be none. Raises ValueError."""
    if isinstance(found, str) or not hasattr(found, "__len__"):
        raise ValueError(f"{name} is {type(found).__name__}; allowed: a list of sentences")
    items = _unpacked(found, name) if isinstance(found, tuple) and len(found) == 2 else list(found)
    if not items:
        raise ValueError(f"{name} is empty; allowed: at least one sentence")
    if all(isinstance(item, str) for item in items):
        return [cut(item) for item in items]
    if all(isinstance(item, (list, tuple)) and all(isinstance(word, str) for word in item) for item in items):
        return [list(item) for item in items]
    return [_tokens(item, f"{name}[{index}]") for index, item in enumerate(items)]


def are_tokens(items: Sequence[Any]) -> bool:
    return isinstance(items[0], np.ndarray)


def _unpacked(found: tuple[Any, Any], name: str) -> list[Any]:
    tokens, offsets = (np.asarray(part) for part in found)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        return list(found)
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(tokens) or (np.diff(offsets) < 1).any():
        raise ValueError(f"the offsets of {name} are {offsets}; allowed: rising from 0 to {len(tokens)}, its tokens")
    return np.split(tokens, offsets[1:-1])


def _tokens(item: Any, name: str) -> Tokens:
    tokens = np.asarray(item)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or len(tokens) == 0:
        found = f"is of shape {tokens.shape} and type {tokens.dtype}"
        raise ValueError(f"{name} {found}; allowed: a text, a list of words, or whole numbers in one dimension")
    return tokens


def vocabulary_of(items: Sentences, size: int) -> Vocabulary:
    """The words that get a number of their own; of tokens, names for all numbers."""
    if are_tokens(items):
        return Vocabulary(words=(*MARKS, *(f"#{number}" for number in range(len(MARKS), size))))
    return build_vocabulary(items, size)  # type: ignore[arg-type]


def packed(items: Sentences, vocabulary: Vocabulary, name: str) -> PackedText:
    """From start mark to end mark. Raises ValueError for a token that the vocabulary does not have."""
    if not items:
        return PackedText(tokens=np.zeros(0, dtype=np.int32), offsets=np.zeros(1, dtype=np.int64))
    if not are_tokens(items):
        return pack(items, vocabulary)  # type: ignore[arg-type]
    _check_tokens(items, len(vocabulary), name, least=2)
    return _together(items)


def packed_beginnings(items: Sequence[Any], vocabulary: Vocabulary, name: str) -> PackedText:
    """Like `packed`, without the end mark: what comes next is asked."""
    if are_tokens(items):
        _check_tokens(items, len(vocabulary), name, least=1)
        return _together(items)
    whole = pack(items, vocabulary)
    return _together([part[:-1] for part in np.split(whole.tokens, whole.offsets[1:-1])])


def _check_tokens(items: Sequence[Any], n_words: int, name: str, least: int) -> None:
    for index, item in enumerate(items):
        if len(item) < least:
            raise ValueError(f"{name}[{index}] has {len(item)} tokens; allowed: at least {least}")
        bad = np.flatnonzero((item < 0) | (item >= n_words))
        if len(bad):
            found = f"token {bad[0]}: found {item[bad[0]]}"
            raise ValueError(f"{name}[{index}], {found}; allowed: from 0 to {n_words - 1}")


def _together(items: Sequence[Any]) -> PackedText:
    offsets: Ints = np.cumsum([0, *map(len, items)], dtype=np.int64)
    return PackedText(tokens=np.concatenate(items).astype(np.int32), offsets=offsets)
