"""`labq config`: each setting, its value, where it comes from."""

import argparse
from dataclasses import fields

from queueing.cli.context import print_json
from store.errors import ExitCode
from store.settings import DOCS, Settings, load, shown


def config(options: argparse.Namespace) -> int:
    """Secrets are masked."""
    loaded = load()
    rows = [
        {
            "name": field.name,
            "value": shown(field.name, getattr(loaded.settings, field.name)),
            "origin": loaded.origins.get(field.name, "default"),
            "meaning": DOCS[field.name],
        }
        for field in fields(Settings)
    ]
    if options.json:
        print_json(rows)
        return ExitCode.OK
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], row["value"] or "–", row["origin"], row["meaning"])
    Console().print(table)
    return ExitCode.OK
