"""Keeping a tunnel open: one connection after the other, with a pause that grows while none holds."""

import shlex
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from store.connect import mongo_url, redis_url
from store.errors import LabqError
from store.logbook import say, warn
from store.settings import Settings
from worker.cluster.remote import Remote
from worker.cluster.ssh import Ssh, ended, opened, ssh_words, tunnel_line
from worker.health.rows import is_well, read_row
from worker.linux import dies_with_me
from worker.tunnel.ends import far_servers, mark_of, near_mongo, near_redis
from worker.tunnel.state import only_one, publish

ALIVE_S = 10
"""ssh asks the other side so often; after three silences the connection is given up."""

HELD_S = 60.0
"""A connection that lasted longer was a good one: the next pause is the shortest again."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_LOOK_S = 0.2
_UP_S = 15.0

_REFUSED = (
    ("remote port forwarding failed", "its sshd does not let us listen there: AllowStreamLocalForwarding and "
     "AllowTcpForwarding in its sshd_config; else open the way to the servers for it"),
    ("administratively prohibited", "its sshd does not let us listen there: AllowStreamLocalForwarding"),
)  # fmt: skip


def pause_s(failures: int) -> float:
    """After so many connections in a row that did not hold."""
    return float(min(_FIRST_PAUSE_S * 2.0 ** min(max(0, failures - 1), 10), _LONGEST_PAUSE_S))


def forwards(settings: Settings) -> dict[str, str]:
    """What each server is here. Raises UserError where a tunnel would not be reliable."""
    return {"mongo": near_mongo(mongo_url(settings)), "redis": near_redis(redis_url(settings))}


class Tunnel:
    """One host's. `keep` returns when `stop` is set."""

    def __init__(self, settings: Settings, host: str, ssh: Ssh, stop: threading.Event) -> None:
        self._settings, self._host, self._ssh, self._stop = settings, host, ssh, stop
        self._near = forwards(settings)
        self._told = ""

    def keep(self) -> None:
        """Raises UserError when another process looks after this host."""
        with only_one(self._settings, self._host) as file:
            failures = 0
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    why = self._connect(file)
                except LabqError as error:
                    why = str(error)
                if self._stop.is_set():
                    return
                held_s = time.monotonic() - began
                failures = 1 if held_s > HELD_S else failures + 1
                self._tell_down(why, failures)
                self._stop.wait(pause_s(failures))

    def _tell_down(self, why: str, failures: int) -> None:
        """Once for each reason: a machine that is off for the night is one line."""
        if why != self._told:
            warn("tunnel-down", host=self._host, why=why, again_s=f"{pause_s(failures):g}")
        self._told = why

    def _connect(self, file: Path) -> str:
        """Why it is over. Raises SchedulerMissing, SchedulerUnavailable, UserError."""
        remote = Remote(self._settings, self._host, self._ssh)
        mark = mark_of(socket.gethostname(), str(self._settings.home))
        room = remote.ask("sockets", mark=mark)
        publish(file, far_servers(mongo_url(self._settings), redis_url(self._settings), room["links"]))
        said = file.with_name(f"{file.name}.said")
        process = opened(self._line(room), said, dies_with_me())
        try:
            up_at = time.monotonic()
            told = False
            while process.poll() is None and not self._stop.wait(_LOOK_S):
                if not told and time.monotonic() - up_at > 1.0:
                    told = self._tell_up(remote) or time.monotonic() - up_at > _UP_S
            return _why_over(said)
        finally:
            ended(process)
            said.unlink(missing_ok=True)

    def _tell_up(self, remote: Remote) -> bool:
        """Whether both servers answer over there."""
        try:
            rows = [read_row(row) for row in remote.ask("reach")["rows"]]
        except LabqError as error:
            warn("tunnel-not-looked-at", host=self._host, why=error)
            return False
        if is_well(rows):
            self._told = ""
            say("tunnel-up", host=self._host, **{row.subject: row.text for row in rows})
            return True
        warn("tunnel-leads-nowhere", host=self._host, **{row.subject: row.text for row in rows})
        return False

    def _line(self, room: Mapping[str, Any]) -> list[str]:
        pairs = [(str(room["listen"][server]), here) for server, here in self._near.items()]
        return tunnel_line(
            ssh_words(self._settings), self._host, pairs, timeout_s=self._settings.ssh_timeout_s, alive_s=ALIVE_S
        )


def dry_line(settings: Settings, host: str) -> str:
    """The command line, with names for what only the other side knows."""
    pairs = [(f"THERE/{server}.sock", here) for server, here in forwards(settings).items()]
    return shlex.join(tunnel_line(ssh_words(settings), host, pairs, timeout_s=settings.ssh_timeout_s, alive_s=ALIVE_S))


def _why_over(said: Path) -> str:
    try:
        lines = [line.strip() for line in said.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    words = lines[-1] if lines else "the connection ended"
    for line in lines:
        for mark, advice in _REFUSED:
            if mark in line:
                return f"{line}; {advice}"
    return words
