"""What is wrong between parameters of the data that are each fine by themselves. Pure: no file is opened."""

from __future__ import annotations

import json

from trainer.config import ClassifierConfig, DataTable, Head, HeadKind, LanguageModelConfig, SequenceData
from trainer.data.formats import Format, format_of

_TABLES_ONLY = ("columns", "thresholds")


def problems_of_text(config: LanguageModelConfig) -> list[str]:
    """A sentence for each."""
    data = config.data
    if (data.source is None) == (data.train is None):
        found = "missing" if data.source is None else "given twice"
        return [f'the text is {found}; allowed: either data.source = "pydoc" or data.train = a file']
    arrays = [path for path in (data.train, data.valid) if path and format_of(path) is Format.ARRAYS]
    if data.valid is not None and len(arrays) == 1:
        return [f"data.valid is {_show(data.valid)}; allowed: a .npz file exactly when data.train is one"]
    return _problems_of_slices(data)


def problems_of_sequences(config: ClassifierConfig) -> list[str]:
    """A sentence for each."""
    data = config.data
    problems = [] if data.train is not None else ["data.train is missing; allowed: a .npz, .csv or .tsv file"]
    files = [path for path in (data.train, data.valid) if path is not None]
    wrong = [path for path in files if format_of(path) is Format.LINES]
    problems += [f"the data file is {_show(path)}; allowed: a .npz, .csv or .tsv file" for path in wrong]
    if not wrong and len({format_of(path).is_table for path in files}) == 2:
        problems.append(f"data.valid is {_show(data.valid)}; allowed: a .npz file exactly when data.train is one")
    problems += _problems_of_slices(data) + _names_given_twice(config.head)
    if data.train is not None and not wrong:
        problems += _problems_of_heads(config.head, data)
    return problems


def _problems_of_slices(data: DataTable) -> list[str]:
    train, valid = data.train_slice, data.valid_slice
    if valid is not None and data.valid is not None:
        return ["data.valid_slice is given beside data.valid; allowed: one of them"]
    if train is None or valid is None or data.allow_overlap:
        return []
    first, end = max(train[0], valid[0]), min(train[1], valid[1])
    if first >= end:
        return []
    found = f"data.train_slice and data.valid_slice share {first} … {end - 1}"
    return [f"{found}; allowed: slices apart, or data.allow_overlap = true"]


def _names_given_twice(heads: tuple[Head, ...]) -> list[str]:
    names = [head.name for head in heads]
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"head {name} is given twice; allowed: one head of a name" for name in twice]


def _problems_of_heads(heads: tuple[Head, ...], data: SequenceData) -> list[str]:
    is_table = format_of(data.train or "").is_table
    problems = [problem for head in heads for problem in _problems_of_head(head, is_table)]
    if is_table and len(heads) > 1:
        silent = [head.name for head in heads if head.columns is None]
        problems += [f"head {name}: columns is missing; allowed with several heads: its columns" for name in silent]
    if is_table and len(heads) == 1 and not problems:
        problems += _problem_of_short_form(heads[0], data)
    return problems


def _problems_of_head(head: Head, is_table: bool) -> list[str]:
    problems = [] if is_table else _keys_of_tables(head)
    if head.kind is not HeadKind.SOFTMAX and (head.classes or head.thresholds):
        problems.append(f"classes or thresholds of a {head.kind.value} head; allowed: for softmax")
    if head.classes and head.thresholds:
        problems.append("classes and thresholds are both given; allowed: one of them")
    if head.classes and len(head.classes) != head.size:
        problems.append(f"size is {head.size}; allowed: {len(head.classes)}, as many as classes")
    if head.thresholds and len(head.thresholds) + 1 != head.size:
        problems.append(f"size is {head.size}; allowed: {len(head.thresholds) + 1}, one more than thresholds")
    problems += _problem_of_columns(head)
    return [f"head {head.name}: {problem}" for problem in problems]


def _keys_of_tables(head: Head) -> list[str]:
    given = [name for name in _TABLES_ONLY if getattr(head, name) is not None]
    return [f"{name} is given; allowed: for a .csv or .tsv file" for name in given]


def _problem_of_columns(head: Head) -> list[str]:
    """How many columns a range stands for is known only with the header."""
    if head.columns is None or any(":" in name for name in head.columns):
        return []
    n, is_softmax = len(head.columns), head.kind is HeadKind.SOFTMAX
    if is_softmax and head.thresholds and n > 1:
        return [f"columns has {n} names; allowed with thresholds: 1"]
    allowed = {1, head.size} if is_softmax else {head.size}
    return [] if n in allowed else [f"columns has {n} names; allowed: {' or '.join(map(str, sorted(allowed)))}"]


def _problem_of_short_form(head: Head, data: SequenceData) -> list[str]:
    """One head without columns reads data.number_column, and data.thresholds cut it."""
    short = head.columns is None and head.classes is None and head.thresholds is None
    n_classes = len(data.thresholds) + 1
    if short and head.kind is HeadKind.SOFTMAX and head.size != n_classes:
        said = f"{n_classes}, one more than data.thresholds; or name its columns"
        return [f"head {head.name}: size is {head.size}; allowed: {said}"]
    if head.columns is None and head.kind is not HeadKind.SOFTMAX and head.size != 1:
        return [f"head {head.name}: columns is missing; allowed: its {head.size} columns"]
    return []


def _show(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
