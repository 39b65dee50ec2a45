"""`labq outbox`: what is owed, put off, refused, sent; trying again; dropping."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from notify.outbox_view import as_json, head_lines, table
from store.connect import connect
from store.deliveries import GONE_AFTER_S, Standing, standing
from store.errors import ExitCode, UserError
from store.notices import Notice, NoticeState
from store.settings import load
from store.store import Store

_NOT_SENT = (Standing.GATHERING, Standing.OWED, Standing.DEFERRED, Standing.REFUSED)
_PAGE = 500


def outbox(options: argparse.Namespace) -> int:
    """List, retry or drop."""
    _check(options)
    store = connect(load().settings)
    try:
        if options.action == "list":
            return _list(store, options)
        change = store.retry_notice if options.action == "retry" else store.drop_notice
        changed = _refused(store, change) if options.refused else _named(store, options.ids, change, options.action)
    finally:
        store.close()
    _tell(options, changed)
    return ExitCode.OK


def _check(options: argparse.Namespace) -> None:
    if options.action == "list":
        if options.ids or options.refused:
            raise UserError("labq outbox lists messages with --state; to change some: labq outbox retry ID, or drop ID")
        return
    if bool(options.ids) == options.refused:
        raise UserError(f"say which: labq outbox {options.action} ID… or labq outbox {options.action} --refused")
    if options.state:
        raise UserError(f"--state is for listing; labq outbox {options.action} takes ids or --refused")


def _list(store: Store, options: argparse.Namespace) -> int:
    wanted = _standings(options.state)
    states = [state for state in NoticeState if {Standing(state.value)} & {_kept_as(one) for one in wanted}]
    both = {Standing.OWED, Standing.DEFERRED} <= set(wanted)
    # Owed and deferred are one state in the store; telling them apart takes reading further.
    found = store.outbox(states, options.limit if both else max(options.limit, _PAGE))
    notices = [notice for notice in found if standing(notice) in wanted][: options.limit]
    counts, notifiers, now = store.outbox_counts(), store.notifiers(GONE_AFTER_S), store.now()
    if options.json:
        print(json.dumps(as_json(notices, counts, notifiers), indent=2))
        return ExitCode.OK
    from rich.console import Console

    console = Console(highlight=False)
    for line in head_lines(counts, notifiers, now):
        console.print(line, markup=False)
    if notices:
        console.print(table(notices, now))
    return ExitCode.OK


def _standings(said: str | None) -> tuple[Standing, ...]:
    if said is None:
        return _NOT_SENT
    if said.strip() == "all":
        return tuple(Standing)
    words = [word.strip() for word in said.split(",") if word.strip()]
    wrong = [word for word in words if word not in set(Standing)]
    if wrong or not words:
        raise UserError(f"--state has {said!r}; allowed: all, {', '.join(Standing)}, several with commas")
    return tuple(Standing(word) for word in words)


def _kept_as(wanted: Standing) -> Standing:
    return Standing.OWED if wanted is Standing.DEFERRED else wanted


def _named(store: Store, ids: Sequence[str], change: Callable[[str], bool], action: str) -> list[str]:
    """All or none: a wrong id changes nothing."""
    notices = [store.notice(one) for one in ids]
    done = [notice.id for notice in notices if change(notice.id)]
    if not done:
        raise UserError("; ".join(_why_not(store.notice(notice.id), action) for notice in notices))
    for notice in notices:
        if notice.id not in done:
            print(_why_not(store.notice(notice.id), action), file=sys.stderr)
    return done


def _why_not(notice: Notice, action: str) -> str:
    if notice.state is NoticeState.SENT:
        return f"{notice.id}: everybody has got it"
    return f"{notice.id} is {notice.state}: there is nothing to {action}"


def _refused(store: Store, change: Callable[[str], bool]) -> list[str]:
    done: list[str] = []
    while page := store.outbox([NoticeState.REFUSED], _PAGE):
        changed = [notice.id for notice in page if change(notice.id)]
        done += changed
        if not changed:
            break
    return done


def _tell(options: argparse.Namespace, changed: list[str]) -> None:
    if options.json:
        print(json.dumps({"changed": changed}))
        return
    said = "to be sent again" if options.action == "retry" else "dropped"
    print(f"{len(changed)} {'message' if len(changed) == 1 else 'messages'} {said}")
