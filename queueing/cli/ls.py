"""`labq ls`: runs in a table, in pages, in groups."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from queueing.cli.context import opened_store, print_json
from queueing.cli.tables import group_rows, group_table, in_group_order, run_row, run_table
from queueing.query import columns as named
from queueing.query.asking import checked_name, known_names, understood, with_saved
from queueing.query.columns import Column
from store.errors import ExitCode, UserError
from store.grouping import Grouping
from store.identity import user_name
from store.query import EVERYTHING, Compared, Condition, Names, Op, RunField
from store.runs import short
from store.states import State
from store.store import RunQuery, Store
from store.views import View

PAGE = 50
MOST_COUNTED = 10_000
_COUNT_S = 0.3


def ls(options: argparse.Namespace) -> int:
    """One line per run, or per group of runs. The parameters shown are those that differ, or the columns asked for."""
    with opened_store() as store:
        view = _with_options(with_saved(" ".join(options.query), store), options)
        names = known_names(view.query, store)
        asked = RunQuery(
            where=understood(view.query, store, mongo=view.mongo or None),
            states=_states(options.state),
            tag=options.tag,
        )
        chosen = named.columns(view.columns, names) if view.columns else ()
        if options.save:
            _check(view, names, chosen)
            store.save_view(replace(view, owner=user_name(), name=checked_name(options.save)))
            print(f"saved; ask it again with: labq ls @{checked_name(options.save)}", file=sys.stderr)
        if view.group:
            return _groups(store, asked, view, names, chosen, as_json=options.json)
        return _page(store, asked, view, names, chosen, options)


def _with_options(view: View, options: argparse.Namespace) -> View:
    """What the command line says comes before what was saved."""
    given = {name: getattr(options, name) for name in ("mongo", "columns", "sort", "group", "limit")}
    return replace(view, **{name: value for name, value in given.items() if value is not None})


def _check(view: View, names: Names, chosen: tuple[Column, ...]) -> None:
    """Before it is saved: its fields are known."""
    if view.group:
        named.group(view.group, names)
        [named.extreme(column) for column in chosen]
    else:
        named.order(view.sort, names)


def _page(
    store: Store, asked: RunQuery, view: View, names: Names, chosen: tuple[Column, ...], options: argparse.Namespace
) -> int:
    limit = PAGE if view.limit is None else view.limit
    order = named.order(view.sort, names)
    page = replace(asked, order=order, limit=limit, skip=options.offset, after=options.after)
    runs, now = store.runs(page), store.now()
    if options.json:
        print_json([run_row(run, chosen, now) for run in runs])
        return ExitCode.OK
    if not runs:
        print("no runs" + (" match" if _narrows(asked) or options.offset or options.after else " yet"))
        return ExitCode.OK
    run_table(runs, chosen, now)
    print(_how_many(store, asked))
    if limit and len(runs) == limit:
        last = runs[-1] if order is not None else runs[0]
        print(f"{'next' if order else 'older'}: --after {short(last.id)}")
    return ExitCode.OK


def _groups(
    store: Store, asked: RunQuery, view: View, names: Names, chosen: tuple[Column, ...], *, as_json: bool
) -> int:
    by = named.group(view.group, names)
    extremes = tuple(named.extreme(column) for column in chosen)
    found = store.groups(asked, Grouping(by=by, extremes=extremes))
    found = in_group_order(found, view.sort, chosen)
    found = found[: view.limit] if view.limit else found
    if as_json:
        print_json(group_rows(found, chosen))
    elif not found:
        print("no runs match" if _narrows(asked) else "no runs yet")
    else:
        group_table(view.group, Column(title=view.group, field=by), found, chosen)
    return ExitCode.OK


def _narrows(asked: RunQuery) -> bool:
    return bool(asked.states or asked.tag or asked.where not in (None, EVERYTHING))


def _how_many(store: Store, asked: RunQuery) -> str:
    """Counts that are bounded: of each state, or of what matches."""
    experiment = _experiment_alone(asked.where)
    if not asked.states and not asked.tag and (experiment or asked.where in (None, EVERYTHING)):
        counts = store.counts(experiment, at_most=MOST_COUNTED + 1)
        return ", ".join(f"{_bounded(counts[state])} {state}" for state in State if counts.get(state))
    count = store.count(asked, MOST_COUNTED + 1, _COUNT_S)
    return "many runs match" if count is None else f"{_bounded(count)} {'run matches' if count == 1 else 'runs match'}"


def _bounded(count: int) -> str:
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"


def _experiment_alone(where: Condition | None) -> str | None:
    match where:
        case Compared(field=RunField.EXPERIMENT, op=Op.EQUAL, value=str() as name):
            return name
    return None


def _states(names: list[str]) -> tuple[State, ...]:
    unknown = [name for name in names if name not in set(State)]
    if unknown:
        raise UserError(f"{unknown[0]!r} is no state; allowed: {', '.join(State)}")
    return tuple(State(name) for name in names)


def views(options: argparse.Namespace) -> int:
    """List saved views, or remove some."""
    with opened_store() as store:
        if options.remove:
            return _remove(store, options.remove)
        found = store.views(None if options.all else user_name())
    if options.json:
        print_json(found)
    elif not found:
        print("no views yet; save one with: labq ls --save NAME QUERY")
    else:
        _print_views(found)
    return ExitCode.OK


def _remove(store: Store, names: Sequence[str]) -> int:
    code = ExitCode.OK
    for name in names:
        if store.remove_view(user_name(), name.removeprefix("@")):
            print(f"removed @{name.removeprefix('@')}")
        else:
            print(f"labq: you have saved no view called {name}; see: labq views", file=sys.stderr)
            code = ExitCode.USER_ERROR
    return code


def _print_views(found: Sequence[View]) -> None:
    for view in found:
        name = f"@{view.name}" if view.owner == user_name() else f"@{view.owner}/{view.name}"
        options = [f"{flag} {text}" for flag, text in (
            ("--mongo", view.mongo), ("-c", view.columns), ("--sort", view.sort), ("--group", view.group),
            ("-n", "" if view.limit is None else str(view.limit)),
        ) if text]  # fmt: skip
        print("  ".join(filter(None, [f"{name:<20}", view.query, *options])))
