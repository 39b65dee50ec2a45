"""Sentences of words, from files or from Python's own documentation, as a vocabulary and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from trainer.config import Corpus, LanguageModelConfig, TextData
from trainer.data.files import read_lines
from trainer.data.formats import Format, format_of
from trainer.data.lexicon import CodedTexts, Lexicon, gathered
from trainer.data.ready import load_tokens
from trainer.data.splits import parts
from trainer.data.tables import open_table
from trainer.data.tokenizers import Cut, tokenizer
from trainer.data.vocabulary import PackedText, Vocabulary, most_frequent, pack_codes
from trainer.errors import UserMistake

_END = re.compile(r"(?<=[.!?:])\s+|\n\s*\n")
_BUILT_IN = "the text"


def load_text(config: LanguageModelConfig) -> tuple[Vocabulary, PackedText, PackedText]:
    """Vocabulary, training and validation text. Raises UserMistake.

    Words are counted in the training part only: the validation part is to be as unknown as tomorrow's text.
    """
    data = config.data
    if data.train is not None and format_of(data.train) is Format.ARRAYS:
        return _load_ready(data.train, config)
    lexicon = Lexicon()
    texts = coded_sentences(data.train, data, lexicon)
    train, valid = parts(data, len(texts), data.train or _BUILT_IN)
    held_back = texts if data.valid is None else coded_sentences(data.valid, data, lexicon)
    valid = np.arange(len(held_back)) if valid is None else valid
    words, codes, offsets = lexicon.words, texts.codes, texts.offsets
    rows, ends = gathered(offsets, train)
    vocabulary = most_frequent(words, codes[rows], config.vocabulary_size)
    valid_rows, valid_ends = gathered(held_back.offsets, valid)
    packed = pack_codes(words, codes[rows], ends, vocabulary)
    return vocabulary, packed, pack_codes(words, held_back.codes[valid_rows], valid_ends, vocabulary)


def coded_sentences(path: str | None, data: TextData, lexicon: Lexicon) -> CodedTexts:
    """Every sentence that has a word, a long one in pieces. Raises UserMistake when there is none."""
    found = CodedTexts(lexicon)
    for piece in islice(_pieces(_lines(path, data), tokenizer(data.tokenizer), data.max_words), data.max_sentences):
        found.append(piece)
    if not len(found):
        raise UserMistake(f"{path or _BUILT_IN}: there is no sentence in it; allowed: a text file, one sentence a line")
    return found


def built_in_text() -> list[str]:
    """The help topics that CPython carries, about 65,000 words, in the order of their names."""
    from pydoc_data.topics import topics

    return [part for name in sorted(topics) for part in _END.split(topics[name])]


def _load_ready(path: str, config: LanguageModelConfig) -> tuple[Vocabulary, PackedText, PackedText]:
    data = config.data
    packed, vocabulary = load_tokens(path, config.vocabulary_size)
    packed = packed.take(np.arange(min(packed.n_sentences, data.max_sentences or packed.n_sentences)))
    train, valid = parts(data, packed.n_sentences, path)
    if data.valid is None or valid is not None:
        return vocabulary, packed.take(train), packed.take(valid if valid is not None else train[:0])
    held_back, words = load_tokens(data.valid, len(vocabulary))
    if words.words[: len(vocabulary)] != vocabulary.words:
        raise UserMistake(f"{data.valid}: words is not as in {path}; allowed: the same words")
    return vocabulary, packed.take(train), held_back


def _lines(path: str | None, data: TextData) -> Iterable[str]:
    if path is None:
        return built_in_text() if data.source is Corpus.PYDOC else []
    return _column(path, data) if format_of(path).is_table else read_lines(path)


def _column(path: str, data: TextData) -> Iterator[str]:
    table = open_table(path, data)
    at = table.column(data.text_column, "data.text_column")
    return (cells[at] for _, cells in table.rows)


def _pieces(lines: Iterable[str], cut: Cut, longest: int) -> Iterator[list[str]]:
    """Blank lines are no sentences."""
    for line in lines:
        words = cut(line)
        for at in range(0, len(words), longest):
            yield words[at : at + longest]
