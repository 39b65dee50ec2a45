"""Labelled short texts in tables: words become vectors, cells become what the outputs should say."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from trainer.arrays import Doubles, Ints
from trainer.config import ClassifierConfig, Head
from trainer.data.labels import Labels, Names, heads_of, labels_of
from trainer.data.lexicon import CodedTexts, Lexicon, gathered
from trainer.data.sequences import Sequences
from trainer.data.splits import parts
from trainer.data.tables import open_table
from trainer.data.tokenizers import tokenizer
from trainer.data.word_vectors import Texts, vector_table
from trainer.errors import UserMistake

Heads = tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """One file: its texts as numbers, and the labels of each head."""

    path: str
    texts: CodedTexts
    labels: list[Labels]

    def sequences(self, chosen: Ints, heads: Heads, vectors: Doubles, dtype: str) -> Sequences:
        """The chosen rows, in the precision of the run. Raises UserMistake for a label no head can learn."""
        pairs = zip(heads, self.labels, strict=True)
        targets = [labels.targets(head, chosen) for head, labels in pairs]
        rows, offsets = gathered(self.texts.offsets, chosen)
        return Sequences(
            values=vectors.astype(dtype)[self.texts.codes[rows]],
            offsets=offsets,
            labels=np.concatenate(targets, axis=1).astype(dtype),
            name=self.path,
        )


def load_labelled(config: ClassifierConfig) -> tuple[Heads, Sequences, Sequences]:
    """Heads with their classes, training and validation sequences. Raises UserMistake with row and column."""
    data, lexicon = config.data, Lexicon()
    heads = heads_of(data, config.head)
    file = read_labelled(data.train or "", config, heads, lexicon)
    held_back = file if data.valid is None else read_labelled(data.valid, config, heads, lexicon)
    train, valid = parts(data, len(file.texts), file.path)
    valid = np.arange(len(held_back.texts)) if valid is None else valid
    heads = tuple(_with_classes(head, labels, train) for head, labels in zip(heads, file.labels, strict=True))
    words = lexicon.words
    texts = Texts(words, file.texts.codes, file.texts.offsets, train)
    vectors = vector_table(words, data, config.n_in, texts)
    if config.n_in is not None and vectors.shape[1] != config.n_in:
        found = f"{data.vectors}: found vectors of {vectors.shape[1]} numbers"
        raise UserMistake(f"{found}; allowed: {config.n_in} (n_in)")
    dtype = config.dtype.value
    return heads, file.sequences(train, heads, vectors, dtype), held_back.sequences(valid, heads, vectors, dtype)


def read_labelled(path: str, config: ClassifierConfig, heads: Heads, lexicon: Lexicon) -> LabelledTexts:
    """The rows of one table, at most data.max_sequences. Raises UserMistake."""
    data, cut = config.data, tokenizer(config.data.tokenizer)
    table, rows, texts = open_table(path, data), array("q"), CodedTexts(lexicon)
    text_at = table.column(data.text_column, "data.text_column")
    labels = [labels_of(table, head, rows) for head in heads]
    for row, cells in islice(table.rows, data.max_sequences):
        words = cut(cells[text_at])
        if not words:
            found = f"row {row}, column {data.text_column}: there is no word"
            raise UserMistake(f"{path}: {found}; allowed: at least one")
        texts.append(words)
        rows.append(row)
        for labels_of_head in labels:
            labels_of_head.append(row, cells)
    if not rows:
        raise UserMistake(f"{path}: there is no row below the header; allowed: at least one")
    return LabelledTexts(path, texts, labels)


def _with_classes(head: Head, labels: Labels, train: Ints) -> Head:
    if head.classes is None and isinstance(labels, Names):
        return replace(head, classes=labels.classes(head, train))
    return head
