r"""The first start of a MongoDB with passwords: a replica set of one, the users root and labq.

    python -P -m store.servers.first_start --member queue.lab.example:27017 --root-password-file F \
        --labq-password-file F

It must run where mongod runs (in its network): as long as there is no user, MongoDB lets only its own host make one.
Again it changes nothing, so it may be part of every start; a wrong password is said, and no loop.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from store.errors import BadSettings, ExitCode, LabqError, StoreFailed, StoreUnavailable
from store.mongo.client import Document

PATIENCE_S = 60.0
_ALREADY_INITIALIZED = 23
_UNAUTHORIZED, _AUTHENTICATION_FAILED, _USER_EXISTS = 13, 18, 51003


def main(arguments: list[str] | None = None) -> int:
    """For compose, and for a mongod that was started by hand."""
    parser = argparse.ArgumentParser(prog="first_start", description=__doc__, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=27017, help="of mongod on this host")
    parser.add_argument("--member", required=True, help="HOST:PORT by which workers reach it")
    parser.add_argument("--root-password-file", type=Path, required=True)
    parser.add_argument("--labq-password-file", type=Path, required=True)
    parser.add_argument("--database", default="labq")
    parser.add_argument("--tls-ca-file", type=Path, help="mongod takes TLS only; its certificate is of this authority")
    options = parser.parse_args(arguments)
    try:
        root, labq = _secret(options.root_password_file), _secret(options.labq_password_file)
        mongod = Mongod(port=options.port, ca_file=options.tls_ca_file)
        done = first_start(mongod, options.member, root, labq, options.database)
    except LabqError as error:
        print(f"first_start: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(done) if done else "all was there already")
    return ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Mongod:
    """That of this host. Its certificate is for the name by which others call it."""

    port: int
    ca_file: Path | None = None

    def client(self, root: str | None = None) -> MongoClient[Document]:
        """For one step, as root or as nobody."""
        options: dict[str, Any] = {} if root is None else {"username": "root", "password": root, "authSource": "admin"}
        if self.ca_file is not None:
            options |= {"tls": True, "tlsCAFile": str(self.ca_file), "tlsAllowInvalidHostnames": True}
        return MongoClient(
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=3000, timeoutMS=20_000, **options
        )


def first_start(mongod: Mongod, member: str, root: str, labq: str, database: str) -> list[str]:
    """What was done. Raises StoreUnavailable, BadSettings, StoreFailed."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _make(mongod, member, root, labq, database, deadline)
        except OperationFailure as error:
            raise StoreFailed(f"MongoDB refused: {error}") from error
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"no MongoDB on port {mongod.port} after {PATIENCE_S:.0f} s: {error}") from error
            time.sleep(0.5)


def _make(mongod: Mongod, member: str, root: str, labq: str, database: str, deadline: float) -> list[str]:
    """One client for each step: one made before the initiation never learns of sessions."""
    done = []
    if not _is_root(mongod, root):
        if _initiate(mongod, member):
            done.append(f"replica set rs0 of {member}")
        _await_primary(mongod, deadline)
        with mongod.client() as client, _closed_is_wrong_password():
            client.admin.command("createUser", "root", pwd=root, roles=["root"])
        done.append("user root")
    _await_primary(mongod, deadline)
    with mongod.client(root) as client:
        roles: list[Any] = [{"role": role, "db": database} for role in ("readWrite", "dbAdmin")]
        try:
            client[database].command("createUser", "labq", pwd=labq, roles=roles)
            done.append(f"user labq of database {database}")
        except OperationFailure as error:
            if error.code != _USER_EXISTS:
                raise
    return done


def _is_root(mongod: Mongod, root: str) -> bool:
    """Whether this password is that of root; false also while there is no user at all."""
    with mongod.client(root) as client:
        try:
            client.admin.command("ping")
        except OperationFailure as error:
            if error.code != _AUTHENTICATION_FAILED:
                raise
            return False
    return True


@contextmanager
def _closed_is_wrong_password() -> Iterator[None]:
    """Once there is a user, nobody gets in without a password."""
    try:
        yield
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            raise BadSettings("the password of root in the file is not that of the database") from error
        raise


def _initiate(mongod: Mongod, member: str) -> bool:
    config = {"_id": "rs0", "members": [{"_id": 0, "host": member}]}
    with mongod.client() as client, _closed_is_wrong_password():
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
            return False
    return True


def _await_primary(mongod: Mongod, deadline: float) -> None:
    while True:
        with mongod.client() as client:
            if client.admin.command("hello").get("isWritablePrimary"):
                return
        if time.monotonic() > deadline:
            raise StoreUnavailable("the replica set has no primary: does its member's name lead to this host?")
        time.sleep(0.2)


def _secret(file: Path) -> str:
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file}: cannot be read: {error}") from error
    if not secret:
        raise BadSettings(f"{file}: is empty; allowed: a password")
    return secret


if __name__ == "__main__":
    sys.exit(main())
