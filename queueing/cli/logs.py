"""`labq logs RUN`: the output, now or as it comes."""

import argparse
import sys
import time

from queueing.cli.context import opened_store, print_json
from store.errors import ExitCode, UserError
from store.runs import Run, newest_attempt
from store.states import ENDED
from store.store import Store

_POLL_S = 0.5


def logs(options: argparse.Namespace) -> int:
    """One attempt's stdout and stderr, in the order they were written."""
    with opened_store() as store:
        run = store.run(options.run)
        if options.attempt is not None and not 1 <= options.attempt <= run.attempt:
            known = f"has the attempts 1 to {run.attempt}" if run.attempt else "has not been tried yet"
            raise UserError(f"run {run.id} {known}; there is no attempt {options.attempt}")
        attempt = options.attempt or newest_attempt(run)
        if options.json:
            data = b"".join(chunk.data for chunk in store.log(run.id, attempt))
            print_json({"run": run.id, "attempt": attempt, "output": data.decode(errors="replace")})
        elif options.follow:
            _follow(store, run, attempt, fixed=options.attempt is not None)
        else:
            _print_from(store, run.id, attempt, 0)
    return ExitCode.OK


def _follow(store: Store, run: Run, attempt: int, *, fixed: bool) -> None:
    """Until the run has ended, over attempts, unless one was named."""
    offset = 0
    while True:
        over = run.state in ENDED or (fixed and run.attempt > attempt)
        offset = _print_from(store, run.id, attempt, offset)
        if over:
            return
        if run.attempt > attempt:
            attempt, offset = run.attempt, 0
            print(f"\n── attempt {attempt} ──", file=sys.stderr)
            continue
        time.sleep(_POLL_S)
        run = store.run(run.id)


def _print_from(store: Store, run_id: str, attempt: int, offset: int) -> int:
    for chunk in store.log(run_id, attempt, offset):
        sys.stdout.buffer.write(chunk.data)
        offset = chunk.offset + len(chunk.data)
    sys.stdout.flush()
    return offset
