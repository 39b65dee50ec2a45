"""`labq workers`, `labq workers start`, `labq workers stop`."""

import argparse
import sys

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from store.allocations import Allocation
from store.errors import ExitCode, UserError
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.hosts_cli import refuse_hosts, start_on_hosts
from worker.cluster.look import look_everywhere
from worker.cluster.place import Place, place_from
from worker.cluster.stopping import Stopped, chosen_ones, stop_places
from worker.cluster.submit import Asked, Submitter, cluster_of, script_of


def workers(options: argparse.Namespace) -> int:
    """Who lives, and what has become of the places that were asked for."""
    from queueing.cli.workers import workers as list_workers

    chosen = settings()
    with opened_store(chosen) as store:
        troubles = look_everywhere(store, chosen)
    code = list_workers(options)
    for trouble in troubles:
        print(f"labq: {trouble}", file=sys.stderr)
    return code


def start(options: argparse.Namespace) -> int:
    """Ask for places, or show the script that would."""
    chosen = settings()
    scheduler = Scheduler(options.on)
    if scheduler is Scheduler.SSH:
        return start_on_hosts(options, chosen)
    refuse_hosts(options)
    place = place_from(options, chosen, scheduler)
    if options.dry_run:
        print(_script(place, scheduler, chosen, options.count), end="")
        return ExitCode.OK
    cluster = cluster_of(scheduler, chosen)
    name = cluster.name()  # before MongoDB: a machine without the scheduler is told so
    with opened_store(chosen) as store:
        submitter = Submitter(store, cluster, chosen)
        submitter.check(place)
        asked = submitter.ask(place, options.count)
    return _told(asked, options, name)


def _script(place: Place, scheduler: Scheduler, chosen: Settings, count: int) -> str:
    script = script_of(cluster_of(scheduler, chosen), place, chosen)
    return script if count == 1 else f"{script}# submitted as arrays of {count} tasks in all\n"


def _told(asked: Asked, options: argparse.Namespace, cluster: str) -> int:
    if options.json:
        print_json({"allocations": asked.ids, "refusal": asked.refusal})
    else:
        verb = "started" if options.on == Scheduler.LOCAL else "asked for"
        print(f"{_workers(len(asked.ids))} {verb} on {options.on} ({cluster}): {_ids(asked.ids)}")
        print("see: labq workers")
    if asked.refusal:
        print(f"labq: {len(asked.ids)} of {options.count} asked for: {asked.refusal}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def stop(options: argparse.Namespace) -> int:
    """What waits is cancelled, what works leaves."""
    chosen = settings()
    if not (options.which or options.on or options.all):
        raise UserError("say which: an ID of labq workers, a host of --on ssh, --on slurm, sge, local or ssh, or --all")
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        troubles = look_everywhere(store, chosen)
        scheduler = Scheduler(options.on) if options.on else None
        ones = chosen_ones(store, chosen, options.which, scheduler)
        stopped = stop_places(store, doorbell, chosen, ones, now=options.now)
    for trouble in (*troubles, *stopped.troubles):
        print(f"labq: {trouble}", file=sys.stderr)
    if options.json:
        print_json({"cancelled": stopped.cancelled, "leaving": stopped.leaving})
    else:
        print(_stopped_words(stopped, ones, now=options.now))
    return ExitCode.UNAVAILABLE if stopped.troubles else ExitCode.OK


def _stopped_words(stopped: Stopped, ones: list[Allocation], *, now: bool) -> str:
    if not ones:
        return "there is none to stop"
    how = "now; what they run checkpoints and goes back to the queue" if now else "after what they run"
    words = [f"{_workers(len(stopped.cancelled))} cancelled"] if stopped.cancelled else []
    words += [f"{_workers(len(stopped.leaving))} to leave {how}"] if stopped.leaving else []
    return ", ".join(words) or "nothing could be stopped"


def _workers(count: int) -> str:
    return f"{count} worker" + "s" * (count != 1)


def _ids(ids: tuple[str, ...]) -> str:
    submissions = list(dict.fromkeys(one.rpartition("-")[0] for one in ids))
    return ", ".join(submissions)
