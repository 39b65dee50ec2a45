"""`labq backup`, `labq restore`."""

import argparse
import re
import signal
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import FrameType

from queueing.cli.context import print_json, settings
from queueing.units import format_size
from store.archive import Head, Tail, check
from store.errors import ExitCode, UserError

_TELL_S = 0.5


def backup(options: argparse.Namespace) -> int:
    """Make one, or check one."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    if options.check:
        return _check(options)
    if not options.to:
        raise UserError("where to? labq backup FILE, or a folder; labq backup --check FILE reads one")
    from queueing.backup.taking import take

    progress = _Progress(quiet=options.json)
    try:
        taken = take(settings(), Path(options.to).expanduser(), options.keep, progress)
    finally:
        progress.end()
    if options.json:
        print_json({"file": taken.file, "file_bytes": taken.size_bytes, **_as_json(taken.head, taken.tail),
                    "removed": taken.removed})  # fmt: skip
        return ExitCode.OK
    print(f"{taken.file}: {format_size(taken.size_bytes)}; {_words(taken.head, taken.tail)}")
    for old in taken.removed:
        print(f"removed: {old}")
    return ExitCode.OK


def restore(options: argparse.Namespace) -> int:
    """Read one back."""
    from queueing.backup.restoring import restore as read_back

    signal.signal(signal.SIGTERM, _as_interrupt)
    if options.into and not re.fullmatch(r"[A-Za-z0-9_-]{1,38}", options.into):
        raise UserError(f"--into is {options.into[:80]!r}; allowed: letters, digits, '_' and '-'")
    progress = _Progress(quiet=options.json)
    file = Path(options.file).expanduser()
    try:
        done = read_back(settings(), file, options.into or "", replace=options.replace, progress=progress)
    finally:
        progress.end()
    if options.json:
        print_json({"restored_into": done.database, "requeued": done.requeued, "left_out": done.left_out,
                    **_as_json(done.head, done.tail)})  # fmt: skip
        return ExitCode.OK
    print(f"database {done.database}: {_words(done.head, done.tail)}")
    print(f"runs that were running then, and are queued again: {done.requeued}")
    if done.left_out:
        print(f"left out, as they belong to attempts that began while the backup was made: {done.left_out} documents")
    return ExitCode.OK


def _check(options: argparse.Namespace) -> int:
    file = Path(options.check).expanduser()
    if options.to or options.keep:
        raise UserError("--check FILE goes alone")
    head, tail = check(file)
    if options.json:
        print_json({"file": file, "file_bytes": file.stat().st_size, **_as_json(head, tail)})
    else:
        print(f"{file}: whole; {_words(head, tail)}")
        for name, one in tail.collections.items():
            if one["documents"]:
                print(f"  {name:<26} {one['documents']:>12,}  {format_size(one['size_bytes']):>9}")
    return ExitCode.OK


def _words(head: Head, tail: Tail) -> str:
    at = datetime.fromisoformat(head.taken_at)
    moment = "as it was" if tail.moment else "begun"
    lacking = (
        f"; {tail.lacking} stored files lack bytes in the database itself: labq doctor --deep" if tail.lacking else ""
    )
    return (
        f"{head.database} {moment} on {at:%Y-%m-%d %H:%M:%S} UTC, schema {head.schema}, {tail.documents:,} documents, "
        f"{format_size(tail.size_bytes)}{lacking}"
    )


def _as_json(head: Head, tail: Tail) -> dict[str, object]:
    return {**asdict(head), **asdict(tail), "documents": tail.documents, "size_bytes": tail.size_bytes}


class _Progress:
    """One line that changes, on a terminal; nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._next = time.monotonic() + _TELL_S

    def __call__(self, collection: str, documents: int, _size_bytes: int) -> None:
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + _TELL_S
            print(f"\r\x1b[K{collection}: {documents:,} documents", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """The line goes."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it like Ctrl-C: what was half written goes."""
    raise KeyboardInterrupt
