"""Word vectors: hashed, trained, and from each format of file."""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.config import SequenceData
from trainer.data.vector_files import load_vectors
from trainer.data.word_vectors import Texts, hashed_vector, vector_table
from trainer.errors import UserMistake

ROOT = Path(__file__).resolve().parents[3]
NO_TEXTS = Texts([], np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int64))


def written(folder: Path, content: bytes, name: str = "v.txt") -> str:
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(folder / name)


def binary(words: dict[str, list[float]], after: bytes = b"") -> bytes:
    width = len(next(iter(words.values())))
    each = (word.encode() + b" " + struct.pack(f"<{width}f", *v) + after for word, v in words.items())
    return f"{len(words)} {width}\n".encode() + b"".join(each)


RAIN = {"Rain": [1.0, 2.0], "snow": [3.0, 4.5]}
FORMS: list[tuple[str, bytes]] = [
    ("v.txt", b"Rain 1 2\nsnow 3 4.5\n"),
    ("v.txt", b"\xef\xbb\xbfRain 1 2\r\n\r\nsnow\t3\t4.5\r\n"),
    ("v.vec", b"2 2\nRain 1 2\nsnow 3 4.5\n"),
    ("v.txt.gz", b"Rain 1 2\nsnow 3 4.5"),
    ("v.bin", binary(RAIN)),
    ("v.bin", binary(RAIN, after=b"\n")),
    ("v.bin.gz", binary(RAIN)),
]


@pytest.mark.parametrize(("name", "content"), FORMS)
def test_each_format_of_file_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    table, known = load_vectors(written(tmp_path, content, name), ["hail", "snow", "rain"])
    assert known.tolist() == [False, True, True]
    assert table[1:].tolist() == [[3, 4.5], [1, 2]]


def test_a_word_is_found_as_it_is_spelled_before_its_lower_case(tmp_path: Path) -> None:
    path = written(tmp_path, b"RAIN 1 1\nRain 2 2\nrain 3 3\nrain 4 4\nSNOW 5 5\nSnow 6 6\n")
    assert load_vectors(path, ["rain", "snow", "RAIN"])[0].tolist() == [[3, 3], [5, 5], [1, 1]]


def test_a_word_of_the_file_may_hold_spaces(tmp_path: Path) -> None:
    path = written(tmp_path, ". . . 1 2\n\u0085 3 4\nrain 5 6\n".encode())
    with pytest.raises(UserMistake, match=re.escape("row 2: found 2 numbers; allowed: 4, as in row 1")):
        load_vectors(path, ["rain"])
    path = written(tmp_path, "the 0 0\n. . . 1 2\n\u0085 3 4\nrain 5 6\n".encode())
    assert load_vectors(path, ["rain", ". . .", "\u0085"])[0].tolist() == [[5, 6], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"", "row 1: found 0 cells; allowed: a word and its numbers"),
        ("v.txt", b"rain\n", "row 1: found 1 cells; allowed: a word and its numbers"),
        ("v.txt", b"rain 1 2\nsnow 3\n", "row 2: found 1 numbers; allowed: 2, as in row 1"),
        ("v.txt", b"rain 1 2\nsnow 3 4 5\n", "row 2: found 3 numbers; allowed: 2, as in row 1"),
        ("v.txt", b"snow 1 2\nrain 1 x\n", "row 2, column 3: found 'x'; allowed: a finite number"),
        ("v.txt", b"rain 1 inf\n", "row 1, column 3: found 'inf'; allowed: a finite number"),
        ("v.txt", b"rain 1 -1e39\n", "row 1, column 3: found '-1e39'; allowed: a finite number"),
        ("v.txt", b"snow 1 2\n\xff 1 2\n", "row 2, byte 1: found the byte 0xff; allowed: text encoded as UTF-8"),
        ("v.bin", b"rain 1 2\n", "this is not a word2vec file in binary form"),
        ("v.bin", binary(RAIN)[:-1], "word 2: the file ends inside it; allowed: 2 words of 2 numbers"),
        ("v.bin", binary({"rain": [1, float("nan")]}), "word 1, number 2: found nan; allowed: a finite number"),
    ],
)
def test_a_broken_file_of_vectors_is_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(UserMistake, match=re.escape(f"{name}: {message}")):
        load_vectors(written(tmp_path, content, name), ["rain"])


def test_a_damaged_gz_file_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(b"rain 1 2\n" * 1000)
    for broken in (content[:-10], b"rain 1 2\n", content[:20] + b"\0" * 9 + content[29:]):
        (tmp_path / "v.gz").write_bytes(broken)
        with pytest.raises(UserMistake, match=r"v\.gz: this is not a complete \.gz file"):
            load_vectors(str(tmp_path / "v.gz"), ["rain"])


def test_words_that_the_file_lacks_get_vectors_as_long_as_the_others(tmp_path: Path) -> None:
    path = written(tmp_path, b"rain 3 4\nsnow -3 -4\n")
    table = vector_table(["rain", "hail"], SequenceData(vectors=path), None, NO_TEXTS)
    assert table[0].tolist() == [3, 4]
    assert table[1] == pytest.approx(hashed_vector("hail", 2) * np.sqrt(12.5), rel=1e-5)
    unknown = vector_table(["fog", "hail"], SequenceData(vectors=path), None, NO_TEXTS)
    assert unknown[1].tolist() == hashed_vector("hail", 2).tolist()


def test_hashed_vectors_are_fixed_and_nearly_at_right_angles() -> None:
    assert hashed_vector("rain", 3).tolist() == hashed_vector("rain", 3).tolist()
    a, b = hashed_vector("rain", 2000), hashed_vector("snow", 2000)
    assert abs(a.mean()) < 0.1
    assert abs((a**2).mean() - 1) < 0.1
    assert abs(a @ b) / 2000 < 0.1


TRAIN = """
import sys
import numpy as np
from trainer.config import SequenceData
from trainer.data.word_vectors import Texts, vector_table
words = ["rain", "snow", "sun", "only-in-validation"]
codes = np.array([0, 1, 0, 2, 1] * 40, np.int32)
texts = Texts(words, codes, np.arange(0, 201, 5), np.arange(40))
seed = int(sys.argv[1])
table = vector_table(words, SequenceData(vectors="word2vec", vectors_seed=seed), None, texts)
print(table.shape, table.tobytes().hex())
"""


def trained(seed: int) -> str:
    command = [sys.executable, "-c", TRAIN, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_trained_vectors_are_the_same_in_every_process() -> None:
    pytest.importorskip("gensim")
    first = trained(3)
    assert first.startswith("(4, 20)")
    assert first == trained(3) != trained(4)


def test_a_missing_package_is_said_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    message = (
        "data.vectors = \"word2vec\" needs the package gensim, which is not installed: pip install 'labq[word2vec]'"
    )
    with pytest.raises(UserMistake, match=re.escape(message)):
        vector_table(["a"], SequenceData(vectors="word2vec"), None, NO_TEXTS)
