"""The embedded MongoDB: a one-node replica set on a Unix socket."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from store.errors import ServerFailed
from store.mongo.client import Document
from store.servers import process
from store.servers.binaries import find_mongod
from store.servers.places import Places, make_private

START_S = 60.0
TRANSACTION_S = 10
"""A transaction whose process was killed keeps its run from being written by anybody for so long (60 by default)."""
_ALREADY_INITIALIZED = 23


def command(mongod: Path, where: Places) -> list[str]:
    """Small journal files and cache: a fresh dbpath takes 17 MB instead of 300. Nothing listens on the network.

    Histories compressed at zstd's level 1 are as small as at 6, its default here, for half the processor time.
    """
    return [
        str(mongod),
        "--dbpath", str(where.mongo_data),
        "--replSet", "rs0",
        "--oplogSize", "64",
        "--wiredTigerCacheSizeGB", "0.25",
        "--zstdDefaultCompressionLevel", "1",
        "--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)",
        "--setParameter", "diagnosticDataCollectionEnabled=false",
        "--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_S}",
        "--unixSocketPrefix", str(where.sockets),
        "--filePermissions", "0700",
        "--bind_ip", str(where.mongo_socket),
        "--logpath", str(where.servers / "mongod.log"),
        "--logappend",
    ]  # fmt: skip


def running(where: Places) -> list[psutil.Process]:
    """The live mongod of these places."""
    return process.find(("mongod",), lambda command: str(where.mongo_data) in command)


def start(where: Places, started: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Start if needed, then wait for a primary; `started` hears of a process the moment it exists."""
    child: subprocess.Popen[bytes] | None = None
    if not running(where):
        make_private(where.mongo_data)
        binary = find_mongod()
        child = process.start_detached(command(binary.path, where), where.servers / "mongod.out")
        started(child)
    _await_primary(where, child)


def _await_primary(where: Places, child: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_S
    last: Exception | None = None
    while time.monotonic() < deadline:
        if child is not None and child.poll() is not None:
            raise ServerFailed(f"mongod ended at once: {_last_words(where)}")
        try:
            if _is_primary(where) and (child is None or child.poll() is None):
                return
        except PyMongoError as error:
            last = error
        time.sleep(0.02)
    raise ServerFailed(f"mongod has no primary after {START_S:.0f} s ({last}); see {where.servers / 'mongod.log'}")


def _is_primary(where: Places) -> bool:
    """One step towards a primary. A new client each time: one made before the initiation never learns of sessions."""
    url = f"mongodb://{quote(str(where.mongo_socket), safe='')}/?directConnection=true"
    client: MongoClient[Document] = MongoClient(url, serverSelectionTimeoutMS=500, timeoutMS=5000)
    with client:
        hello = client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return True
        if "setName" not in hello and not _initiate(client, where):
            _move_member(client, where)
    return False


def _initiate(client: MongoClient[Document], where: Places) -> bool:
    """False when the data already holds a configuration: then it is the address in it that does not fit."""
    member = {"_id": 0, "host": str(where.mongo_socket)}
    try:
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        return False
    return True


def _move_member(client: MongoClient[Document], where: Places) -> None:
    """The data remembers the old address of a folder that was moved; it would never become primary again."""
    config = client.admin.command("replSetGetConfig")["config"]
    if config["members"][0]["host"] != str(where.mongo_socket):
        config["members"][0]["host"] = str(where.mongo_socket)
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def _last_words(where: Places) -> str:
    for name in ("mongod.out", "mongod.log"):
        file = where.servers / name
        lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
        if lines:
            return f"{lines[-1][:500]} (in {file})"
    return "it left no message"
