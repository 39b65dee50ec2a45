"""Other machines by the user's own ssh: the only file that calls it.

Their config, their agent, their keys. Nothing ever prompts (BatchMode), and every call has an end.
"""

import hashlib
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote, split
from typing import IO

from store.errors import SchedulerMissing, SchedulerUnavailable, UserError
from store.settings import Settings
from worker.cluster.command import Answer

SPARE_S = 20.0
"""What a command over there may take, beyond the connection."""

PERSIST_S = 60
"""So long a connection stays open for the next call."""

_FOLDER_LIMIT = 48
"""A socket's path may have 107 bytes, and ssh adds a hash of 40 letters and an ending of its own of 17."""


# ── command lines: pure ──
def ssh_words(settings: Settings) -> tuple[str, ...]:
    """The setting `ssh`. Raises UserError."""
    try:
        words = tuple(split(settings.ssh))
    except ValueError as error:
        raise UserError(f"ssh is {settings.ssh!r}: {error}") from error
    if not words:
        raise UserError("ssh is empty; allowed: a command, such as ssh or ssh -F FILE")
    return words


def call_line(ssh: Sequence[str], host: str, remote: str, *, timeout_s: float, control: Sequence[str]) -> list[str]:
    """One command over there. What the user's config forwards is for people, not for us."""
    return [
        *ssh,
        "-T",
        "-oBatchMode=yes",
        f"-oConnectTimeout={max(1, round(timeout_s))}",
        "-oClearAllForwardings=yes",
        *control,
        "--",
        host,
        remote,
    ]


def tunnel_line(
    ssh: Sequence[str], host: str, forwards: Sequence[tuple[str, str]], *, timeout_s: float, alive_s: int
) -> list[str]:
    """A connection of its own that listens over there. It ends when it cannot, or when the other side is gone."""
    options = [f"-oServerAliveInterval={alive_s}", "-oServerAliveCountMax=3", "-oExitOnForwardFailure=yes"]
    listen = [word for there, here in forwards for word in ("-R", f"{there}:{here}")]
    own = [
        "-oControlMaster=no",
        "-oControlPath=none",
        "-oBatchMode=yes",
        f"-oConnectTimeout={max(1, round(timeout_s))}",
    ]
    return [*ssh, "-N", "-T", *own, *options, *listen, "--", host]


def control_options(effective: str, socket: Path) -> list[str]:
    """One connection for all calls, unless the user has arranged that. `effective`: what `ssh -G HOST` printed."""
    known = dict(line.split(None, 1) for line in effective.splitlines() if " " in line)
    if known.get("controlpath", "none") != "none":
        return []
    alive = ["-oServerAliveInterval=5", "-oServerAliveCountMax=2"]  # else the next call waits for a dead connection
    return ["-oControlMaster=auto", f"-oControlPath={socket}", f"-oControlPersist={PERSIST_S}", *alive]


def remote_command(command: str) -> str:
    """The words of a command for any login shell; a leading ~/ is left to it. Raises UserError."""
    try:
        words = split(command)
    except ValueError as error:
        raise UserError(f"remote_labq is {command!r}: {error}") from error
    if not words or any("\n" in word for word in words):
        raise UserError(f"remote_labq is {command!r}; allowed: a command, such as labq or ~/venv/bin/labq")
    return " ".join(f"~/{quote(word[2:])}" if word.startswith("~/") else quote(word) for word in words)


# ── calling ──
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call needs to know."""

    host: str
    remote: str
    stdin: str = ""
    patience_s: float = SPARE_S


class Ssh:
    """Calls over one connection per host."""

    def __init__(self, settings: Settings) -> None:
        self._words, self._settings = ssh_words(settings), settings
        self._control: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def line(self, host: str, remote: str) -> list[str]:
        """What is called. Raises SchedulerMissing, SchedulerUnavailable."""
        return call_line(
            self._words, host, remote, timeout_s=self._settings.ssh_timeout_s, control=self._controlled(host)
        )

    def call(self, call: Call) -> Answer:
        """Raises SchedulerMissing (no ssh here), SchedulerUnavailable (no answer in time), UserError."""
        private_folder(sockets_folder(self._settings))
        return _called(self.line(call.host, call.remote), call, self._settings.ssh_timeout_s + call.patience_s)

    def _controlled(self, host: str) -> list[str]:
        if host not in self._control:
            asked = Call(host=host, remote="")
            effective = _called([*self._words, "-G", "--", host], asked, self._settings.ssh_timeout_s)
            with self._lock:
                self._control[host] = control_options(effective.out, sockets_folder(self._settings) / "%C")
        return self._control[host]


def sockets_folder(settings: Settings) -> Path:
    """Where our connections are; private and short, for the path of a socket may not be long."""
    folder = settings.home / "ssh"
    if len(os.fsencode(folder)) > _FOLDER_LIMIT:
        mark = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:8]
        folder = Path(tempfile.gettempdir()) / f"labq-ssh-{os.getuid()}-{mark}"
    return folder


def private_folder(folder: Path) -> Path:
    """Make it; nobody else may have made it. Raises UserError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.getuid():
            raise UserError(f"{folder} is not a folder of yours; choose another place: LABQ_HOME")
        folder.chmod(0o700)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another place: LABQ_HOME") from error
    return folder


def _called(line: Sequence[str], call: Call, timeout_s: float) -> Answer:
    # Files, not pipes: a connection that stays open keeps its end of a pipe, and whoever reads would wait for it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            done = subprocess.run(
                line, input=call.stdin.encode(), stdout=out, stderr=err, timeout=timeout_s, check=False,
                env=_environment(os.environ),
            )  # fmt: skip
            code = done.returncode
        except FileNotFoundError as error:
            raise SchedulerMissing(f"{line[0]} was not found: install an ssh client, or set ssh") from error
        except OSError as error:
            raise SchedulerMissing(f"{line[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            said = _read(err).strip().splitlines()
            words = f" ({said[-1]})" if said else ""
            raise SchedulerUnavailable(f"{call.host} does not answer within {timeout_s:g} s{words}") from error
        return Answer(code=code, out=_read(out), err=_read(err))


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """No window may pop up and ask. The language stays: ssh hands it on to the workers, and speaks English itself."""
    return {**environ, "SSH_ASKPASS_REQUIRE": "never"}


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").replace("\r", "")


# ── what went wrong, in words ──
_KNOWN: tuple[tuple[str, str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its key is not the one you trusted: reinstalled, or somebody else; ask, then ssh-keygen -R {host}",
    ),
    ("Host key verification failed", "its key is not known here: ssh {host} once by hand and look at it"),
    ("Permission denied", "labq never asks for passwords: a key in your agent (ssh-add), or ssh-copy-id {host}"),
    ("Too many authentication failures", "too many keys in your agent: IdentitiesOnly yes for it in ~/.ssh/config"),
    ("Could not resolve hostname", "no such machine; names are those of ~/.ssh/config and of your network"),
    ("Connection refused", "the machine is there, its sshd is not (or on another port: ~/.ssh/config)"),
    ("not responding", "the machine, or the way to it, is gone since a moment ago"),
    ("timed out", "the machine is off, or a firewall drops packets; if it is behind another: ProxyJump"),
    ("No route to host", "the machine is off, or a firewall is in between"),
)


def failure(host: str, answer: Answer) -> SchedulerUnavailable:
    """ssh itself failed (exit code 255): its own words, and what to do."""
    words = answer.words
    advice = next((hint for mark, hint in _KNOWN if mark in answer.err), "")
    told = _most_telling(answer.err) or words
    return SchedulerUnavailable(f"{told}" + (f"; {advice.format(host=host)}" if advice else ""))


def _most_telling(stderr: str) -> str:
    """Banners and frames of @ left out; the line that ssh itself would end with."""
    lines = [line.strip() for line in stderr.splitlines() if re.search(r"[A-Za-z]", line)]
    marked = [line for line in lines if any(mark in line for mark, _ in _KNOWN)]
    return (marked or lines or [""])[0 if marked else -1].strip("@ ")


def ended(process: "subprocess.Popen[bytes]", patience_s: float = 3.0) -> int:
    """SIGTERM, then SIGKILL; its exit code."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(patience_s)
        process.kill()
    return process.wait()


def opened(line: Sequence[str], err: Path, prepare: Callable[[], None]) -> "subprocess.Popen[bytes]":
    """A tunnel's ssh; what it says goes into a file. Raises SchedulerMissing."""
    try:
        with err.open("wb") as stream:
            return subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream,
                env=_environment(os.environ), preexec_fn=prepare, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise SchedulerMissing(f"{line[0]} cannot be started: {error.strerror}") from error
