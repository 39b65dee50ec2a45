"""`labq stop`, `pause`, `resume`, `requeue`, `priority`."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.people import carry_out, pause_change, priority_change, requeue_change, resume_change, stop_change
from queueing.query.asking import understood
from store.changes import Change, Changed
from store.errors import AmbiguousId, ExitCode, NoSuchRun, UserError
from store.runs import Run, short
from store.states import State, Wish
from store.store import RunQuery, Store

_SHOWN = 20

_ASKED = {
    Wish.CANCEL: "asked to stop",
    Wish.PAUSE: "asked to checkpoint and pause",
    Wish.REQUEUE: "asked to checkpoint and requeue",
}


_WAITING_OR_RUNNING = (State.QUEUED, State.PAUSED, State.RUNNING)


def _state_words(run: Run) -> str:
    if run.state is State.RUNNING:
        return _ASKED[run.wish] if run.wish is not None else "goes on"
    return run.state.value


def stop(options: argparse.Namespace) -> int:
    """A waiting run is cancelled now, a running one as soon as it hears of it, after its grace."""
    return _change(options, stop_change(), _WAITING_OR_RUNNING)


def pause(options: argparse.Namespace) -> int:
    """A waiting run is not claimed until it is resumed; a running one checkpoints first."""
    return _change(options, pause_change(), (State.QUEUED, State.RUNNING))


def resume(options: argparse.Namespace) -> int:
    """A paused run waits again, an ended one goes on from its checkpoint."""
    return _change(options, resume_change(), (State.PAUSED,))


def requeue(options: argparse.Namespace) -> int:
    """An ended run goes on from its checkpoint; a running one checkpoints and goes back into the queue."""
    suited = (State.FAILED, State.CANCELLED, *([State.FINISHED] if options.scratch else [State.RUNNING]))
    return _change(options, requeue_change(scratch=options.scratch), suited)


def priority(options: argparse.Namespace) -> int:
    """Those with a greater one are claimed first."""
    change = priority_change(options.priority)
    return _change(options, change, _WAITING_OR_RUNNING, lambda run: f"priority {run.priority}, {run.state}")


def _change(
    options: argparse.Namespace,
    change: Change,
    suited: tuple[State, ...],
    words: Callable[[Run], str] = _state_words,
) -> int:
    """Each run by itself: a mistake about one does not keep the others from being changed.

    A query is meant of runs whose state it suits: nobody wants to hear of those that had ended long ago.
    """
    if bool(options.runs) == bool(options.where):
        raise UserError("name runs, or say which with --where QUERY (and not both)")
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        unknown: dict[str, str] = {}
        ids = _meant(store, options.where, suited) if options.where else _named(store, options.runs, unknown)
        if options.dry_run:
            return _would_change(store, ids, unknown, as_json=options.json)
        changed = carry_out(store, doorbell, ids, change)
    refused = {**unknown, **(changed.refused or {})}
    if options.json:
        print_json({run.id: words(run) for run in changed.runs})
    elif options.where:
        _print_counts(changed, words)
    else:
        for run in changed.runs:
            print(f"{short(run.id)}: {words(run)}")
    if options.where or not refused:  # those that changed by themselves since the query are no mistake
        return ExitCode.OK
    return _complain(refused)


def _named(store: Store, names: Sequence[str], unknown: dict[str, str]) -> list[str]:
    """The ids of those that there are; what is wrong with the other names goes into `unknown`."""
    ids: list[str] = []
    for name in names:
        try:
            ids.append(store.run(name).id)
        except (NoSuchRun, AmbiguousId) as error:
            unknown[name] = str(error)
    return list(dict.fromkeys(ids))


def _complain(messages: dict[str, str]) -> int:
    for message in messages.values():
        print(f"labq: {message}", file=sys.stderr)
    return ExitCode.USER_ERROR if messages else ExitCode.OK


def _meant(store: Store, where: str, suited: tuple[State, ...]) -> list[str]:
    return store.run_ids(RunQuery(where=understood(where, store), states=suited))


def _would_change(store: Store, ids: list[str], unknown: dict[str, str], *, as_json: bool) -> int:
    if as_json:
        print_json({"runs": ids})
        return _complain(unknown)
    for run in store.runs(RunQuery(ids=tuple(ids[:_SHOWN]))):
        print(f"{short(run.id)}: {run.experiment}, {run.state}")
    print(f"{len(ids)} runs are meant")
    return _complain(unknown)


def _print_counts(changed: Changed, words: Callable[[Run], str]) -> None:
    """A few one by one, many by kind."""
    if len(changed.runs) <= _SHOWN:
        for run in changed.runs:
            print(f"{short(run.id)}: {words(run)}")
    else:
        for what, number in Counter(words(run) for run in changed.runs).items():
            print(f"{number} runs: {what}")
    if changed.refused:
        print(f"{len(changed.refused)} runs left alone: {next(iter(changed.refused.values()))}")
    if not changed.runs:
        print("no run fits")
