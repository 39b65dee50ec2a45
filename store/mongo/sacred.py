"""Reading the MongoDB database of Sacred's MongoObserver. Nothing is ever written to it.

`runs` (one document per run), `metrics` (one per series: `steps`, `values`, `timestamps`), GridFS `fs` (files).
https://sacred.readthedocs.io/en/stable/observers.html
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
from bson import ObjectId
from bson.codec_options import CodecOptions
from gridfs import GridFSBucket
from gridfs.errors import NoFile
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

from store.errors import UserError
from store.mongo.client import Document, driver_errors, guarded
from store.settings import mask_url

_BLOCK_BYTES = 1 << 20
_OURS = ("admin", "config", "local")


class SacredDatabase:
    """Its runs, one at a time. Raises UserError for a URL that names none, StoreUnavailable."""

    def __init__(self, url: str, prefix: str = "", timeout_s: float = 30.0) -> None:
        self.shown = mask_url(url)
        self._client, name = _opened(url, self.shown, timeout_s)
        with driver_errors():
            database = self._client.get_database(
                name or "", codec_options=CodecOptions(tz_aware=True, unicode_decode_error_handler="replace")
            ) if name else None  # fmt: skip
            self._check(database, prefix)
        assert database is not None
        self._runs, self._metrics = database[_named(prefix, "runs")], database[_named(prefix, "metrics")]
        self._files = GridFSBucket(database)

    def close(self) -> None:
        """Give connections back."""
        self._client.close()

    @guarded
    def ids(self) -> list[Any]:
        """Of all runs, in their order."""
        return [one["_id"] for one in self._runs.find({}, {"_id": 1}).sort("_id", 1)]

    @guarded
    def run(self, run_id: Any) -> Document | None:
        """The whole document: up to 16 MB, with what it printed."""
        return self._runs.find_one({"_id": run_id})

    def series(self, run: Document) -> Iterator[Document]:
        """The metrics of a run, by the ids that it lists: Sacred makes no index on `run_id`."""
        listed = [one.get("id") for one in (run.get("info") or {}).get("metrics") or [] if isinstance(one, dict)]
        ids = [ObjectId(one) for one in listed if ObjectId.is_valid(one)]
        match: Document = {"_id": {"$in": ids}} if ids else {"run_id": run["_id"]}
        with driver_errors():
            for one in self._metrics.find(match, {"_id": 1}).sort("name", 1):
                found = self._metrics.find_one({"_id": one["_id"], "run_id": run["_id"]})
                if found is not None:
                    yield found

    @guarded
    def fetch(self, file_id: Any, path: Path) -> bool:
        """Write a stored file to a path; False when the database has lost it."""
        try:
            with open(path, "wb") as sink, self._files.open_download_stream(file_id) as stored:
                shutil.copyfileobj(stored, sink, _BLOCK_BYTES)
        except NoFile:
            return False
        return True

    def _check(self, database: Any, prefix: str) -> None:
        if database is None:
            there = ", ".join(one for one in self._client.list_database_names() if one not in _OURS)
            raise UserError(f"{self.shown}: names no database; write mongodb://HOST/NAME; there are: {there or 'none'}")
        collections = sorted(database.list_collection_names())
        wanted = _named(prefix, "runs")
        if wanted not in collections:
            prefixes = [one.removesuffix("_runs") for one in collections if one.endswith("_runs")]
            hint = f"; there are prefixes: --prefix {', '.join(prefixes)}" if prefixes else ""
            there = ", ".join(collections[:12]) or "nothing"
            raise UserError(f"{self.shown}: has no collection {wanted!r}, it has {there}{hint}")
        if database["runs"].find_one({"history": {"$exists": True}, "task": {"$exists": True}}, {"_id": 1}):
            raise UserError(f"{self.shown}: is a database of labq, not of Sacred")


def _opened(url: str, shown: str, timeout_s: float) -> tuple[MongoClient[Document], str | None]:
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise UserError(f"{shown!r} is no URL of a MongoDB; allowed: mongodb://HOST:PORT/DATABASE")
    timeout_ms = int(timeout_s * 1000)
    try:
        name = parse_uri(url)["database"]
        return MongoClient(
            url, appname="labq", tz_aware=True, timeoutMS=timeout_ms, serverSelectionTimeoutMS=min(timeout_ms, 10_000)
        ), name
    except (InvalidURI, ConfigurationError, ValueError, pymongo.errors.PyMongoError) as error:
        raise UserError(f"{shown}: {error}") from error


def _named(prefix: str, collection: str) -> str:
    return f"{prefix}_{collection}" if prefix else collection
