"""`labq best EXPERIMENT`."""

import argparse
from collections.abc import Sequence
from typing import Any

from queueing.cli.context import opened_store, print_json
from queueing.cli.words import differing, value_words
from queueing.comparison import Best, best, check_metric, check_params, grid, groups
from store.errors import ExitCode, UserError
from store.outcomes import Outcome
from store.runs import short
from store.store import RunQuery


def best_runs(options: argparse.Namespace) -> int:
    """The best value of each metric and the run that reached it, per group; or one for each cell of two parameters."""
    if bool(options.rows) != bool(options.columns):
        raise UserError("--rows and --columns belong together: the two parameters of the grid")
    with opened_store() as store:
        runs = list(store.outcomes(RunQuery(experiment=options.experiment)))
    if not runs:
        raise UserError(f"there is no run of an experiment {options.experiment}")
    check_params(runs, [*options.by, *filter(None, (options.rows, options.columns))])
    metrics = options.metric or ["val_loss"]
    for metric in metrics:
        check_metric(runs, metric)
    show = _grids if options.rows else _bests
    show(groups(runs, options.by), metrics, runs, options)
    return ExitCode.OK


def _bests(found: dict[tuple[Any, ...], list[Outcome]], metrics: Sequence[str], runs: list[Outcome],
           options: argparse.Namespace) -> None:  # fmt: skip
    names = [name for name in differing(runs) if name not in options.by] if len(runs) > 1 else []
    rows = [
        (_group_words(options.by, values), metric, best(members, metric, greatest=options.max))
        for values, members in found.items()
        for metric in metrics
    ]
    if options.json:
        print_json([{"group": group, "metric": metric, **_plain(one, names)} for group, metric, one in rows])
        return
    heads = ["group"] * bool(options.by) + ["metric", "best", *names, "step", "run"]
    _print_table(heads, [([group] if options.by else []) + _cells(metric, one, names) for group, metric, one in rows])


def _cells(metric: str, one: Best | None, names: Sequence[str]) -> list[str]:
    if one is None:
        return [metric, "–", *("" for _ in names), "", ""]
    values = [value_words(one.run.params.get(name, "")) for name in names]
    return [metric, f"{one.value:.6g}", *values, str(one.step), short(one.run.id)]


def _grids(found: dict[tuple[Any, ...], list[Outcome]], metrics: Sequence[str], runs: list[Outcome],
           options: argparse.Namespace) -> None:  # fmt: skip
    del runs
    tables = []
    for values, members in found.items():
        for metric in metrics:
            down, across, cells = grid(members, metric, options.rows, options.columns, greatest=options.max)
            tables.append((_group_words(options.by, values), metric, down, across, cells))
    if options.json:
        print_json([
            {"group": group, "metric": metric, "rows": {options.rows: down}, "columns": {options.columns: across},
             "values": [[one and one.value for one in row] for row in cells]}
            for group, metric, down, across, cells in tables
        ])  # fmt: skip
        return
    for group, metric, down, across, cells in tables:
        print(f"{'greatest' if options.max else 'smallest'} {metric}{', ' if group else ''}{group}")
        heads = [f"{options.rows} \\ {options.columns}", *(value_words(value) for value in across)]
        body = [
            [value_words(value), *("–" if one is None else f"{one.value:.4g}" for one in row)]
            for value, row in zip(down, cells, strict=True)
        ]
        _print_table(heads, body)


def _group_words(names: Sequence[str], values: tuple[Any, ...]) -> str:
    return " ".join(f"{name}={value_words(value)}" for name, value in zip(names, values, strict=True))


def _plain(one: Best | None, names: Sequence[str]) -> dict[str, Any]:
    if one is None:
        return {"best": None}
    params = {name: one.run.params.get(name) for name in names}
    return {"best": one.value, "step": one.step, "run": one.run.id, "params": params}


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
