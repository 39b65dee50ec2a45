"""A machine where labq does not answer: what a plain shell can say about why."""

from collections.abc import Mapping
from shlex import split

from store.errors import LabqError, SchedulerMissing, SchedulerUnavailable
from worker.cluster.command import Answer
from worker.cluster.ssh import Call, Ssh

MARK = "labq-probe:"

PROBE = f"""\
tell() {{ printf '\\n{MARK}%s=%s\\n' "$1" "$2"; }}
tell host "$(hostname 2>/dev/null || uname -n)"
tell path "$PATH"
tell python "$(command -v python3)"
tell version "$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)"
tell labq "$(command -v labq)"
tell login "$("${{SHELL:-/bin/sh}}" -l -c 'command -v labq' 2>/dev/null </dev/null | tail -n 1)"
for place in "$HOME/.local/bin/labq" "$HOME"/labq/.venv/bin/labq "$HOME"/.venv/bin/labq "$HOME"/venv/bin/labq; do
    [ -x "$place" ] && tell seen "$place"
done
"""
"""For `sh -s`: it works in every login shell."""

_OLDEST = (3, 11)


def probe(ssh: Ssh, host: str) -> dict[str, str]:
    """What it found; empty when not even a shell answers. Raises SchedulerMissing, SchedulerUnavailable."""
    said = ssh.call(Call(host=host, remote="exec sh -s", stdin=PROBE))
    found: dict[str, str] = {}
    for line in said.out.splitlines():
        if line.startswith(MARK):
            name, _, value = line.removeprefix(MARK).partition("=")
            found[name] = value.strip()
    return found


def absent(ssh: Ssh, host: str, command: str, said: Answer) -> SchedulerMissing | SchedulerUnavailable:
    """Why the command over there gave no answer of ours."""
    words = f"{_last_line(said)} (exit code {said.code})"
    try:
        return SchedulerMissing(why_absent(probe(ssh, host), command, words))
    except LabqError:
        return SchedulerMissing(f"no answer of labq: {words}")


def why_absent(found: Mapping[str, str], command: str, words: str) -> str:
    """A pure function: its own words first, then what to do."""
    begin = f"{command} gave no answer: {words}"
    there = found.get("login") or found.get("seen") or ""
    if "invalid choice" in words or "unrecognized arguments" in words:
        return f"{begin}; labq there is too old: install the same version as here"
    if not found or (found.get("labq") and split(command)[:1] == ["labq"]):
        return f"{begin}; try it: ssh HOST {command} --version"
    if there and split(command)[:1] == ["labq"]:
        return (
            f"{begin}; a login shell finds it, ssh does not (PATH is {found.get('path', '')}: "
            f"~/.profile is not read): --labq {there}, or remote_labq in labq.toml"
        )
    return f"{begin}; {_to_install(found)}"


def _to_install(found: Mapping[str, str]) -> str:
    version = found.get("version", "")
    if not version:
        return "no python3 there either: labq needs Python 3.11 or newer; or say where labq is: --labq PATH"
    if is_too_old(version):
        return f"Python {version} there is too old: labq needs 3.11 or newer; if there is another: --labq PATH"
    return (
        f"Python {version} is there: install labq (python3 -m venv ~/labq && ~/labq/bin/pip install labq) and say "
        "--labq ~/labq/bin/labq"
    )


def is_too_old(version: str) -> bool:
    """Of `3.9.2`."""
    parts = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    return len(parts) == 2 and tuple(parts) < _OLDEST


def _last_line(said: Answer) -> str:
    lines = [line.strip() for line in (said.err or said.out).splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
