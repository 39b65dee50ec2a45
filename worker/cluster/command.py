"""Calling a scheduler's programme: its answer, or its own words about why there is none."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from store.errors import SchedulerMissing, SchedulerUnavailable

PATIENCE_S = 15.0
"""With its controller dead, a Slurm command gives up by itself after nine seconds or so."""

SUBMIT_S = 60.0
"""A busy controller takes its time to accept an array."""


def answer(command: Sequence[str], patience_s: float = PATIENCE_S) -> str:
    """What it prints. Raises SchedulerUnavailable: not there, no answer in time, or an answer with an exit code."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=patience_s,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise SchedulerUnavailable(f"{command[0]} does not answer within {patience_s:g} s") from error
    except OSError as error:
        raise SchedulerUnavailable(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split())[:500]
        raise SchedulerUnavailable(f"{command[0]}: {words or f'exit code {done.returncode}'}")
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a programme said."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Its complaint, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines()]
        return "; ".join(line for line in lines if line and line != "Exiting.") or f"exit code {self.code}"


def ask(
    command: Sequence[str],
    *,
    of: str,
    timeout_s: float = PATIENCE_S,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Answer:
    """Raises SchedulerMissing, SchedulerUnavailable. `of`: the scheduler's name, for the complaint."""
    # Words are recognised: not in the language of the user. (What is submitted keeps the user's.)
    variables = {**os.environ, "LC_ALL": "C"} if env is None else dict(env)
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
            env=variables,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise SchedulerMissing(
            f"{command[0]} was not found: no {of} on this machine, or not in PATH; go where jobs are submitted"
        ) from error
    except PermissionError as error:
        raise SchedulerMissing(f"{command[0]} may not be executed: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        said = _said(error.stderr)
        raise SchedulerUnavailable(
            f"{of} does not answer: {command[0]} took longer than {timeout_s:g} s{said}"
        ) from error
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


def _said(output: bytes | str | None) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f" ({line})" if line else ""
