"""The file of a backup: what is written is read; whatever is not what was written is refused."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bson
import pytest

from store import archive
from store.archive import ArchiveWriter, Head, Piece, Tail, check, read, read_head
from store.errors import BackupDamaged, NoBackup

HEAD = Head(
    labq="0.1.0", schema=9, database="labq", taken_at="2026-11-21T00:00:00+00:00", server="MongoDB 6", storage_bytes=9
)
RUNS = [{"_id": f"r{number}", "text": "x" * number} for number in range(400)]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Several pieces of `runs`, one of `events`, nothing of `rules`."""
    monkeypatch.setattr(archive, "PIECE_BYTES", 20_000)
    made = tmp_path / "b.tar.gz"
    with open(made, "wb") as sink:
        writer = ArchiveWriter(sink, HEAD)
        writer.begin("runs")
        for document in RUNS:
            assert writer.add(bson.encode(document)) == 1
        writer.begin("rules")
        writer.begin("checkpoint_files.files")
        writer.add(bson.encode({"_id": 1}) + bson.encode({"_id": 2}))
        writer.close(moment=True, lacking=0)
    return made


def test_what_was_written_is_read(file: Path) -> None:
    head, tail = check(file)
    assert head == HEAD == read_head(file)
    assert {name: one["documents"] for name, one in tail.collections.items()} == {
        "runs": 400, "rules": 0, "checkpoint_files.files": 2,
    }  # fmt: skip
    pieces = [part for part in read(file) if isinstance(part, Piece)]
    assert len(pieces) > 3
    runs = b"".join(piece.data for piece in pieces if piece.collection == "runs")
    assert bson.decode_all(runs) == RUNS


def test_tar_alone_reads_it(file: Path) -> None:
    with tarfile.open(file) as tar:
        runs = [tar.extractfile(entry) for entry in tar if entry.name.startswith("runs/")]
        assert bson.decode_all(b"".join(one.read() for one in runs if one)) == RUNS


def test_what_does_not_get_smaller_is_stored_among_what_does(tmp_path: Path) -> None:
    """Members of gzip with different levels are one gzip file."""
    noise, text = os.urandom(300_000), b"x" * 300_000
    file = tmp_path / "b.tar.gz"
    with open(file, "wb") as sink:
        writer = ArchiveWriter(sink, HEAD)
        for name, data in (("a", text), ("b", noise), ("c", text), ("d", noise)):
            writer.begin(name)
            writer.add(bson.encode({"data": data}))
        writer.close(moment=True, lacking=0)
    assert 600_000 < file.stat().st_size < 650_000
    check(file)
    with tarfile.open(file) as tar:
        assert [one.name[0] for one in tar if one.name.endswith(".bson")] == ["a", "b", "c", "d"]


def test_one_that_is_cut_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    cut = file.with_name("cut")
    for size in [*range(0, len(whole) - 9, 97), len(whole) - 30]:
        cut.write_bytes(whole[:size])
        with pytest.raises((BackupDamaged, NoBackup)):
            check(cut)


def test_a_bit_that_fell_over_is_found_or_did_no_harm(file: Path) -> None:
    """In the header of gzip, and in fields of tar that nobody reads, it may do none."""
    whole = bytearray(file.read_bytes())
    expected = list(read(file))
    refused = 0
    for place in range(0, len(whole), 61):
        whole[place] ^= 0x10
        file.write_bytes(whole)
        whole[place] ^= 0x10
        try:
            check(file)
            assert list(read(file)) == expected
        except (BackupDamaged, NoBackup):
            refused += 1
    assert refused > len(whole) / 61 * 0.9


def _rewritten(file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """As somebody who knows tar would do it."""
    with tarfile.open(file) as tar:
        parts = [(entry.name, stream.read()) for entry in tar if (stream := tar.extractfile(entry))]
    with tarfile.open(file, "w:gz") as tar:
        for changed in (change(name, data) for name, data in parts):
            if changed is not None:
                entry = tarfile.TarInfo(changed[0])
                entry.size = len(changed[1])
                tar.addfile(entry, io.BytesIO(changed[1]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda name, data: None if name == "runs/000001.bson" else (name, data), "runs is not what was written"),
        (lambda name, data: (name, data.replace(b"xxxx", b"xyxx")) if name[:4] == "runs" else (name, data), "SHA-256"),
        (lambda name, data: (name.replace("checkpoint_files.files", "other"), data), "is not what was written"),
        (lambda name, data: (name.replace("runs/", "../runs/"), data), "what is '../runs"),
        (lambda name, data: (name, data[:-1]) if name[:4] == "runs" else (name, data), "a document is cut"),
        (lambda name, data: None if name == "tail.json" else (name, data), "its end is missing"),
        (lambda name, data: (name, b"[]") if name == "tail.json" else (name, data), "damaged"),
    ],
)
def test_a_part_that_was_changed_is_named(
    file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], says: str
) -> None:
    _rewritten(file, change)
    with pytest.raises(BackupDamaged) as caught:
        check(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no backup of labq"),
        (b"name = 'weather'", "is no backup of labq"),
        (gzip.compress(b"hello" * 1000), "b"),
        (gzip.compress(b""), "is no backup of labq"),
    ],
)
def test_another_file_is_no_backup(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "x.tar.gz"
    file.write_bytes(content)
    with pytest.raises((NoBackup, BackupDamaged), match=says):
        check(file)


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoBackup, match="there is no such file"):
        check(tmp_path / "none")
    with pytest.raises(NoBackup, match="is a folder"):
        check(tmp_path)


def test_a_newer_format_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "new.tar.gz"
    with open(file, "wb") as sink:
        ArchiveWriter(sink, replace(HEAD, format=2)).close(moment=True, lacking=0)
    with pytest.raises(NoBackup, match="format 2, this labq knows 1"):
        check(file)


def test_a_tail_counts_everything() -> None:
    one = {"documents": 2, "size_bytes": 30, "sha256": ""}
    tail = Tail(moment=True, collections={"runs": one, "logs": one})
    assert (tail.documents, tail.size_bytes) == (4, 60)
