"""`labq plot`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from plots.asking import Ask, Kind
from plots.bands import Spread
from plots.making import picture
from queueing.cli.context import opened_store, print_json
from queueing.results.pivot import Aggregate
from store.errors import ExitCode, UserError

_WIDEST = 160


def plot(options: argparse.Namespace) -> int:
    """Into a file, or as text where it was asked for."""
    from plots.files import format_of

    path = Path(options.output) if options.output else None
    kind = format_of(path) if path else ""
    ask = asked(options)
    with opened_store() as store:
        made = picture(ask, store)
    if path is not None:
        from plots.drawing import WIDTH_PX
        from plots.files import made as drawn
        from plots.files import write

        write(drawn(made, kind, options.width or WIDTH_PX), path)
        for note in made.notes:
            print(note, file=sys.stderr)
        print(f"wrote {path}", file=sys.stderr)
    if options.json:
        from plots.plain import as_json

        print_json({"file": str(path) if path else None, **as_json(made)})
    elif path is None:
        from plots.terminal import text

        size = shutil.get_terminal_size()
        width = options.width or min(size.columns, _WIDEST)
        print(text(made, width, size.lines, colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return ExitCode.OK


def asked(options: argparse.Namespace) -> Ask:
    """Raises UserError for options that contradict each other, or would be without effect."""
    kind = Kind(options.kind)
    _check(options, kind)
    return Ask(
        which=tuple(options.which),
        kind=kind,
        x=options.x,
        y=tuple(dict.fromkeys([*options.y, *options.metric])),
        by=options.by,
        facet=tuple(options.facet),
        spread=Spread(options.band),
        smooth=options.smooth,
        log=options.log,
        y_ends=tuple(options.ylim) if options.ylim else None,
        top=options.top,
        limit=options.limit,
        greater=frozenset(options.max),
        smaller=frozenset(options.min),
        last=options.last,
        aggregate=Aggregate(options.aggregate),
        epoch=options.epoch,
        seed=options.seed,
    )


_CURVES = (Kind.CURVES, Kind.GRID, Kind.UPDATES, Kind.EPOCHTIME, Kind.NORMS)
_OF_RUNS = (Kind.SCATTER, Kind.PAIRS, Kind.PARALLEL, Kind.IMPORTANCE, Kind.HEATMAP)
_BELONGS: dict[str, tuple[Kind, ...]] = {
    "x": (*_CURVES, Kind.SCATTER),
    "by": (*_CURVES, Kind.SCATTER, Kind.HEATMAP),
    "facet": (*_CURVES, Kind.HEATMAP),
    "smooth": _CURVES,
    "ylim": _CURVES,
    "log": (*_CURVES, Kind.SCATTER),
    "last": _OF_RUNS,
    "epoch": (Kind.CONFUSION,),
    "seed": (Kind.IMPORTANCE,),
}


def _check(options: argparse.Namespace, kind: Kind) -> None:
    for name, kinds in _BELONGS.items():
        if getattr(options, name) and kind not in kinds:
            raise UserError(f"--{name} is without effect on --kind {kind}; it belongs to: {', '.join(kinds)}")
    if len(options.facet) > 2:
        raise UserError(f"--facet {' '.join(options.facet)}: one parameter, or two for rows and columns")
    if kind in (*_OF_RUNS, Kind.GRID) and len({*options.y, *options.metric}) > (2 if kind is Kind.GRID else 1):
        raise UserError(
            f"--kind {kind} shows {'two metrics at most' if kind is Kind.GRID else 'one metric'}: -y METRIC"
        )
    if options.band != Spread.MIN_MAX and not options.by:
        raise UserError("--band belongs to --by PARAM: the runs of each value")
    if options.ylim and not options.ylim[0] < options.ylim[1]:
        raise UserError(f"--ylim {options.ylim[0]:g} {options.ylim[1]:g}: the first is to be less than the second")
    if options.ylim and "y" in options.log and options.ylim[0] <= 0:
        raise UserError("--ylim of a logarithmic axis begins above 0")
    if both := sorted(set(options.max) & set(options.min)):
        raise UserError(f"{both[0]} stands in both --max and --min")
