"""Parameters of the built-in trainer, checked by itself: the queue knows no trainer from inside."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import IO, Any

from queueing.expand import Definition, configurations

_TRAINER_MODULES = {"rnn": "trainer"}
_CHECK_S = 120.0
_A_RUN_S = 0.001
_MOST_TOLD = 100


def trainer_mistakes(definition: Definition) -> list[str]:
    """What the trainer refuses, each mistake once."""
    return refused(definition, (params for params, _ in configurations(definition)))


def refused(definition: Definition, asked_about: Iterable[dict[str, Any]]) -> list[str]:
    """What the trainer refuses of these parameters. Files, not pipes: a million configurations need no memory."""
    trainer = definition.task.trainer
    assert trainer is not None
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as answered:
        for params in asked_about:
            asked.write(json.dumps(params) + "\n")
        asked.seek(0)
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-E", "-m", _TRAINER_MODULES[trainer], "--check"], stdin=asked, stdout=answered,
                stderr=subprocess.PIPE, text=True, timeout=_CHECK_S + definition.size * _A_RUN_S,
                cwd=definition.task.workdir, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"trainer {trainer}: the check failed: {error}"]
        if done.returncode != 0:
            return [f"trainer {trainer}: the check failed: {done.stderr.strip()[-500:]}"]
        answered.seek(0)
        return [f"params: {mistake}" for mistake in _mistakes(answered)]


def _mistakes(answers: IO[str]) -> list[str]:
    found: dict[str, None] = {}
    for line in answers:
        found.update(dict.fromkeys(json.loads(line)))
        if len(found) > _MOST_TOLD:
            break
    return list(found)
