"""`labq mute`, `labq unmute`."""

import argparse

from queueing.cli.context import opened_store, print_json
from queueing.rules.words import mute_words
from queueing.units import parse_duration
from store.errors import ExitCode, NoSuchRun, UserError
from store.identity import user_name
from store.rules import Mute
from store.store import Store


def mute(options: argparse.Namespace) -> int:
    """What happens from now on is recorded, and nobody is told."""
    for_s = _duration(options.for_)
    with opened_store() as store:
        target = _target(store, options.about)
        silenced = store.mute(target, for_s)
        standing = next((one for one in store.mutes() if one.id == target.id), target)
    if options.json:
        print_json({"mute": standing, "silenced": silenced})
        return ExitCode.OK
    print(f"muted: {mute_words(standing)}")
    if silenced:
        print(f"{silenced} message{'s' if silenced != 1 else ''} that waited will not be sent")
    return ExitCode.OK


def unmute(options: argparse.Namespace) -> int:
    """What was muted meanwhile stays so."""
    with opened_store() as store:
        target = _target(store, options.about)
        was_muted = store.unmute(target)
    if options.json:
        print_json({"unmuted": was_muted})
    else:
        print(f"{target.target}: messages are sent again" if was_muted else f"{target.target} was not muted")
    return ExitCode.OK


def _duration(said: str | None) -> float | None:
    try:
        return None if said is None else parse_duration(said)
    except ValueError as error:
        raise UserError(f"--for is {said!r}; {error}") from error


def _target(store: Store, name: str) -> Mute:
    """An experiment comes before a run: its name is whole, an id may be its first characters."""
    if store.experiment(name) is not None:
        return Mute(target=name, is_run=False, by=user_name())
    try:
        return Mute(target=store.run(name).id, is_run=True, by=user_name())
    except NoSuchRun as error:
        raise UserError(f"there is neither an experiment nor a run {name!r}; see: labq ls") from error
