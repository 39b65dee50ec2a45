"""`labq stop`, `pause`, `resume`, `requeue`, `priority`."""

import argparse
import sys
from collections.abc import Callable

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.people import carry_out, pause_change, priority_change, requeue_change, resume_change, stop_change
from store.changes import Change
from store.errors import ExitCode
from store.runs import Run, short
from store.states import State, Wish
from store.store import Store

_ASKED = {
    Wish.CANCEL: "asked to stop",
    Wish.PAUSE: "asked to checkpoint and pause",
    Wish.REQUEUE: "asked to checkpoint and requeue",
}


def stop(options: argparse.Namespace) -> int:
    """A waiting run is cancelled now, a running one as soon as it hears of it, after its grace."""
    return _change(options, stop_change(), _state_words)


def pause(options: argparse.Namespace) -> int:
    """A waiting run is not claimed until it is resumed; a running one checkpoints first."""
    return _change(options, pause_change(), _state_words)


def resume(options: argparse.Namespace) -> int:
    """A paused run waits again, an ended one goes on from its checkpoint."""
    return _change(options, resume_change(), _state_words)


def requeue(options: argparse.Namespace) -> int:
    """An ended run goes on from its checkpoint; a running one checkpoints and goes back into the queue."""
    return _change(options, requeue_change(scratch=options.scratch), _state_words)


def priority(options: argparse.Namespace) -> int:
    """Those with a greater one are claimed first."""
    return _change(options, priority_change(options.priority), lambda run: f"priority {run.priority}, {run.state}")


def _change(options: argparse.Namespace, change: Change, words: Callable[[Run], str]) -> int:
    """Each run by itself: a mistake about one does not keep the others from being changed."""
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        changed = carry_out(store, doorbell, _named(store, options), change)
    for message in (changed.refused or {}).values():
        print(f"labq: {message}", file=sys.stderr)
    if options.json:
        print_json({run.id: words(run) for run in changed.runs})
    else:
        for run in changed.runs:
            print(f"{short(run.id)}: {words(run)}")
    return ExitCode.USER_ERROR if changed.refused else ExitCode.OK


def _named(store: Store, options: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(store.run(name).id for name in options.runs))


def _state_words(run: Run) -> str:
    if run.state is State.RUNNING:
        return _ASKED[run.wish] if run.wish is not None else "goes on"
    return run.state.value
