"""Calling a scheduler's programme: its answer, or its own words about why there is none."""

import subprocess
from collections.abc import Sequence

from store.errors import SchedulerUnavailable

PATIENCE_S = 15.0
"""With its controller dead, a Slurm command gives up by itself after nine seconds or so."""


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
