"""Whatever bytes a file holds, it is read or refused in a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.preparation import prepare_sequences, prepare_text
from trainer.data.vector_files import load_vectors
from trainer.errors import UserMistake
from trainer.validation import load_config

HEADS = [{"name": "a", "kind": "softmax", "size": 2, "columns": "a"}, {"name": "b", "kind": "linear", "size": 1, "columns": "b"}]  # fmt: skip
PIECES = [b"text", b"a", b"b", b",", b"\t", b"\n", b"\r\n", b'"', b" ", b"1", b"-2.5", b"nan", b"\xff", b"\xef\xbb\xbf", b"\0"]  # fmt: skip
CONTENT = st.lists(st.sampled_from(PIECES)).map(b"".join)


def classifier(path: Path, **more: Any) -> Any:
    return load_config({"model": "classifier", "data": {"train": str(path)}, **more})


def table(path: Path) -> None:
    prepare_sequences(classifier(path, head=HEADS), None)


def ready(path: Path) -> None:
    prepare_sequences(classifier(path), None)


def text(path: Path) -> None:
    prepare_text(load_config({"model": "language-model", "data": {"train": str(path)}}), None)  # type: ignore[arg-type]


def vectors(path: Path) -> None:
    load_vectors(str(path), ["a", "text"])


def read_or_refused(path: Path, content: bytes, read: Callable[[Path], None]) -> None:
    path.write_bytes(content)
    said = ""
    try:
        read(path)
    except UserMistake as mistake:
        said = str(mistake)
    assert not said or said.startswith(f"{path}: ")
    assert "\n" not in said


@settings(deadline=None)
@pytest.mark.parametrize(
    ("name", "read"),
    [("x.csv", table), ("x.tsv", table), ("x.txt", text), ("x.csv", text), ("x.vec", vectors), ("x.bin", vectors), ("x.gz", vectors)],
)  # fmt: skip
@given(content=CONTENT, head=st.sampled_from([b"", b"text,a,b\n", b"text\ta\tb\n", b"1 2\n"]))
def test_text_of_any_shape(
    tmp_path_factory: pytest.TempPathFactory, name: str, read: Any, content: bytes, head: bytes
) -> None:
    read_or_refused(tmp_path_factory.mktemp("any") / name, head + content, read)


@settings(deadline=None, max_examples=300)
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans(), compressed=st.booleans())
def test_arrays_with_any_byte_changed(
    tmp_path_factory: pytest.TempPathFactory, at: float, byte: int, cut: bool, compressed: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.npz"
    save = np.savez_compressed if compressed else np.savez
    save(path, values=np.ones((3, 2)), offsets=np.array([0, 1, 3]), labels=np.array([0, 1]))
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] = byte
    read_or_refused(path, bytes(content[: int(at * len(content))] if cut else content), ready)
