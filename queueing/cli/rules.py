"""`labq rules`: who is told of what."""

import argparse
import sys
from pathlib import Path

from queueing.cli.context import opened_store, print_json, settings
from queueing.rules.reading import NOTHING_KNOWN, Defaults, read_rules_file
from queueing.rules.words import mute_words, rule_words
from store.errors import ExitCode, StoreUnavailable, UserError
from store.identity import user_name
from store.query import Names
from store.rules import Mute, Rule, RuleBook, Scope
from store.settings import Settings


def rules(options: argparse.Namespace) -> int:
    """One of several actions."""
    if (options.action in ("set", "check")) != bool(options.file):
        wants = "wants a file" if not options.file else "takes no file"
        raise UserError(f"labq rules {options.action} {wants}; such as: labq rules set rules.toml")
    if options.everybody and options.action not in ("set", "remove"):
        raise UserError("--everybody goes with set and remove")
    scope = Scope.EVERYBODY if options.everybody else Scope.USER
    holder = "" if options.everybody else user_name()
    if options.action == "set":
        return _set(options, scope, holder)
    if options.action == "check":
        return _check(options)
    return _remove(options, scope, holder) if options.action == "remove" else _list(options)


def _list(options: argparse.Namespace) -> int:
    with opened_store() as store:
        books, mutes = store.rule_books(), store.mutes()
    if options.json:
        print_json({"rules": books, "mutes": mutes})
        return ExitCode.OK
    for book in books:
        print(_title(book))
        print("\n".join(f"  {rule_words(rule)}" for rule in book.rules))
    if not books:
        print("no rules but the `to` and `on` of experiments; see: docs/notifications.md")
    _print_mutes(mutes)
    return ExitCode.OK


def _title(book: RuleBook) -> str:
    whose = {Scope.EXPERIMENT: f"experiment {book.holder}", Scope.USER: f"runs of {book.holder}"}
    name = whose.get(book.scope, "everybody's runs")
    at = f" {book.set_at:%Y-%m-%d %H:%M} UTC" if book.set_at is not None else ""
    return f"{name} ({book.source}, by {book.by}{at})"


def _print_mutes(mutes: list[Mute]) -> None:
    for mute in mutes:
        print(f"muted: {mute_words(mute)}")


def _set(options: argparse.Namespace, scope: Scope, holder: str) -> int:
    chosen = settings()
    with opened_store(chosen) as store:
        found = _read(options.file, chosen, store.names())
        source = str(Path(options.file).absolute())
        store.set_rules(RuleBook(scope=scope, holder=holder, rules=found, source=source, by=user_name()))
        mutes = store.mutes()
    _say(found, f"these rules hold for {'everybody' if options.everybody else holder} now:", as_json=options.json)
    if not options.json:
        _print_mutes(mutes)
    return ExitCode.OK


def _check(options: argparse.Namespace) -> int:
    """With the names that the store knows, when it answers."""
    chosen = settings()
    known = NOTHING_KNOWN
    try:
        with opened_store(chosen) as store:
            known = store.names()
    except StoreUnavailable as error:
        print(f"labq: {error}; metrics and parameters are not compared with those of earlier runs", file=sys.stderr)
    _say(_read(options.file, chosen, known), "these rules are in order:", as_json=options.json)
    return ExitCode.OK


def _read(file: str, chosen: Settings, known: Names) -> tuple[Rule, ...]:
    return read_rules_file(Path(file), Defaults(to=chosen.notify_to, zone=chosen.time_zone), known)


def _say(found: tuple[Rule, ...], title: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"rules": found})
    else:
        print("\n".join([title, *(f"  {rule_words(rule)}" for rule in found)]))


def _remove(options: argparse.Namespace, scope: Scope, holder: str) -> int:
    with opened_store() as store:
        removed = store.remove_rules(scope, holder)
    whose = "everybody" if options.everybody else holder
    if options.json:
        print_json({"removed": removed})
    else:
        print(f"no rules for {whose} any more" if removed else f"there were no rules for {whose}")
    return ExitCode.OK
