from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config import Head, HeadKind
from trainer.data.ready import load_npz
from trainer.data.sequences import default_heads, targets_for
from trainer.errors import UserMistake

ROOT = Path(__file__).resolve().parents[3]
SOFTMAX = Head(name="mood", kind=HeadKind.SOFTMAX, size=2)
SIGMOID = Head(name="when", kind=HeadKind.SIGMOID, size=2)


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
        (
            {"labels": np.ones((3, 2))},
            "labels has shape (3, 2); allowed: one row for each of 2 sequences or of 4 steps",
        ),
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


def test_every_step_may_have_a_label_of_its_own(tmp_path: Path) -> None:
    steps = load_npz(npz(tmp_path, labels=np.array([0, 1, 1, 0])))
    assert steps.has_step_labels
    assert targets_for(steps, (SOFTMAX,)).tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert steps.take(np.array([1])).labels.tolist() == [1, 1, 0]


def test_what_the_precision_of_the_run_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path, values=spoiled((3, 0), 1e300, (4, 2)))
    assert load_npz(path, "float64").values[3, 0] == 1e300
    with pytest.raises(UserMistake, match=re.escape("row 3, column 0: found 1e+300; allowed: a number that float32")):
        load_npz(path, "float32")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    npz(tmp_path)
    content = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "text.npz").write_bytes(b"values")
    (tmp_path / "short.npz").write_bytes(content[: len(content) // 2])
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.ones(3))
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as archive:
        for name in ("values", "offsets", "labels"):
            archive.writestr(name + ".npy", b"no array")
    with pytest.raises(UserMistake, match=r"foreign\.npz: "):
        load_npz(str(tmp_path / "foreign.npz"))
    for name in ("text.npz", "short.npz", "array.npz"):
        with pytest.raises(UserMistake, match=r"\.npz: this is not a \.npz file of plain arrays"):
            load_npz(str(tmp_path / name))


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "words.txt: no such file or directory (looked for in "),
        (b"fine\n\xff\n", "words.txt: row 2, byte 1: found the byte 0xff; allowed: text encoded as UTF-8"),
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
