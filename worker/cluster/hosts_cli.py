"""`labq workers start --on ssh`."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace

from queueing.cli.context import opened_store, print_json
from store.errors import ExitCode, LabqError, UserError
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.fleet import Started, handing_to, start_everywhere
from worker.cluster.hosts import chosen_hosts
from worker.cluster.place import Place, on_whole_machine, place_from
from worker.cluster.remote import Shown, shown
from worker.cluster.script import ssh_script
from worker.cluster.ssh import Ssh


def start_on_hosts(options: argparse.Namespace, chosen: Settings) -> int:
    """On every host by itself; 1 when some could not, else what the first one said."""
    settings = with_labq(chosen, options.labq)
    hosts = chosen_hosts(options.hosts, settings)
    place = on_whole_machine(place_from(options, settings, Scheduler.SSH), options)
    if options.dry_run:
        for host in hosts:
            _print_dry(host, dry_run(settings, host, place), options.count)
        return ExitCode.OK
    with opened_store(settings) as store:
        done = start_everywhere(store, settings, hosts, place, options.count, more=options.more)
    return _told(done, options)


def with_labq(chosen: Settings, command: str | None) -> Settings:
    """`--labq` for the setting."""
    return chosen if command is None else replace(chosen, remote_labq=command)


def refuse_hosts(options: argparse.Namespace) -> None:
    """Raises UserError: they mean nothing to a scheduler."""
    for name in ("hosts", "labq", "more"):
        if getattr(options, name, None):
            raise UserError(f"--{name} is for --on ssh")


def dry_run(settings: Settings, host: str, place: Place) -> Shown:
    """Nobody is asked. Raises UserError, SchedulerMissing."""
    script = ssh_script(place, handing_to(settings, host, "").batch("SUBMISSION", ()))
    return shown(settings, host, Ssh(settings), script)


def _print_dry(host: str, dry: Shown, count: int) -> None:
    print(f"# {host}: this, with the rest on its stdin\n{dry.line}\n")
    print(f"# there {count} times, under systemd-run --user where that lingers, else as a session of its own:")
    print(dry.script)


def _told(done: Mapping[str, Started | LabqError], options: argparse.Namespace) -> int:
    errors = {host: error for host, error in done.items() if isinstance(error, LabqError)}
    started = {host: one for host, one in done.items() if isinstance(one, Started)}
    if options.json:
        print_json({"started": started, "failed": {host: str(error) for host, error in errors.items()}})
    else:
        for host, one in started.items():
            print(_line(host, one))
        if started:
            print("see: labq workers")
    for host, error in errors.items():
        print(f"labq: {host}: {error}", file=sys.stderr)
    for hint in sorted({one.hint for one in started.values()} - {""}):
        named = [host for host, one in started.items() if one.hint == hint]
        print(f"labq: {', '.join(named)}: {hint}", file=sys.stderr)
    if not errors:
        return ExitCode.OK
    return ExitCode.FAILED if started else int(next(iter(errors.values())).exit_code)


def _line(host: str, one: Started) -> str:
    how = "under its systemd" if one.way == "systemd" else "as a session of its own"
    new = f"{len(one.new)} started {how}: {one.new[0].rpartition('-')[0]}" if one.new else "none started"
    return f"{host}: {new}" + (f"; {len(one.before)} there already" if one.before else "")
