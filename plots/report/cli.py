"""`labq report`."""

import argparse
import sys
from pathlib import Path

from plots.report.content import content
from queueing.cli.context import opened_store, print_json
from queueing.results.record import Directions
from store.errors import ExitCode, UserError

FORMATS = (".html", ".pdf")


def report(options: argparse.Namespace) -> int:
    """One self-contained file."""
    path = Path(options.output)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: a report is .html or .pdf, and this is {path.suffix or 'without an ending'}")
    if both := sorted(set(options.max) & set(options.min)):
        raise UserError(f"{both[0]} stands in both --max and --min")
    directions = Directions(greater=frozenset(options.max), smaller=frozenset(options.min))
    with opened_store() as store:
        made = content(options.experiment, store, metric=options.metric, by=tuple(options.by), directions=directions)
    from plots.files import write

    if path.suffix.lower() == ".html":
        from plots.report.html import html

        data = html(made).encode("utf-8", "replace")
    else:
        from plots.report.pdf import pdf

        data = pdf(made)
    write(data, path)
    if options.json:
        print_json({"file": str(path), "bytes": len(data), "parts": [part.kind for part in made.parts]})
    else:
        print(f"wrote {path} ({len(data) / 1e6:.1f} MB)", file=sys.stderr)
    return ExitCode.OK
