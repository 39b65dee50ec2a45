"""Verbs of the built-in trainer. It is a programme of its own, so each starts it as one."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from queueing.cli.checkpoint import chosen_checkpoint, fetched
from queueing.cli.context import opened_store
from store.errors import UserError
from store.runs import short

# -P and -E: the trainer is ours, whatever lies in the folder we stand in or in PYTHONPATH.
TRAINER = (sys.executable, "-P", "-E", "-m", "trainer")


def sample(options: argparse.Namespace) -> int:
    """Draw sentences from the newest or best checkpoint of a run of the trainer's language model."""
    with opened_store() as store:
        run = store.run(options.run)
        if run.task.trainer is None:
            raise UserError(
                f"run {short(run.id)} is not one of the built-in trainer; its checkpoint is its script's own"
            )
        found = chosen_checkpoint(store, run, best=False)  # each holds the best weights beside its own
        with TemporaryDirectory(prefix="labq-sample-") as folder:
            path = fetched(store, found, Path(folder))
            return _trainer(["--sample", str(path), *_sampling(options)])


def warm(options: argparse.Namespace) -> int:
    """Compile every kernel for both precisions, or find that this has been done."""
    return _trainer(["--warm", *(["--json"] * options.json)])


def bench(options: argparse.Namespace) -> int:
    """Time and loss of the language model by number of threads and batch size, synchronous and asynchronous."""
    return _trainer(["--bench", *(["--quick"] * options.quick), *(["--json"] * options.json)])


def _sampling(options: argparse.Namespace) -> list[str]:
    told = ["--count", str(options.count), "--seed", str(options.seed), "--temperature", str(options.temperature)]
    told += ["--best"] * options.best
    return [*told, f"--prefix={options.prefix}", *(["--json"] * options.json)]


def _trainer(arguments: Sequence[str]) -> int:
    return subprocess.run([*TRAINER, *arguments], check=False).returncode
