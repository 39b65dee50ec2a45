"""`labq send --start`: begin a run for the script around, and stay in the background until it is over."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from queueing.script_folder import folder_here
from store.errors import ExitCode, UserError
from store.identity import user_name
from store.logbook import open_logbook
from store.runs import short
from store.settings import Settings, load
from worker.launch import Launch
from worker.script.around import Around, around
from worker.script.bystander import script_around
from worker.script.wanted import Wanted, name_for, params_of

_EXPORTED = ("RUN", "ATTEMPT", "DIR", "PARAMS", "EVENTS", "CHECKPOINTS", "RESUME", "RESUME_STEP")


def start_script(options: argparse.Namespace) -> int:
    """Print the run's id, or the variables, once everything that is sent will be kept."""
    settings = load().settings
    if os.environ.get("LABQ_EVENTS") and (inside := folder_here(None, os.environ)) is not None:
        print(f"labq: part of run {short(inside.run)}, which is tracked already", file=sys.stderr)
        print(_exports(dict(os.environ)) if options.export else inside.run)
        return ExitCode.OK
    script, job = _script(options.pid), around(os.environ)
    wanted = _wanted(options, script, job, settings)
    heard, told = os.pipe()
    if os.fork() == 0:
        os.close(heard)
        _in_background(lambda: _watch(options, settings, wanted, job, script, told))
    os.close(told)
    with os.fdopen(heard) as answer:
        said = answer.read()
    if not said:
        return ExitCode.UNAVAILABLE if options.if_away == "fail" else ExitCode.FAILED
    env = json.loads(said)
    if options.json:
        print(said.strip())
    else:
        print(_exports(env) if options.export else env["LABQ_RUN"])
    return ExitCode.OK


def _exports(env: dict[str, str]) -> str:
    names = [f"LABQ_{name}" for name in _EXPORTED if f"LABQ_{name}" in env]
    return "\n".join(f"export {name}={shlex.quote(env[name])}" for name in names)


def _script(pid: int | None) -> psutil.Process:
    try:
        found = script_around() if pid is None else psutil.Process(pid)
        found.cmdline()
        return found
    except psutil.Error as error:
        said = "there is no such process of yours" if pid is not None else "not given, and no script is found around"
        raise UserError(f"--pid {pid or ''}: {said}; in a shell: --pid $$") from error


def _wanted(options: argparse.Namespace, script: psutil.Process, job: Around | None, settings: Settings) -> Wanted:
    from worker.script.cli import told

    command = tuple(script.cmdline()) or (script.name(),)
    return Wanted(
        experiment=options.name or name_for(command, job),
        command=command,
        workdir=str(Path.cwd()),
        params=params_of(options.param, ()),
        tags=tuple(dict.fromkeys(options.tag)),
        queue=settings.queue,
        notify_to=told(options.notify, settings),
        key=options.key,
        owner=user_name(),
    )


def _in_background(work: Callable[[], None]) -> None:
    """In a session of its own, so that a Ctrl-C and a lost terminal are the script's business. Never returns."""
    try:
        os.setsid()
        if os.fork() == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            work()
    except Exception as error:  # noqa: BLE001 - a copy of the process that was asked must not go on as that
        print(f"labq: send --start: {error}", file=sys.stderr)
    finally:
        os._exit(0)


def _watch(
    options: argparse.Namespace,
    settings: Settings,
    wanted: Wanted,
    job: Around | None,
    script: psutil.Process,
    told: int,
) -> None:
    from worker.cluster.here import granted_here
    from worker.script.attempt import IfAway, OwnAttempt, Ways
    from worker.script.bystander import Bystander
    from worker.script.front import Front
    from worker.script.places import describe
    from worker.script.shared import Shared
    from worker.term import Term

    open_logbook(quiet=True)
    shared = Shared()
    term = Term(granted_here(os.environ), margin_s=settings.until_margin_s)
    worker = describe(term.allocation)
    front = Front(settings, worker, term, shared, needs_store=options.if_away == "fail")
    ways = Ways(
        make_child=lambda requests: partial(Bystander, script=script, requests=requests, begun=partial(_begun, told)),
        tell=lambda _run, _is_recorded: None,
        was_interrupted=lambda: False,
        if_away=IfAway(options.if_away) if options.if_away else None,
        root=script.pid,
    )
    front.run(lambda: OwnAttempt(settings, wanted, job, worker, term, ways).carry_out(), forked=lambda: os.close(told))


def _begun(told: int, launch: Launch) -> None:
    env = {name: value for name, value in launch.env.items() if name.removeprefix("LABQ_") in _EXPORTED}
    with os.fdopen(told, "w") as answer:
        answer.write(json.dumps(env))
