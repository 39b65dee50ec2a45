"""Tunnels that are open from this machine: who holds the lock of a host has written how its workers get through."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from urllib.parse import quote, unquote

from store.errors import UserError
from store.settings import Settings

_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How a worker reaches them."""

    mongo_url: str
    redis_url: str


def through_tunnel(settings: Settings, host: str) -> Servers | None:
    """None: no tunnel is open to this host."""
    file = _file(settings, host)
    try:
        with file.open() as stream:
            if _is_free(stream.fileno()):
                return None
            return Servers(**json.load(stream))
    except (OSError, ValueError, TypeError):
        return None


def open_tunnels(settings: Settings) -> dict[str, Servers]:
    """Of this machine, by host."""
    folder = settings.home / "tunnels"
    names = sorted(unquote(file.name) for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    found = {name: through_tunnel(settings, name) for name in names}
    return {name: servers for name, servers in found.items() if servers is not None}


@contextmanager
def only_one(settings: Settings, host: str) -> Iterator[Path]:
    """Held as long as the tunnel is somebody's business. Raises UserError when it is already."""
    file = _file(settings, host)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as stream:
        if not any(_taken(stream.fileno()) for _ in range(_TRIES)):
            raise UserError(f"{host}: another labq tunnel looks after it already")
        stream.truncate(0)
        yield file


def _taken(descriptor: int) -> bool:
    """Whoever only looks holds it for a moment, too."""
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        time.sleep(0.05)
        return False
    return True


def publish(file: Path, servers: Servers) -> None:
    """What `through_tunnel` tells from now on, while the lock is held. The same file, for it is the lock."""
    with file.open("r+") as stream:
        stream.truncate(0)
        json.dump(asdict(servers), stream)


def _file(settings: Settings, host: str) -> Path:
    return settings.home / "tunnels" / quote(host, safe="@.:%-_")


def _is_free(descriptor: int) -> bool:
    try:
        flock(descriptor, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return False
    flock(descriptor, LOCK_UN)
    return True
