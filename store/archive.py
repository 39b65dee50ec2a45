"""The file that a backup is: tar in gzip, so that no labq is needed to look into it.

    head.json                what it is a backup of
    runs/000000.bson …       the documents of a collection, one after the other as MongoDB's own BSON
    tail.json                how many there are of each, how many bytes, their SHA-256

`mongorestore` and `bsondump` read the pieces of a collection joined together. A file without its tail was cut short.
Written and read as a stream: one piece is in memory at a time.
"""

import gzip
import hashlib
import io
import json
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from store.errors import BackupDamaged, NoBackup

FORMAT = 1
SUFFIX = ".tar.gz"
PIECE_BYTES = 8 << 20
_LARGEST_BYTES = 64 << 20
"""More than a piece and a document can be: what claims to be larger was not written by us."""
_LEVEL = 1
"""Of gzip. Weights do not get smaller at 6, and take three times as long."""
_SAMPLE_BYTES = 64 << 10
_NAME = re.compile(r"([A-Za-z0-9_.-]{1,120})/\d{6,9}\.bson")
_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError)

T = TypeVar("T", "Head", "Tail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a backup is of. `storage_bytes`: what its data took on the server's disk."""

    format: int = FORMAT
    labq: str
    schema: int
    database: str
    taken_at: str
    server: str
    storage_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What must be in it. `moment`: all of it is of one moment (else the runs are the oldest part)."""

    moment: bool
    collections: dict[str, dict[str, Any]]
    lacking: int = 0
    """Stored files of which the database itself lacked bytes."""

    @property
    def documents(self) -> int:
        """All of them."""
        return sum(one["documents"] for one in self.collections.values())

    @property
    def size_bytes(self) -> int:
        """Of the documents, as they were in the database."""
        return sum(one["size_bytes"] for one in self.collections.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Whole documents of a collection."""

    collection: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What has been written of a collection, or read."""

    documents: int = 0
    size_bytes: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, data: bytes, documents: int) -> None:
        """These documents too."""
        self.documents += documents
        self.size_bytes += len(data)
        self.digest.update(data)

    def as_json(self) -> dict[str, Any]:
        """As it stands in the tail."""
        return {"documents": self.documents, "size_bytes": self.size_bytes, "sha256": self.digest.hexdigest()}


class _Outlet(io.RawIOBase):
    """Where the bytes go. `shut`: nowhere, for gzip and tar write their ends even when they are thrown away."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.shut = False

    def write(self, data: Any, /) -> int:
        return memoryview(data).nbytes if self.shut else self._sink.write(data)


class _Zipper(io.RawIOBase):
    """Gzip of several members, as gzip allows: what does not get smaller is stored as it is, six times as fast."""

    def __init__(self, outlet: _Outlet) -> None:
        self._outlet = outlet
        self._level = _LEVEL
        self._member = self._begin()

    def write(self, data: Any, /) -> int:
        return self._member.write(data)

    def choose(self, sample: bytes) -> None:
        """For what comes now, of which this is the beginning."""
        is_small = len(sample) < _SAMPLE_BYTES
        level = _LEVEL if is_small or len(zlib.compress(sample, _LEVEL)) < 0.9 * len(sample) else 0
        if level != self._level:
            self._member.close()
            self._level = level
            self._member = self._begin()

    def close(self) -> None:
        self._member.close()
        super().close()

    def _begin(self) -> gzip.GzipFile:
        return gzip.GzipFile(filename="", fileobj=self._outlet, mode="wb", compresslevel=self._level)


class ArchiveWriter:
    """Raises OSError when the disk is full. Nothing is a backup before `close` has returned."""

    def __init__(self, sink: BinaryIO, head: Head) -> None:
        self._outlet = _Outlet(sink)
        self._zipped = _Zipper(self._outlet)
        self._tar = tarfile.open(fileobj=self._zipped, mode="w|")  # noqa: SIM115 - closed by close()
        self._tallies: dict[str, Tally] = {}
        self._waiting = bytearray()
        self._current = ""
        self._number = 0
        self._add_file("head.json", _as_json(head))

    def begin(self, collection: str) -> None:
        """What is added from now on is of this collection."""
        self._flush()
        self._current, self._number = collection, 0
        self._tallies[collection] = Tally()

    def add(self, data: bytes) -> int:
        """Whole documents; returns how many."""
        documents = sum(1 for _ in spans(data))
        self._tallies[self._current].add(data, documents)
        self._waiting += data
        if len(self._waiting) >= PIECE_BYTES:
            self._flush()
        return documents

    def close(self, *, moment: bool, lacking: int) -> Tail:
        """The end of the file, without which it is none."""
        self._flush()
        collections = {name: tally.as_json() for name, tally in self._tallies.items()}
        self._zipped.choose(b"")
        tail = Tail(moment=moment, collections=collections, lacking=lacking)
        self._add_file("tail.json", _as_json(tail))
        self._tar.close()
        self._zipped.close()
        return tail

    def abandon(self) -> None:
        """It is not to be one: nothing is written any more."""
        self._outlet.shut = True
        self._tar.close()
        self._zipped.close()

    def _flush(self) -> None:
        if self._waiting:
            self._zipped.choose(bytes(self._waiting[-_SAMPLE_BYTES:]))
            self._add_file(f"{self._current}/{self._number:06}.bson", bytes(self._waiting))
            self._waiting.clear()
            self._number += 1

    def _add_file(self, name: str, data: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o600
        self._tar.addfile(entry, io.BytesIO(data))


def read(path: Path) -> Iterator[Head | Piece | Tail]:
    """All that is in a backup, in order. Raises NoBackup, BackupDamaged."""
    ended = False
    with _opened(path) as source:
        try:
            for part in _parts(path, source):
                ended = isinstance(part, Tail)
                yield part
        except _BROKEN as error:
            raise BackupDamaged(f"{path}: damaged: {error}") from error
    if not ended:
        raise BackupDamaged(f"{path}: cut short: its end is missing")


def check(path: Path) -> tuple[Head, Tail]:
    """Read all of it and compare with its tail. Raises NoBackup, BackupDamaged."""
    head: Head | None = None
    tail: Tail | None = None
    tallies: dict[str, Tally] = {}
    for part in read(path):
        if isinstance(part, Head):
            head = part
        elif isinstance(part, Tail):
            tail = part
        else:
            _count(path, part, tallies.setdefault(part.collection, Tally()))
    if head is None or tail is None:
        raise BackupDamaged(f"{path}: cut short")
    found = {name: tally.as_json() for name, tally in tallies.items()}
    for name, promised in tail.collections.items():
        if found.pop(name, Tally().as_json()) != promised:
            raise BackupDamaged(f"{path}: damaged: the collection {name} is not what was written (SHA-256)")
    if found:
        raise BackupDamaged(f"{path}: damaged: nobody wrote the collection {', '.join(found)}")
    return head, tail


def read_head(path: Path) -> Head:
    """What it is a backup of, without reading the rest. Raises NoBackup, BackupDamaged."""
    first = next(read(path))
    assert isinstance(first, Head)
    return first


def spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each document begins and ends. Raises ValueError."""
    start = 0
    while start < len(data):
        if start + 4 > len(data):
            raise ValueError("a document is cut")
        (size,) = struct.unpack_from("<i", data, start)
        if size < 5 or start + size > len(data):
            raise ValueError("a document is cut")
        yield start, start + size
        start += size


def _count(path: Path, piece: Piece, tally: Tally) -> None:
    try:
        tally.add(piece.data, sum(1 for _ in spans(piece.data)))
    except ValueError as error:
        raise BackupDamaged(f"{path}: damaged: {piece.collection}: {error}") from error


def _opened(path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            raise NoBackup(f"{path}: {'is a folder, not a backup' if path.is_dir() else 'there is no such file'}")
        return open(path, "rb")
    except OSError as error:
        raise NoBackup(f"{path}: cannot be read: {error.strerror}") from error


def _parts(path: Path, source: BinaryIO) -> Iterator[Head | Piece | Tail]:
    try:
        tar = tarfile.open(fileobj=gzip.GzipFile(fileobj=source), mode="r|")  # noqa: SIM115 - a stream; what is under it is closed
        first = tar.next()
    except (gzip.BadGzipFile, tarfile.TarError) as error:
        raise NoBackup(f"{path}: is no backup of labq ({error})") from error
    if first is None or first.name != "head.json":
        raise NoBackup(f"{path}: is no backup of labq")
    yield _head(path, _content(tar, first))
    for entry in tar:
        if entry.name == "tail.json":
            yield _from_json(path, Tail, _content(tar, entry))
        elif match := _NAME.fullmatch(entry.name):
            yield Piece(collection=match[1], data=_content(tar, entry))
        elif entry.name != "head.json":
            raise tarfile.TarError(f"what is {entry.name[:80]!r}?")


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry) if entry.isfile() and entry.size <= _LARGEST_BYTES else None
    if file is None:
        raise tarfile.TarError(f"{entry.name[:80]!r} cannot be read")
    data = file.read()
    if len(data) != entry.size:
        raise tarfile.TarError(f"{entry.name[:80]!r} is cut short")
    return data


def _head(path: Path, data: bytes) -> Head:
    try:
        found = json.loads(data).get("format")
    except (ValueError, AttributeError) as error:
        raise NoBackup(f"{path}: is no backup of labq") from error
    if found != FORMAT:
        raise NoBackup(
            f"{path}: is in format {found!r}, this labq knows {FORMAT}: use the labq that wrote it, or newer"
        )
    return _from_json(path, Head, data)


def _from_json(path: Path, kind: type[T], data: bytes) -> T:
    known = {one.name for one in fields(kind)}
    try:
        return kind(**{key: value for key, value in json.loads(data).items() if key in known})
    except (ValueError, TypeError, AttributeError) as error:
        raise BackupDamaged(f"{path}: damaged: {error}") from error


def _as_json(part: Head | Tail) -> bytes:
    return json.dumps(asdict(part), indent=1).encode()
