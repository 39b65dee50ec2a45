"""`labq results EXPERIMENT|QUERY`."""

import argparse
import sys
from pathlib import Path

from queueing.cli.context import opened_store
from queueing.results.asking import Ask
from queueing.results.files.formats import Format, format_named, format_of
from queueing.results.files.writing import is_binary, write_text
from queueing.results.output import output_of, write_output
from queueing.results.pivot import Aggregate
from queueing.results.record import Directions
from queueing.results.report import Report, report
from queueing.results.terminal import print_tables
from store.errors import ExitCode, UserError


def results(options: argparse.Namespace) -> int:
    """One row per run or per configuration, or pivots; on the terminal or in a file."""
    form, path = _target(options)
    ask = _ask(options, compact=form is None)
    with opened_store() as store:
        made = report(ask, store)
    if form is None:
        print_tables(list(made.pivots) or [made.lines.table()], options.digits, fit=not (ask.columns or ask.metrics))
        _hint(made, ask)
        return ExitCode.OK
    output = output_of(made, form, path, force=options.force)
    for warning in output.warnings:
        print(f"labq: {warning}", file=sys.stderr)
    if path is None:
        write_text(output.tables, sys.stdout, form, options.digits)
    else:
        print(f"{path}: {write_output(output, path, form, options.digits)}", file=sys.stderr)
    return ExitCode.OK


def _ask(options: argparse.Namespace, *, compact: bool) -> Ask:
    _check(options)
    return Ask(
        text=options.which,
        metrics=tuple(dict.fromkeys(options.metric)),
        columns=_names(options.columns),
        sort=options.sort,
        reverse=options.reverse,
        best=options.best,
        directions=Directions(greater=frozenset(options.max), smaller=frozenset(options.min)),
        at_best=options.at_best,
        over=tuple(dict.fromkeys(options.over)),
        level=options.level,
        median=options.median,
        pivot=tuple(options.pivot) if options.pivot else None,
        by=tuple(options.by),
        bests=options.bests,
        aggregate=Aggregate(options.aggregate or Aggregate.BEST),
        unfinished=options.unfinished,
        compact=compact,
    )


def _names(text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    if text is not None and not all(names):
        raise UserError(
            f"--columns {text!r}: a name is missing; allowed: names with commas between them, such as run,lr"
        )
    return names


def _check(options: argparse.Namespace) -> None:
    """Options that would be without effect are mistakes."""
    if options.median and not options.over:
        raise UserError("--median belongs to --over; in a pivot: --aggregate median")
    if options.by and not (options.pivot or options.bests):
        raise UserError("--by belongs to --pivot ROWS COLUMNS, or to --bests")
    if options.aggregate and not options.pivot:
        raise UserError("--aggregate belongs to --pivot ROWS COLUMNS")
    if options.bests and (options.pivot or options.over or options.columns):
        raise UserError("--bests is a table of its own: it goes with --metric, --by and --unfinished alone")
    if options.unfinished and not (options.pivot or options.over or options.bests):
        raise UserError("--unfinished belongs to --over, --pivot or --bests; a table of runs shows them all")
    if both := sorted(set(options.max) & set(options.min)):
        raise UserError(f"{both[0]} stands in both --max and --min")
    if options.force and options.output in (None, "-"):
        raise UserError("--force belongs to -o FILE: the table that was enqueued")
    if options.pivot and options.columns:
        raise UserError("--columns chooses the columns of a table of runs; --pivot takes its own two")


def _target(options: argparse.Namespace) -> tuple[Format | None, Path | None]:
    """The format (None: the terminal) and the file (None: stdout)."""
    named = format_named(options.format) if options.format else None
    if options.json:
        if named not in (None, Format.JSON) or options.output not in (None, "-"):
            raise UserError("--json prints JSON; a file: -o FILE, another format: --format")
        return Format.JSON, None
    if options.output in (None, "-"):
        if options.output == "-" and named is None:
            raise UserError("-o - needs --format: csv, tsv, tex, md or json")
        if named is not None and is_binary(named):
            raise UserError(f"--format {named} is no text: say where it goes: -o results.{named}")
        return named, None
    path = Path(options.output)
    return named or format_of(path), path


def _hint(made: Report, ask: Ask) -> None:
    if made.known.census.repeats and not ask.over and not ask.pivot:
        print("repeats as one row, with mean and interval: --over repeat", file=sys.stderr)
