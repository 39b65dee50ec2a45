"""Opening the user's files, and saying what is wrong when that fails."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from trainer.errors import UserMistake

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: str) -> Iterator[str]:
    """The lines of a UTF-8 file without their ends. Raises UserMistake: missing, unreadable, another encoding."""
    with reading(path), open(path, encoding="utf-8-sig") as file:
        for line in file:
            yield line.rstrip("\n")


def digest_of_file(path: str) -> str:
    """SHA-256 of the content. Raises UserMistake."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Whatever keeps the file from being read becomes a UserMistake that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserMistake(f"{path}: this is not a complete .gz file") from None
    except OSError as problem:
        raise unreadable(path, problem) from None
    except UnicodeDecodeError:
        raise _undecodable(path) from None


def open_bytes(path: str) -> BinaryIO:
    """A buffered file, decompressed when its name ends in .gz. To be used inside `reading`."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.lower().endswith(".gz") else open(path, "rb")


def unreadable(path: str, problem: OSError) -> UserMistake:
    """What to say of a file that cannot be opened."""
    where = "" if Path(path).is_absolute() else f" (looked for in {Path.cwd()})"
    return UserMistake(f"{path}: {(problem.strerror or str(problem)).lower()}{where}")


def _undecodable(path: str) -> UserMistake:
    """The place is looked for in a second reading: a decoder that reads ahead does not know its line."""
    with open_bytes(path) as file:
        for row, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as problem:
                looks = "; this looks like UTF-16" if row == 1 and line.startswith(_UTF_16_MARKS) else ""
                place = f"row {row}, byte {problem.start + 1}: found the byte {line[problem.start]:#04x}"
                return UserMistake(f"{path}: {place}; allowed: text encoded as UTF-8{looks}")
    return UserMistake(f"{path}: the file is not text encoded as UTF-8, or is being written to")


def shortened(names: list[str], most: int = 10) -> str:
    """Names for a message, the first few of many."""
    return ", ".join(" ".join(name.split()) for name in islice(names, most)) + (
        f", … ({len(names)})" if len(names) > most else ""
    )
