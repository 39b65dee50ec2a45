"""`labq stop`, `labq requeue`."""

import argparse
import sys
from collections.abc import Callable

from queueing.cli.context import opened_store, print_json, settings
from store.errors import DoorbellUnavailable, ExitCode, UserError
from store.runs import Run, short
from store.settings import Settings
from store.states import State, Wish
from store.store import Store


def stop(options: argparse.Namespace) -> int:
    """A waiting run is cancelled now, a running one at its next renewal, after its grace."""
    with opened_store() as store:

        def cancel(run: Run) -> str:
            state = store.wish(run.id, Wish.CANCEL)
            return "asked to stop" if state is State.RUNNING else state.value

        return _each(store, options, cancel)


def requeue(options: argparse.Namespace) -> int:
    """An ended run goes on from its checkpoint; a running one checkpoints and goes back into the queue."""
    chosen = settings()
    with opened_store(chosen) as store:

        def again(run: Run) -> str:
            if run.state is State.RUNNING and not options.scratch:
                store.wish(run.id, Wish.REQUEUE)
                return "asked to checkpoint and requeue"
            _ring(chosen, store.requeue(run.id, scratch=options.scratch))
            return State.QUEUED.value

        return _each(store, options, again)


def _each(store: Store, options: argparse.Namespace, change: Callable[[Run], str]) -> int:
    """One run after the other: a mistake in one id does not keep the others from being changed."""
    done: dict[str, str] = {}
    code = ExitCode.OK
    for run in {run.id: run for run in (store.run(name) for name in options.runs)}.values():
        try:
            done[run.id] = change(run)
        except UserError as error:
            print(f"labq: {error}", file=sys.stderr)
            code = error.exit_code
    if options.json:
        print_json(done)
    else:
        for name, what in done.items():
            print(f"{short(name)}: {what}")
    return code


def _ring(chosen: Settings, run: Run) -> None:
    """Workers find the run by themselves if Redis is away."""
    from queueing.doorbell import Doorbell
    from store.connect import redis_url

    try:
        doorbell = Doorbell(redis_url(chosen), chosen.redis_timeout_s)
        doorbell.ring([(run.id, run.attempt, run.queue)])
    except DoorbellUnavailable:
        pass
