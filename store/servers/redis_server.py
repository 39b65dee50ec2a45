"""The embedded Redis: append-only file, Unix socket. Spoken to here with a bare PING, so no driver is needed."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from store.errors import ServerFailed
from store.servers import process
from store.servers.binaries import find_redis
from store.servers.places import Places, make_private

START_S = 30.0


def config(where: Places) -> str:
    """`port 0`: no network at all. Losing a second of tickets on a power cut costs a round of the repair loop."""
    return f"""\
port 0
unixsocket {_quoted(where.redis_socket)}
unixsocketperm 700
dir {_quoted(where.redis_data)}
logfile {_quoted(where.servers / "redis.log")}
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def running(where: Places) -> list[psutil.Process]:
    """The live Redis of these places; once it is up, it shows its socket in its title."""
    socket_path = str(where.redis_socket)

    def is_ours(command: list[str]) -> bool:
        return any(word == socket_path or word.rstrip().endswith(f"unixsocket:{socket_path}") for word in command)

    return process.find(("redis-server", "valkey-server"), is_ours)


def start(where: Places, started: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Start if needed, then wait for PONG; `started` hears of a process the moment it exists."""
    child: subprocess.Popen[bytes] | None = None
    if not answers(where) and not running(where):
        make_private(where.redis_data)
        binary = find_redis()
        file = where.servers / "redis.conf"
        file.write_text(config(where))
        arguments = [str(binary.path), str(file), "--unixsocket", str(where.redis_socket)]
        child = process.start_detached(arguments, where.servers / "redis.out")
        started(child)
    _await_pong(where, child)


def answers(where: Places) -> bool:
    """Whether it says PONG; false while it is still reading its append-only file."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(os.fspath(where.redis_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _await_pong(where: Places, child: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if answers(where):
            return
        if child is not None and child.poll() is not None:
            said = (where.servers / "redis.out").read_text(errors="replace").strip()[-500:]
            raise ServerFailed(f"redis-server ended at once: {said or 'see ' + str(where.servers / 'redis.log')}")
        time.sleep(0.01)
    raise ServerFailed(f"redis-server does not answer after {START_S:.0f} s; see {where.servers / 'redis.log'}")
