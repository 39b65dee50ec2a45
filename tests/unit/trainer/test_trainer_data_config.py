"""What is said of the data's parameters before any file is opened."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trainer.config import ClassifierConfig
from trainer.data.formats import Format, format_of
from trainer.describe import help_text
from trainer.validation import check, load_config

ROOT = Path(__file__).resolve().parents[3]
SOFTMAX = {"name": "a", "kind": "softmax", "size": 3}
LINEAR = {"name": "n", "kind": "linear", "size": 2}
SLICES = {"train_slice": [2500, 5000], "valid_slice": [0, 2500]}


def classifier(*heads: dict[str, Any], **data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"model": "classifier", "data": {"train": "x.csv", **data}}
    return {**found, "head": list(heads)} if heads else found


def text(**data: Any) -> dict[str, Any]:
    return {"model": "language-model", "data": {"train": "x.txt", **data}}


FINE: list[dict[str, Any]] = [
    classifier(**SLICES),
    classifier(train_slice=[0, 10], valid_slice=[5, 20], allow_overlap=True),
    classifier({**SOFTMAX, "columns": "s1:s3"}, {**LINEAR, "columns": ["x", "y"]}),
    classifier({**SOFTMAX, "columns": ["s1:s2", "s3"], "classes": ["x", "y", "z"]}),
    classifier({**SOFTMAX, "columns": "mood"}, vectors="word2vec", tokenizer="tweet"),
    classifier({**SOFTMAX, "columns": "mood", "thresholds": [-1, 1]}),
    classifier(SOFTMAX, thresholds=[-1, 1]),
    classifier({**SOFTMAX, "classes": ["x", "y", "z"]}),
    classifier({**SOFTMAX, "classes": ["x", "y", "z"]}, train="x.NPZ", valid="y.npz"),
    text(source=None, train="x.TSV", text_column="body", separator="|", quoted=True),
    text(train="x.npz", valid="y.npz"),
]


@pytest.mark.parametrize("params", FINE)
def test_what_fits_together_is_accepted(params: dict[str, Any]) -> None:
    assert check(params) == []


SPAN = "allowed: two whole numbers [first, end] with 0 <= first < end, or null"
MISTAKES: list[tuple[dict[str, Any], str]] = [
    (classifier(train_slice=[5, 5]), f"data.train_slice is [5, 5]; {SPAN}"),
    (classifier(train_slice=[-1, 5]), f"data.train_slice is [-1, 5]; {SPAN}"),
    (classifier(valid_slice=[1]), f"data.valid_slice is [1]; {SPAN}"),
    (
        classifier(train_slice=[2, 9], valid_slice=[0, 4]),
        "data.train_slice and data.valid_slice share 2 … 3; allowed: slices apart, or data.allow_overlap = true",
    ),
    (
        text(valid="y.txt", valid_slice=[0, 4]),
        "data.valid_slice is given beside data.valid; allowed: one of them",
    ),
    (classifier(separator=", "), 'data.separator is ", "; allowed: one character, or null'),
    (classifier(tokenizer="word"), 'data.tokenizer is "word"; allowed: one of simple, treebank, tweet'),
    (classifier(split_seed=-1), "data.split_seed is -1; allowed: a whole number >= 0 and <= 9223372036854775807"),
    (classifier(valid="y.npz"), 'data.valid is "y.npz"; allowed: a .npz file exactly when data.train is one'),
    (text(train="x.npz", valid="y.txt"), 'data.valid is "y.txt"; allowed: a .npz file exactly when data.train is one'),
    (
        classifier({**SOFTMAX, "columns": ["a", "a"]}),
        'head[0].columns is ["a", "a"]; allowed: a list of different column names, or a range such as "s1:s5", or null',
    ),
    (
        classifier({**SOFTMAX, "classes": ["only"]}),
        'head[0].classes is ["only"]; allowed: a list of at least 2 different texts, or null',
    ),
    (
        classifier({**SOFTMAX, "columns": "m", "classes": ["x", "y"]}),
        "head a: size is 3; allowed: 2, as many as classes",
    ),
    (
        classifier({**SOFTMAX, "columns": "m", "thresholds": [0]}),
        "head a: size is 3; allowed: 2, one more than thresholds",
    ),
    (
        classifier({**SOFTMAX, "columns": "m", "thresholds": [0, 1], "classes": ["x", "y", "z"]}),
        "head a: classes and thresholds are both given; allowed: one of them",
    ),
    (
        classifier({**SOFTMAX, "columns": ["l", "m", "n"], "thresholds": [0, 1]}),
        "head a: columns has 3 names; allowed with thresholds: 1",
    ),
    (classifier({**SOFTMAX, "columns": ["m", "n"]}), "head a: columns has 2 names; allowed: 1 or 3"),
    (classifier({**LINEAR, "columns": "m"}), "head n: columns has 1 names; allowed: 2"),
    (
        classifier({**LINEAR, "columns": ["m", "n"], "thresholds": [0]}),
        "head n: classes or thresholds of a linear head; allowed: for softmax",
    ),
    (classifier(LINEAR), "head n: columns is missing; allowed: its 2 columns"),
    (
        classifier(SOFTMAX),
        "head a: size is 3; allowed: 2, one more than data.thresholds; or name its columns",
    ),
    (
        classifier({**SOFTMAX, "columns": "m"}, LINEAR),
        "head n: columns is missing; allowed with several heads: its columns",
    ),
    (
        classifier({**SOFTMAX, "columns": "m"}, train="x.npz"),
        "head a: columns is given; allowed: for a .csv or .tsv file",
    ),
    (
        {**classifier(valid_fraction=0), "early_stopping": "minimum"},
        "early_stopping needs validation data; allowed: data.valid or data.valid_fraction > 0",
    ),
]


@pytest.mark.parametrize(("params", "problem"), MISTAKES)
def test_what_does_not_fit_together_is_said_without_a_file(params: dict[str, Any], problem: str) -> None:
    assert check(params) == [problem]


def test_slices_count_as_validation_data() -> None:
    assert check({**classifier(**SLICES, valid_fraction=0), "early_stopping": "minimum"}) == []


def test_columns_and_classes_arrive_as_tuples() -> None:
    found = load_config(classifier({**SOFTMAX, "columns": "s1:s3"}, {**LINEAR, "columns": ["x", "y"]}))
    assert isinstance(found, ClassifierConfig)
    assert [head.columns for head in found.head] == [("s1:s3",), ("x", "y")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a/b.csv", Format.CSV), ("B.TSV", Format.TSV), ("x.npz", Format.ARRAYS), ("csv", Format.LINES), ("x.txt", Format.LINES)],
)  # fmt: skip
def test_the_end_of_a_name_says_how_a_file_is_read(path: str, kind: Format) -> None:
    assert format_of(path) is kind


def test_the_examples_of_the_documentation_are_accepted() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "data.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        given = tomllib.loads(block)
        model = given.pop("params", {"model": "language-model"})
        assert check({**model, **given}) == []


def test_help_tells_where_prepared_data_is_kept() -> None:
    for name in ("RNN_DATA_CACHE", "RNN_DATA_CACHE_GB", "train_slice", "word2vec", "columns"):
        assert name in help_text()
