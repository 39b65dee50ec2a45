"""Rows of any number, brought together by run, in a temporary database file: memory stays bounded."""

import json
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROWS_AT_ONCE = 1000
_SCHEMA = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
CREATE TABLE runs (number INTEGER PRIMARY KEY, name TEXT UNIQUE, line INTEGER);
CREATE TABLE twins (digest TEXT PRIMARY KEY, count INTEGER);
CREATE TABLE rows (run INTEGER, line INTEGER, cells TEXT);
"""


class Spool:
    """Runs by name in the order in which they come, and their rows. The file goes with the object."""

    def __init__(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="labq-import-")
        self._database = sqlite3.connect(Path(folder.name, "rows"), isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        weakref.finalize(self, folder.cleanup)

    def add(self, run: str, line: int, cells: list[Any]) -> int | None:
        """One more row; returns the line with which its run began, None when it begins here."""
        found = self._database.execute("SELECT number, line FROM runs WHERE name = ?", (run,)).fetchone()
        if found is None:
            added = self._database.execute("INSERT INTO runs (name, line) VALUES (?, ?)", (run, line))
            number, first = added.lastrowid, None
        else:
            number, first = found
        self._database.execute("INSERT INTO rows VALUES (?, ?, ?)", (number, line, json.dumps(cells)))
        return first

    def twin(self, digest: str) -> int:
        """How many rows were the same as this one, itself included."""
        added = "INSERT INTO twins VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"
        return int(self._database.execute(added, (digest,)).fetchone()[0])

    def close(self) -> None:
        """All rows are there; from here on they are read."""
        self._database.execute("CREATE INDEX of_run ON rows (run, line)")

    @property
    def count(self) -> int:
        """How many runs."""
        return int(self._database.execute("SELECT count(*) FROM runs").fetchone()[0])

    def runs(self) -> Iterator[tuple[int, str]]:
        """(number from 1, name)"""
        yield from self._read("SELECT number, name FROM runs ORDER BY number")

    def rows(self, number: int) -> Iterator[tuple[int, list[Any]]]:
        """(line, cells) of one run, in the order of the file."""
        for line, cells in self._read("SELECT line, cells FROM rows WHERE run = ? ORDER BY line", number):
            yield line, json.loads(cells)

    def _read(self, query: str, *values: int) -> Iterator[tuple[Any, ...]]:
        cursor = self._database.execute(query, values)
        while page := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from page
