"""Tables of labelled texts: dialects, the labels of each kind of head, and every way they can be broken."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import ClassifierConfig, SequenceData
from trainer.data.labelled import load_labelled
from trainer.data.tables import open_table
from trainer.data.word_vectors import hashed_vector
from trainer.errors import UserMistake
from trainer.validation import load_config

MOOD = {"name": "mood", "kind": "softmax", "size": 3, "columns": "mood"}
SUREST = {"name": "s", "kind": "softmax", "size": 2, "columns": ["s1", "s2"]}
WEATHER = {"name": "k", "kind": "sigmoid", "size": 3, "columns": "k1:k3"}


def config(path: Path, head: Any = (), **data: Any) -> ClassifierConfig:
    data = {"train": str(path), "valid_fraction": 0, **data}
    found = load_config({"model": "classifier", "n_in": 4, "dtype": "float64", "data": data, "head": list(head)})
    assert isinstance(found, ClassifierConfig)
    return found


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def labels(path: Path, head: Any = (), **data: Any) -> list[list[float]]:
    return load_labelled(config(path, head, **data))[1].labels.tolist()  # type: ignore[no-any-return]


def refused(path: Path, message: str, head: Any = (), **data: Any) -> None:
    with pytest.raises(UserMistake, match=re.escape(message)):
        load_labelled(config(path, head, **data))


def test_a_table_becomes_word_vectors_and_classes(tmp_path: Path) -> None:
    path = written(tmp_path, "id\tmean_sentiment\ttext\n1\t2.5\tGood day\n2\t-1\tok\n3\t-2\tbad bad\n", "t.tsv")
    heads, found, held_back = load_labelled(config(path, thresholds=[-1, 1]))
    assert found.labels.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert found.offsets.tolist() == [0, 2, 3, 5]
    assert (found.values[0] == hashed_vector("good", 4)).all()
    assert (found.values[3] == found.values[4]).all()
    assert held_back.n_sequences == 0
    assert (heads[0].name, heads[0].size) == ("class", 3)


def test_a_spreadsheet_that_quotes_and_marks_its_encoding_is_read(tmp_path: Path) -> None:
    """As LibreOffice writes it: byte-order mark, CRLF, doubled quotation marks, a line break inside a cell."""
    content = '\ufeff"text","mood"\r\n"It said ""rain"", twice","neg"\r\n"two\nlines","pos"\r\n,\r\nplain,neu\r\n'
    path = written(tmp_path, content)
    assert [cells for _, cells in open_table(str(path), SequenceData()).rows] == [
        ['It said "rain", twice', "neg"],
        ["two\nlines", "pos"],
        ["plain", "neu"],
    ]
    assert labels(path, [MOOD]) == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    path = written(tmp_path, 'text,mood\n"a\nb",neg\n\n"c",sad\n')
    refused(path, "t.csv: row 4, column mood: found 'sad'; allowed: one of neg, pos", [
        {"name": "mood", "kind": "softmax", "size": 2, "columns": "mood", "classes": ["neg", "pos"]}
    ])  # fmt: skip


def test_quotation_marks_are_nothing_special_in_a_tsv(tmp_path: Path) -> None:
    path = written(tmp_path, 'text\tmood\n"oh\tneg\nno"\tpos\n"a"\tneu\n', "t.tsv")
    assert labels(path, [MOOD]) == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert labels(path, [{**MOOD, "size": 2}], quoted=True) == [[0, 1], [1, 0]]


def test_another_separator_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "text;mood\na, b;neg\nc;neu\nd;pos\n")
    assert labels(path, [MOOD], separator=";") == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    refused(path, "row 1: there is no column text (data.text_column); did you mean text;mood?", [MOOD])


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1), st.integers()),
        min_size=1,
    )
)
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "n"), *rows])
    assert [tuple(cells) for _, cells in open_table(str(path), SequenceData()).rows] == [(a, str(b)) for a, b in rows]


def test_the_shape_of_the_weather_tweets_file_is_24_outputs(tmp_path: Path) -> None:
    names = [*(f"s{i}" for i in range(1, 6)), *(f"w{i}" for i in range(1, 5)), *(f"k{i}" for i in range(1, 16))]
    row = ["0", "0.205", "0.795", "0", "0", "1", "0", "0", "0", *["0.2"] * 15]
    content = ",".join(["id", "tweet", "state", "location", *names]) + '\n1,"Rain, ""again""",ohio,"",' + ",".join(row)
    heads = [
        {"name": "sentiment", "kind": "softmax", "size": 5, "columns": "s1:s5"},
        {"name": "when", "kind": "softmax", "size": 4, "columns": "w1:w4"},
        {"name": "kind", "kind": "sigmoid", "size": 15, "columns": "k1:k15"},
    ]
    assert labels(written(tmp_path, content), heads, text_column="tweet") == [[float(cell) for cell in row]]


def test_classes_are_found_in_the_training_part_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "text,mood\na,10\nb,9\nc,10\nd,11\n")
    head = {**MOOD, "size": 2}
    heads, train, valid = load_labelled(config(path, [head], train_slice=[0, 2], valid_slice=[2, 3]))
    assert heads[0].classes == ("9", "10")
    assert (train.labels.tolist(), valid.labels.tolist()) == ([[0, 1], [1, 0]], [[0, 1]])
    refused(
        path, "row 5, column mood: found '11'; allowed: one of 9, 10", [head], train_slice=[0, 2], valid_slice=[3, 4]
    )
    refused(path, "found 3 classes in the training part: 9, 10, 11; allowed: 2, the size of the head mood", [head])


def test_a_linear_head_reads_plain_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "text,a,b\nx,-1.5,2\n")
    assert labels(path, [{"name": "n", "kind": "linear", "size": 1}], number_column="a") == [[-1.5]]
    assert labels(path, [{"name": "n", "kind": "linear", "size": 2, "columns": ["b", "a"]}]) == [[2, -1.5]]


def test_a_file_to_validate_on_has_the_classes_of_the_training_file(tmp_path: Path) -> None:
    train = written(tmp_path, "text,mood\na,neg\nb,neu\nc,pos\n")
    other = written(tmp_path, "mood,text\npos,new words\n", "v.csv")
    _, _, valid = load_labelled(config(train, [MOOD], valid=str(other)))
    assert valid.labels.tolist() == [[0, 0, 1]]
    assert (valid.values[0] == hashed_vector("new", 4)).all()


BROKEN: list[tuple[str | bytes, Any, str]] = [
    ("", [MOOD], "row 1 is empty; allowed: the names of the columns"),
    ("\ntext,mood\n", [MOOD], "row 1 is empty; allowed: the names of the columns"),
    ("text,mod\na,b\n", [MOOD], "row 1: there is no column mood (head mood); did you mean mod? Row 1 names the columns; found text, mod"),
    ("a cat,neg\na dog,pos\n", [MOOD], "row 1: there is no column text (data.text_column); Row 1 names the columns; found a cat, neg"),
    ("text,text,mood\n", [MOOD], "row 1: found 2 columns text (data.text_column); allowed: one"),
    ("text,mood\n", [MOOD], "there is no row below the header; allowed: at least one"),
    ("text,mood\na,neg\nb\n", [MOOD], "row 3: found 1 cell; allowed: 2, as in the header"),
    ("text,mood\na,neg,x\n", [MOOD], "row 2: found 3 cells; allowed: 2, as in the header"),
    ("text,mood\n ,neg\n", [MOOD], "row 2, column text: there is no word; allowed: at least one"),
    ("text,mood\na, \n", [MOOD], "row 2, column mood: found nothing; allowed: a class name"),
    ('text,mood\n"a,neg\nb,pos\n', [MOOD], "row 2: unexpected end of data; allowed: cells as RFC 4180 has them"),
    ('text,mood\n"a"b,neg\n', [MOOD], "row 2: ',' expected after '\"'; allowed: cells as RFC 4180 has them"),
    (b"text,mood\na,neg\n\xe9t\xe9,neg\n", [MOOD], "row 3, byte 1: found the byte 0xe9; allowed: text encoded as UTF-8"),
    ("text,mood\n".encode("utf-16"), [MOOD], "row 1, byte 1: found the byte 0xff; allowed: text encoded as UTF-8; this looks like UTF-16"),
    ("text,s1,s2\na,0.5,x\n", [SUREST], "row 2, column s2: found 'x'; allowed: a finite number"),
    ("text,s1,s2\na,nan,0.5\n", [SUREST], "row 2, column s1: found 'nan'; allowed: a finite number"),
    ("text,s1,s2\na,1e39,0.5\n", [SUREST], "row 2, column s1: found '1e39'; allowed: a finite number"),
    ("text,s1,s2\na,1,0\nb,1.5,-0.5\n", [SUREST], "row 3, column s1 (head s): found 1.5; allowed: from 0 to 1"),
    ("text,s1,s2\na,1,0\nb,0.2,0.2\n", [SUREST], "row 3, columns s1, s2 (head s): the sum is 0.4; allowed: 1"),
    ("text,k1,k2,k3\na,0,2,1\n", [WEATHER], "row 2, column k2 (head k): found 2; allowed: from 0 to 1"),
    ("text,k1,k3\na,0,1\n", [WEATHER], "row 1: k1:k3: found 2 columns (head k); allowed: 3, its size"),
    ("text,k3,k2,k1\na,0,1,1\n", [WEATHER], "row 1: k1:k3 (head k) goes backwards; allowed: from left to right"),
    ("text,k1,k2\na,0,1\n", [WEATHER], "row 1: there is no column k3 (head k); did you mean k2 or k1?"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "head", "message"), BROKEN)
def test_a_broken_table_is_refused_with_the_place(tmp_path: Path, content: Any, head: Any, message: str) -> None:
    refused(written(tmp_path, content), "t.csv: " + message, head)


def test_a_cell_without_an_end_does_not_swallow_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'text,mood\na,neg\n"b,neg\n' + "c,neg\n" * 50_000)
    refused(path, "row 3: field larger than field limit", [MOOD])


def test_only_the_first_sequences_are_read_when_that_is_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "text,mood\na,neg\nb,neu\nc,pos\nd\n")
    assert len(labels(path, [MOOD], max_sequences=3)) == 3
