"""`labq up` and `labq down`: idempotent, and safe when two shells do it at once."""

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import psutil

from store.errors import ServerFailed
from store.servers import mongod, process, redis_server
from store.servers.places import Places, make_private, places
from store.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What `up` did: which servers it started, which were there, which belong to somebody else."""

    started: tuple[str, ...]
    already: tuple[str, ...]
    external: tuple[str, ...]


def up(settings: Settings) -> Brought:
    """Start what is ours and not running. Interrupted in the middle, it takes back what it started."""
    external = _external(settings)
    where = places(settings.home)
    if len(external) == 2:
        return Brought(started=(), already=(), external=external)
    with _locked(where):
        _claim_host(where)
        make_private(where.sockets)
        children: list[subprocess.Popen[bytes]] = []
        started: list[str] = []
        already: list[str] = []
        try:
            for name, server in _ours(settings):
                before = len(children)
                server.start(where, children.append)
                (started if len(children) > before else already).append(name)
        except BaseException:
            _take_back(children)
            raise
    return Brought(started=tuple(started), already=tuple(already), external=external)


def down(settings: Settings) -> tuple[str, ...]:
    """Stop our servers and remove their sockets; the data stays. Returns the names of those that ran."""
    where = places(settings.home)
    if not where.servers.exists():
        return ()
    with _locked(where):
        live = {name: found for name, server in _ours(settings) if (found := server.running(where))}
        if not live:
            _check_host(where)
        for found in live.values():
            for one in found:
                process.stop(one)
        where.host_file.unlink(missing_ok=True)
        shutil.rmtree(where.sockets, ignore_errors=True)  # nothing but sockets is in there
    return tuple(live)


def running(settings: Settings) -> dict[str, psutil.Process]:
    """Our live servers by name."""
    where = places(settings.home)
    return {name: found[0] for name, server in _ours(settings) if (found := server.running(where))}


def _claim_host(where: Places) -> None:
    """Two machines with one home must not open the same data twice: Redis would not even notice."""
    _check_host(where)
    where.host_file.write_text(socket.gethostname())


def _check_host(where: Places) -> None:
    """Raises ServerFailed when the servers, and their sockets, are another machine's."""
    host = _host_of(where)
    if host not in ("", socket.gethostname()):
        raise ServerFailed(
            f"the servers of {where.home} run on {host}: work there, or `labq down` there, or choose another LABQ_HOME "
            f"(if {host} is gone for good: rm {where.host_file})"
        )


def _host_of(where: Places) -> str:
    return where.host_file.read_text().strip() if where.host_file.exists() else ""


def _ours(settings: Settings) -> list[tuple[str, ModuleType]]:
    ours: list[tuple[str, ModuleType]] = []
    if settings.uses_embedded_redis:
        ours.append(("redis", redis_server))
    if settings.uses_embedded_mongo:
        ours.append(("mongod", mongod))
    return ours


def _external(settings: Settings) -> tuple[str, ...]:
    names = {"redis": settings.uses_embedded_redis, "mongod": settings.uses_embedded_mongo}
    return tuple(name for name, embedded in names.items() if not embedded)


def _take_back(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            process.stop(psutil.Process(child.pid))


@contextmanager
def _locked(where: Places) -> Iterator[None]:
    make_private(where.servers)
    try:
        descriptor = os.open(where.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServerFailed(f"{where.lock_file}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
