"""Sentences of words, from a file or from Python's own documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from trainer.config import Corpus, TextData
from trainer.data.files import read_text
from trainer.errors import UserMistake

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*|[^\w\s]+|_+")
_END = re.compile(r"(?<=[.!?:])\s+|\n\s*\n")

Sentence = list[str]


def tokenize(sentence: str) -> Sentence:
    """Words in lower case, numbers, and punctuation marks one by one: "Don't, 3.5!" is don't , 3.5 !"""
    return _WORD.findall(sentence.lower())


def sentences(data: TextData) -> list[Sentence]:
    """The training text. Raises UserMistake when it is empty."""
    lines = _pydoc() if data.source is Corpus.PYDOC else read_text(data.train or "").splitlines()
    return _tokenized(lines, data, data.train or "the text")


def valid_sentences(data: TextData) -> list[Sentence] | None:
    """The validation text, when there is a file of it."""
    if data.valid is None:
        return None
    return _tokenized(read_text(data.valid).splitlines(), data, data.valid)


def _tokenized(lines: Iterable[str], data: TextData, name: str) -> list[Sentence]:
    """Every line that has a word, a long one in pieces. Blank lines are no sentences."""
    pieces = (piece for line in lines for piece in _pieces(tokenize(line), data.max_words))
    found = list(islice(pieces, data.max_sentences))
    if not found:
        raise UserMistake(f"{name}: there is no sentence in it; allowed: a text file, one sentence a line")
    return found


def _pieces(words: Sentence, longest: int) -> list[Sentence]:
    return [words[at : at + longest] for at in range(0, len(words), longest)]


def _pydoc() -> list[str]:
    """The help topics that CPython carries, about 65,000 words, in the order of their names."""
    from pydoc_data.topics import topics

    return [part for name in sorted(topics) for part in _END.split(topics[name])]
