"""`labq why`."""

import argparse

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.why import Situation, why
from store.errors import DoorbellUnavailable, ExitCode
from store.runs import short
from store.settings import Settings
from store.store import Store


def explain(options: argparse.Namespace) -> int:
    """What a run waits for, or what it is doing."""
    chosen = settings()
    with opened_store(chosen) as store:
        found = situation(store, chosen, options.run)
    answers = why(found)
    if options.json:
        print_json({"run": found.run.id, "state": found.run.state, "because": answers})
        return ExitCode.OK
    print(f"{short(found.run.id)} ({found.run.experiment}) is {found.run.state}:")
    for answer in answers:
        print(f"  {answer.text}")
        if answer.advice:
            print(f"    → {answer.advice}")
    return ExitCode.OK


def situation(store: Store, chosen: Settings, name: str) -> Situation:
    """What MongoDB knows about it now. Raises NoSuchRun, AmbiguousId, StoreUnavailable."""
    run = store.run(name)
    return Situation(
        run=run,
        now=store.now(),
        workers=tuple(store.workers(chosen.living_s)),
        places=tuple(one for one in store.allocations(0) if one.run == run.id and not one.is_over),
        drains=tuple(store.drains()),
        events=tuple(store.events(run.id)),
        ahead=store.ahead(run),
        redis_answers=_redis_answers(chosen),
        look_s=chosen.look_s,
        paces=store.paces(run.experiment),
        ours=run.task.trainer is not None,
        margin_s=chosen.until_margin_s,
    )


def _redis_answers(chosen: Settings) -> bool:
    try:
        with opened_doorbell(chosen) as doorbell:
            doorbell.version()
    except DoorbellUnavailable:
        return False
    return True
