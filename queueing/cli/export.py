"""`labq tensorboard`, `labq mlflow`: runs for the tools of others."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from queueing.cli.context import opened_store
from queueing.exports.chosen import chosen
from store.errors import ExitCode
from store.runs import Run
from store.store import Store


def tensorboard(options: argparse.Namespace) -> int:
    """Event files; what has not changed since the last time is left alone."""
    from queueing.exports.tensorboard import write

    folder = Path(options.folder)
    code = _export(options, lambda run, store: write(run, store, folder), str(folder))
    if code == ExitCode.OK and not options.json:
        print(f"look: tensorboard --logdir {folder}", file=sys.stderr)
    return code


def mlflow(options: argparse.Namespace) -> int:
    """A tracking store."""
    from queueing.exports.mlflow import Tracking

    return _export(options, Tracking(options.uri).put, options.uri)


def _export(options: argparse.Namespace, export: Callable[[Run, Store], bool], where: str) -> int:
    new, unchanged = 0, 0
    with opened_store() as store:
        for run in chosen(" ".join(options.query), store):
            if export(run, store):
                new += 1
            else:
                unchanged += 1
    if options.json:
        print(json.dumps({"exported": new, "unchanged": unchanged, "to": where}))
    elif not new and not unchanged:
        print("no run that has begun matches")
    else:
        print(f"{new} exported to {where}" + (f", {unchanged} unchanged since the last time" if unchanged else ""))
    return ExitCode.OK
