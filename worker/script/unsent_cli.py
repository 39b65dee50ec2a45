"""`labq send --unsent`."""

import argparse

from queueing.cli.context import opened_store, print_json, settings
from store.errors import ExitCode
from store.logbook import open_logbook
from store.runs import short
from worker.script.unsent import Unsent, each


def send_unsent(options: argparse.Namespace) -> int:
    """Store what ended while MongoDB was away, and what was left by those who were killed."""
    open_logbook(quiet=True)
    rows: list[dict[str, str]] = []

    def tell(one: Unsent, said: str) -> None:
        rows.append({"run": one.run.id, "folder": str(one.path), "problem": said})
        if not options.json:
            where = f"; it lies in {one.path}" if said else ""
            print(f"{short(one.run.id)} of {one.run.experiment}: {said or 'stored'}{where}")

    chosen = settings()
    with opened_store(chosen) as store:
        left = each(chosen, store, tell)
    if options.json:
        print_json(rows)
    elif not rows:
        print("nothing is left to be stored on this machine")
    return ExitCode.FAILED if left else ExitCode.OK
