"""`labq worker`."""

import argparse
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from store.errors import UserError
from store.logbook import open_logbook
from store.settings import load
from worker.cluster.words import duration, size


def worker(options: argparse.Namespace) -> int:
    """One worker in this process, or several in processes of their own."""
    open_logbook()
    settings = load().settings
    given_s = _given_s(options.until)  # a mistake is told before anything is imported
    run_only = _whole_id(options.run_only, options.count)
    if options.count > 1:
        from worker.crew import Crew

        return Crew(options.count, _arguments(options, given_s)).run()
    from worker.cluster.here import granted_here
    from worker.loop import Loop, Offer
    from worker.term import Term

    settings = replace(settings, queue=options.queue or settings.queue)
    offer = Offer(
        queue=settings.queue,
        tags=tuple(options.tag),
        gpus=options.gpus,
        slots_per_gpu=options.slots_per_gpu,
        burst=options.burst,
        cpus=options.cpus,
        memory_bytes=size("--memory", options.memory),
        idle_exit_s=duration("--idle-exit", options.idle_exit),
        run_only=run_only,
    )
    granted, margin_s = granted_here(os.environ), settings.until_margin_s
    return Loop(settings, offer, Term(granted, given_s=_given_s(options.until), margin_s=margin_s)).run()


def _whole_id(run: str | None, count: int) -> str | None:
    """Raises UserError."""
    if run is not None and (count > 1 or not re.fullmatch("[a-z0-9]{12}", run)):
        raise UserError(f"--run-only {run!r}: allowed: the whole id of one run, for one worker (-n 1)")
    return run


def _given_s(until: str | None) -> float | None:
    """`+4h`, `18:00` or `2026-11-22T04:00` as seconds from now. Raises UserError."""
    if until is None:
        return None
    from queueing.cli.workers import seconds_until

    return seconds_until(until.removeprefix("+"), datetime.now().astimezone(), "--until")


def _arguments(options: argparse.Namespace, given_s: float | None) -> list[str]:
    """The options of one of several workers. One that is started again later has no more time than the others."""
    arguments = [f"--gpus={options.gpus}", f"--slots-per-gpu={options.slots_per_gpu}"]
    arguments += [f"--tag={tag}" for tag in options.tag]
    for name, value in (
        ("queue", options.queue), ("cpus", options.cpus), ("memory", options.memory), ("idle-exit", options.idle_exit)
    ):  # fmt: skip
        arguments += [f"--{name}={value}"] if value else []
    if given_s is not None:
        arguments.append(f"--until={(datetime.now(UTC) + timedelta(seconds=given_s)).isoformat()}")
    return arguments + (["--burst"] if options.burst else [])
