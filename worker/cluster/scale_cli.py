"""`labq scale`."""

import argparse
import signal
import threading
from contextlib import suppress
from dataclasses import replace

from queueing.cli.context import opened_store, print_json, settings
from store.errors import ExitCode, LabqError, Unavailable
from store.logbook import open_logbook, say, warn
from store.schedulers import Scheduler
from worker.cluster.place import Place, place_from
from worker.cluster.scale import Scaled, Scaler, tell
from worker.cluster.submit import Submitter, cluster_of
from worker.cluster.words import duration

_IDLE_S = 600.0


def scale(options: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C; with `--once` one round."""
    open_logbook()
    chosen = settings()
    scheduler = Scheduler(options.on)
    place = place_from(options, chosen, scheduler)
    place = place if place.idle_exit_s else replace(place, idle_exit_s=_IDLE_S)
    cluster = cluster_of(scheduler, chosen)
    cluster.name()  # before MongoDB: a machine without the scheduler is told so
    every_s = duration("--every", options.every) or 15.0
    with opened_store(chosen) as store:
        Submitter(store, cluster, chosen).check(place)
        scaler = Scaler(store, cluster, chosen, place, options.max, every_s)
        try:
            if options.once:
                return _told(scaler.round(), as_json=options.json)
            return _rounds(scaler, place, every_s, options.max)
        finally:
            with suppress(Unavailable):
                scaler.leave()


def _told(scaled: Scaled, *, as_json: bool) -> int:
    if as_json:
        print_json(scaled)
    else:
        print(f"{len(scaled.asked)} asked for, {len(scaled.given_back)} given back, {scaled.open} places in all")
        for words in filter(None, (scaled.because, scaled.refusal, "" if scaled.is_ours else "another scaler decides")):
            print(words)
    return ExitCode.FAILED if scaled.refusal else ExitCode.OK


def _rounds(scaler: Scaler, place: Place, every_s: float, most: int) -> int:
    """A server or a scheduler that is away is waited for: longer every time, up to a minute or so."""
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    say("scaling", queue=place.queue, most=most, every_s=every_s)
    before: Scaled | None = None
    troubles = 0
    while not leave.is_set():
        try:
            scaled = scaler.round()
            tell(scaled, before)
            before, troubles = scaled, 0
        except Unavailable as error:
            troubles += 1
            warn("away", error=error)
        except LabqError as error:
            troubles += 1
            warn("round-failed", error=error)
        leave.wait(every_s * min(2**troubles, 8))
    say("scaler-left", queue=place.queue)
    return ExitCode.OK
