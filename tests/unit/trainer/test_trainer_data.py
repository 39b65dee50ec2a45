from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config import Head, HeadKind, SequenceData, TextData
from trainer.data.sequences import default_heads, load_npz, targets_for
from trainer.data.tables import load_tsv
from trainer.data.text import sentences, tokenize
from trainer.data.vocabulary import END, START, UNKNOWN, build_vocabulary, pack
from trainer.data.word_vectors import WordVectors, hashed_vector, load_word_vectors
from trainer.errors import UserMistake

ROOT = Path(__file__).resolve().parents[3]
SOFTMAX = Head(name="mood", kind=HeadKind.SOFTMAX, size=2)
SIGMOID = Head(name="when", kind=HeadKind.SIGMOID, size=2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Don't stop!", ["don't", "stop", "!"]),
        ("it costs 3.50, or 1,000", ["it", "costs", "3.50", ",", "or", "1,000"]),
        ("snake_case :)", ["snake", "_", "case", ":)"]),
        ("Ähre – naïve", ["ähre", "–", "naïve"]),
        ("  ", []),
    ],
)
def test_a_sentence_becomes_words(line: str, words: list[str]) -> None:
    assert tokenize(line) == words


def test_long_sentences_are_cut_and_blank_lines_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a b c d e\n\n   \nf\n")
    found = sentences(TextData(train=str(tmp_path / "t.txt"), max_words=2))
    assert found == [["a", "b"], ["c", "d"], ["e"], ["f"]]
    assert sentences(TextData(train=str(tmp_path / "t.txt"), max_words=2, max_sentences=1)) == [["a", "b"]]


def test_the_vocabulary_keeps_the_most_frequent_and_breaks_ties_by_spelling() -> None:
    vocabulary = build_vocabulary([["b", "a", "c", "c"], ["d"]], 5)
    assert vocabulary.words[3:] == ("c", "a")
    packed = pack([["c", "zebra"], ["a"]], vocabulary)
    assert packed.tokens.tolist() == [START, 3, UNKNOWN, END, START, 4, END]
    assert packed.offsets.tolist() == [0, 4, 7]
    assert packed.longest == 3


def npz(folder: Path, **changed: Any) -> str:
    arrays = {
        "values": np.ones((4, 2)),
        "offsets": np.array([0, 1, 4]),
        "labels": np.array([[1.0, 0], [0, 1]]),
        **changed,
    }
    np.savez(folder / "x.npz", **{name: array for name, array in arrays.items() if array is not None})
    return str(folder / "x.npz")


def spoiled(at: tuple[int, ...], value: float, shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape)
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": None}, "x.npz: the array values is missing; found offsets, labels"),
        ({"values": np.array([["a"]])}, "values is of type <U1; allowed: numbers"),
        ({"values": np.ones(4)}, "values has shape (4,); allowed: (rows, features)"),
        ({"values": spoiled((2, 1), np.nan, (4, 2))}, "values: row 2, column 1: found nan; allowed: a finite number"),
        ({"labels": spoiled((1, 0), np.inf, (2, 2))}, "labels: row 1, column 0: found inf; allowed: a finite number"),
        ({"labels": np.ones((3, 2))}, "labels has shape (3, 2); allowed: one row for each of 2 sequences"),
        ({"offsets": np.array([0, 0, 4])}, "offsets: sequence 0 is empty; allowed: at least one row"),
        ({"offsets": np.array([0, 1, 3])}, "offsets go from 0 to 3; allowed: from 0 to 4, the rows of values"),
        ({"offsets": np.array([0.0, 1, 4])}, "offsets has shape (3,) and type float64; allowed: at least two integers"),
        ({"values": np.array([[object()]])}, "this is not a .npz file of plain arrays"),
    ],
)
def test_a_bad_npz_is_refused_with_the_place(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserMistake, match=re.escape(message)):
        load_npz(npz(tmp_path, **changed))


@pytest.mark.parametrize(
    ("labels", "heads", "message"),
    [
        (np.array([[1, 0], [0.2, 0.2]]), [SOFTMAX], "row 1, columns 0 to 1 (head mood): the sum is 0.4; allowed: 1"),
        (np.array([[1, 0], [0, 3]]), [SIGMOID], "row 1, column 1 (head when): found 3; allowed: from 0 to 1"),
        (np.array([[1, 0], [0, 1]]), [SOFTMAX, SIGMOID], "labels has 2 columns; allowed: 4"),
        (np.array([0, 2]), [SOFTMAX], "labels: row 1: found 2; allowed: a class from 0 to 1"),
    ],
)
def test_labels_that_no_head_can_learn_are_refused(
    tmp_path: Path, labels: Any, heads: list[Head], message: str
) -> None:
    with pytest.raises(UserMistake, match=re.escape(message)):
        targets_for(load_npz(npz(tmp_path, labels=labels)), tuple(heads))


def test_class_numbers_need_no_head(tmp_path: Path) -> None:
    sequences = load_npz(npz(tmp_path, labels=np.array([2, 0])))
    heads = default_heads(sequences)
    assert (heads[0].kind, heads[0].size) == (HeadKind.SOFTMAX, 3)
    assert targets_for(sequences, heads).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_chosen_sequences_keep_their_rows_and_labels(tmp_path: Path) -> None:
    path = npz(tmp_path, values=np.arange(8.0).reshape(4, 2), labels=np.array([5, 6]))
    taken = load_npz(path).take(np.array([1, 0]))
    assert taken.offsets.tolist() == [0, 3, 4]
    assert taken.values[:, 0].tolist() == [2, 4, 6, 0]
    assert taken.labels.tolist() == [6, 5]


DATA = SequenceData(train="t.tsv", thresholds=(-1.0, 1.0))


def test_a_table_becomes_word_vectors_and_classes(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("id\tmean_sentiment\ttext\n1\t2.5\tGood day\n2\t-1\tok\n3\t-2\tbad bad\n")
    found = load_tsv(str(tmp_path / "t.tsv"), DATA, WordVectors(4))
    assert found.labels.tolist() == [2, 1, 0]
    assert found.offsets.tolist() == [0, 2, 3, 5]
    assert (found.values[0] == hashed_vector("good", 4)).all()
    assert (found.values[3] == found.values[4]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\ttext\n1\ta\n", "row 1: there is no column mean_sentiment (data.number_column); found id, text"),
        ("mean_sentiment\ttext\nx\ta\n", "row 2, column mean_sentiment: found 'x'; allowed: a finite number"),
        ("mean_sentiment\ttext\n1\ta\nnan\ta\n", "row 3, column mean_sentiment: found 'nan'; allowed: a finite number"),
        ("mean_sentiment\ttext\n1\n", "row 2: found 1 columns; allowed: at least 2"),
        ("mean_sentiment\ttext\n1\t \n", "row 2, column text: there is no word; allowed: at least one"),
        ("mean_sentiment\ttext\n", "there is no row below the header; allowed: at least one"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(UserMistake, match=re.escape(message)):
        load_tsv(str(tmp_path / "t.tsv"), DATA, WordVectors(4))


def test_hashed_vectors_are_fixed_and_nearly_at_right_angles() -> None:
    assert hashed_vector("rain", 3).tolist() == hashed_vector("rain", 3).tolist()
    a, b = hashed_vector("rain", 2000), hashed_vector("snow", 2000)
    assert abs(a.mean()) < 0.1
    assert abs((a**2).mean() - 1) < 0.1
    assert abs(a @ b) / 2000 < 0.1


def test_a_file_of_word_vectors_is_read_and_its_mistakes_are_placed(tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    file.write_text("Rain 1 2\nsnow 3 4\n")
    vectors = load_word_vectors(str(file))
    assert vectors.of("rain").tolist() == [1, 2]
    assert vectors.of("hail").tolist() == hashed_vector("hail", 2).tolist()
    file.write_text("rain 1 2\nsnow 3\n")
    with pytest.raises(UserMistake, match=r"row 2: found 1 numbers; allowed: 2"):
        load_word_vectors(str(file))
    file.write_text("rain 1 x\n")
    with pytest.raises(UserMistake, match=r"row 1, column 3: found 'x'; allowed: a finite number"):
        load_word_vectors(str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "words.txt: no such file or directory (looked for in "),
        (b"fine\n\xff\n", "words.txt: row 2: found the byte 0xff; allowed: text encoded as UTF-8"),
        (b"\n \n", "words.txt: there is no sentence in it; allowed: a text file, one sentence a line"),
    ],
)
def test_a_mistake_in_the_data_is_one_line_and_exit_code_2(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "words.txt").write_bytes(content)
    (tmp_path / "p.json").write_text('{"model": "language-model", "data": {"train": "words.txt"}}')
    environment = {**os.environ, "LABQ_PARAMS": str(tmp_path / "p.json"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "trainer"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("trainer: " + message)
    assert len(done.stderr.splitlines()) == 1
