"""`labq enqueue`, with `--on`: each run is to have a job of its own."""

import argparse

from queueing.cli.enqueue import enqueue_file
from store.errors import UserError
from store.settings import load

_OF_JOBS = ("time", "partition", "account", "constraint", "option", "module")


def enqueue(options: argparse.Namespace) -> int:
    """Without `--on` as ever: whichever worker is free takes a run."""
    if options.on is None:
        if given := [name for name in _OF_JOBS if getattr(options, name)]:
            raise UserError(f"--{given[0]} is for jobs: say where, such as --on slurm")
        return enqueue_file(options)
    from worker.cluster.asking import Asking

    asking = Asking(options, load().settings)
    return enqueue_file(options, asking) or asking.code
