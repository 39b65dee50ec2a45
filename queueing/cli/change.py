"""`labq stop`, `labq requeue`."""

import argparse

from queueing.cli.context import opened_store, print_json, settings
from store.errors import DoorbellUnavailable, ExitCode
from store.runs import Run, short
from store.settings import Settings
from store.states import State, Wish


def stop(options: argparse.Namespace) -> int:
    """A waiting run is cancelled now, a running one at its next renewal, after its grace."""
    with opened_store() as store:
        runs = {run.id: run for run in (store.run(name) for name in options.runs)}
        states = {run.id: store.wish(run.id, Wish.CANCEL) for run in runs.values()}
    if options.json:
        print_json(states)
        return ExitCode.OK
    for run, state in states.items():
        print(f"{short(run)}: {'asked to stop' if state is State.RUNNING else state}")
    return ExitCode.OK


def requeue(options: argparse.Namespace) -> int:
    """An ended run goes on from its checkpoint; a running one checkpoints and goes back into the queue."""
    chosen = settings()
    with opened_store(chosen) as store:
        done: dict[str, str] = {}
        ended: list[Run] = []
        for run in {run.id: run for run in (store.run(name) for name in options.runs)}.values():
            if run.state is State.RUNNING and not options.scratch:
                store.wish(run.id, Wish.REQUEUE)
                done[run.id] = "asked to checkpoint and requeue"
            else:
                ended.append(store.requeue(run.id, scratch=options.scratch))
                done[run.id] = State.QUEUED.value
    _ring(chosen, ended)
    if options.json:
        print_json(done)
        return ExitCode.OK
    for name, what in done.items():
        print(f"{short(name)}: {what}")
    return ExitCode.OK


def _ring(chosen: Settings, runs: list[Run]) -> None:
    """Workers find the runs by themselves if Redis is away."""
    from queueing.doorbell import Doorbell
    from store.connect import redis_url

    try:
        doorbell = Doorbell(redis_url(chosen), chosen.redis_timeout_s)
        doorbell.ring([(run.id, run.attempt, run.queue) for run in runs])
    except DoorbellUnavailable:
        pass
