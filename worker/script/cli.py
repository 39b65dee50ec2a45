"""`labq exec`: a command of somebody's own script as a run."""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import BadSettings, UserError
from store.identity import user_name
from store.logbook import open_logbook
from store.runs import Run, short
from store.settings import Settings, load
from worker.script.around import Around, around
from worker.script.wanted import Wanted, name_for, params_of

if TYPE_CHECKING:
    from worker.script.shared import Shared


def exec_command(options: argparse.Namespace) -> int:
    """Run it, track it, end as it did."""
    from worker.script.front import cannot_begin, untracked

    command = tuple(options.command[1:] if options.command[:1] == ["--"] else options.command)
    if not command and options.resume is None:
        raise UserError("labq exec: no command; write it after --, as in: labq exec --name EXP -- python train.py")
    if os.environ.get("LABQ_RUN") and os.environ.get("LABQ_EVENTS") and command:
        if not options.quiet:
            print(f"labq: part of run {short(os.environ['LABQ_RUN'])}, which is tracked already", file=sys.stderr)
        return untracked(command)
    job = around(os.environ)
    try:
        settings = load().settings
    except BadSettings as error:  # labq's own trouble, for which no programme waits
        print(f"labq: {error}\nlabq: the programme is begun without labq", file=sys.stderr)
        return untracked(command)
    wanted = wanted_of(options, command, job, settings)
    if command and (code := cannot_begin(command)) is not None:
        return code
    open_logbook(quiet=not options.verbose)
    return _carried_out(options, settings, wanted, job)


def wanted_of(options: argparse.Namespace, command: tuple[str, ...], job: Around | None, settings: Settings) -> Wanted:
    """Raises UserError."""
    return Wanted(
        experiment=options.name or name_for(command, job),
        command=command,
        workdir=str(Path.cwd()),
        params=params_of(options.param, command),
        tags=tuple(dict.fromkeys(options.tag)),
        queue=settings.queue,
        grace_s=_grace_s(options.grace),
        notify_to=told(options.notify, settings),
        key=options.key,
        resume=options.resume,
        owner=user_name(),
    )


def _grace_s(text: str | None) -> float:
    from worker.cluster.words import duration

    return 30.0 if text is None else duration("--grace", text) or 30.0


def told(given: list[str], settings: Settings) -> tuple[str, ...]:
    """Raises UserError."""
    from store.recipients import recipient_mistake

    for to in given:
        if mistake := recipient_mistake(to, settings.notify_targets):
            raise UserError(f"--notify: {mistake}")
    return tuple(given)


def _carried_out(options: argparse.Namespace, settings: Settings, wanted: Wanted, job: Around | None) -> int:
    from worker.again import ask_again
    from worker.cluster.here import granted_here
    from worker.horse import Outcome
    from worker.script.attempt import IfAway, OwnAttempt, Ways
    from worker.script.echoed import EchoedChild
    from worker.script.front import Front, exit_code_of
    from worker.script.places import describe
    from worker.script.shared import Shared
    from worker.script.unsent import left_behind
    from worker.term import Term

    shared = Shared()
    term = Term(granted_here(os.environ), margin_s=settings.until_margin_s)
    worker = describe(term.allocation)
    front = Front(settings, worker, term, shared, needs_store=options.if_away == "fail" or not wanted.command)
    ways = Ways(
        make_child=lambda _: partial(EchoedChild, shared=shared, patterns=tuple(options.files)),
        tell=partial(_tell, options, shared),
        was_interrupted=lambda: shared.pressed,
        if_away=IfAway(options.if_away) if options.if_away else None,
    )
    outcome = front.run(lambda: OwnAttempt(settings, wanted, job, worker, term, ways).carry_out())
    if (left := left_behind(settings, shared.run_id)) is not None:
        print(f"labq: not everything is stored; it lies in {left}; later: labq send --unsent", file=sys.stderr)
    code = exit_code_of(front, outcome, shared, wanted.command)
    if options.requeue and (outcome is Outcome.TIME_OVER or front.told.by_scheduler):
        return ask_again(settings, shared.run_id, worker.name) or code
    return code


def _tell(options: argparse.Namespace, shared: "Shared", run: Run, is_recorded: bool) -> None:
    """On stderr: stdout is the command's."""
    shared.name(run.id)
    if options.json:
        told = {"run": run.id, "experiment": run.experiment, "attempt": run.attempt, "recorded": is_recorded}
        print(json.dumps(told), file=sys.stderr, flush=True)
    if options.quiet or options.json:
        return
    later = "" if is_recorded else "; MongoDB is away, it is recorded when that is back"
    print(f"labq: run {short(run.id)} of {run.experiment}, attempt {run.attempt}{later}", file=sys.stderr, flush=True)
