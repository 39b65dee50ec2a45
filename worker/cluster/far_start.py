"""Starting workers on the machine that somebody has logged into, so that they outlive the login."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from store.errors import SchedulerUnavailable, SubmissionRefused
from store.identity import user_name
from store.settings import Settings
from worker.cluster.handing import logs_folder, make_logs_folder
from worker.cluster.local import Local, find_number

SYSTEMD, SESSION = "systemd", "session"
_PATIENCE_S = 5.0
_LINGERERS = Path("/var/lib/systemd/linger")
_LOGIND = (Path("/etc/systemd/logind.conf"), Path("/etc/systemd/logind.conf.d"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """How a worker outlives the login here: `systemd` or `session`. `hint`: what would end it all the same."""

    way: str
    hint: str = ""


def lasting() -> Lasting:
    """A user's systemd ends with the last login, and its units with it, unless the user lingers."""
    if not user_systemd_answers():
        return Lasting(way=SESSION, hint=_of_sessions())
    if lingers():
        return Lasting(way=SYSTEMD)
    return Lasting(
        way=SESSION, hint=_of_sessions() or f"for workers under systemd: loginctl enable-linger {user_name()}"
    )


def user_systemd_answers() -> bool:
    """Whether `systemctl --user` works here. Logins without PAM forget to say where it listens."""
    runtime = f"/run/user/{os.getuid()}"
    if "XDG_RUNTIME_DIR" not in os.environ and Path(runtime).is_dir():
        os.environ["XDG_RUNTIME_DIR"] = runtime
    done = _run(["systemctl", "--user", "show-environment"])
    return shutil.which("systemd-run") is not None and done is not None and done.returncode == 0


def lingers() -> bool:
    """Whether the user's systemd stays when nobody is logged in."""
    done = _run(["loginctl", "show-user", user_name(), "--property=Linger", "--value"])
    if done is not None and done.returncode == 0:
        return done.stdout.strip() == "yes"
    return (_LINGERERS / user_name()).exists()


def _of_sessions() -> str:
    """Some machines end whatever a user has left when the last login ends."""
    if not kills_at_logout():
        return ""
    return (
        f"this machine ends what you leave behind at logout (KillUserProcesses): loginctl enable-linger {user_name()}"
    )


def kills_at_logout() -> bool:
    """KillUserProcesses=yes of logind, while the user does not linger."""
    said = False
    for place in _LOGIND:
        for file in sorted(place.glob("*.conf")) if place.is_dir() else [place]:
            with suppress(OSError, UnicodeDecodeError):
                for line in file.read_text().splitlines():
                    name, _, value = line.strip().partition("=")
                    if name.strip() == "KillUserProcesses":
                        said = value.strip().lower() in ("yes", "true", "1", "on")
    return said and not lingers()


def start_workers(
    settings: Settings, script: str, submission: str, count: int, secrets: Mapping[str, str]
) -> list[str]:
    """The numbers of their processes. Raises UserError, SubmissionRefused, SchedulerUnavailable."""
    make_logs_folder(settings)
    known = {"labq_python": sys.executable, "labq_logs": str(logs_folder(settings)), **secrets}
    if lasting().way == SESSION:
        return Local().submit(script, submission, count, known)
    return [_under_systemd(settings, script, submission, task, known) for task in range(count)]


def unit_name(submission: str, task: int) -> str:
    """Of one worker."""
    return f"labq-{submission}-{task}.service"


def systemd_line(file: Path, submission: str, task: int) -> list[str]:
    """The command line: a pure function. A `$` in a path would be a variable to systemd."""
    return [
        "systemd-run",
        "--user",
        "--quiet",
        "--collect",
        f"--unit={unit_name(submission, task)}",
        f"--description=labq worker {submission}-{task}",
        "--property=Type=exec",
        # To the worker alone: what it runs hears of it from the worker, and may checkpoint.
        "--property=KillMode=mixed",
        "--property=TimeoutStopSec=120",
        f"--setenv=LABQ_ALLOCATION={submission}-{task}",
        "/bin/bash",
        str(file).replace("$", "$$"),
        str(task),
    ]


def start_file(script: str, variables: Mapping[str, str]) -> str:
    """A script with the variables of the login before it. It holds passwords, so it removes itself at once."""
    lines = [f"export {name}={quote(value)}" for name, value in sorted(variables.items()) if _is_plain(name)]
    return "\n".join(['rm -f -- "$0"', *lines, script])


def _is_plain(name: str) -> bool:
    return name.replace("_", "a").isalnum() and not name[0].isdigit() and not name.startswith("BASH_FUNC")


def _under_systemd(settings: Settings, script: str, submission: str, task: int, known: Mapping[str, str]) -> str:
    file = logs_folder(settings) / f"{submission}-{task}.start"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(start_file(script, {**_login_variables(), **known}))
    except OSError as error:
        raise SubmissionRefused(f"{file} cannot be written: {error.strerror}") from error
    done = _run(systemd_line(file, submission, task), 30.0)
    if done is None or done.returncode != 0:
        file.unlink(missing_ok=True)
        said = " ".join(done.stderr.split()) if done is not None else "no answer in 30 s"
        raise SchedulerUnavailable(f"systemd-run: {said}")
    shown = _run(["systemctl", "--user", "show", "--property=MainPID", "--value", unit_name(submission, task)])
    return find_number(int(shown.stdout)) if shown is not None and shown.stdout.strip().isdecimal() else ""


def _login_variables() -> dict[str, str]:
    """systemd's own start with a bare environment. What belongs to the login itself is over with it."""
    over = ("SSH_", "XDG_SESSION", "DBUS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(over) and name not in ("_", "PWD")}


def _run(line: Sequence[str], patience_s: float = _PATIENCE_S) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=patience_s,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
