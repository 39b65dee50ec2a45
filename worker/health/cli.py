"""`labq workers doctor`: whether workers could work, here or on other machines."""

import argparse
import socket
import time
from collections.abc import Mapping, Sequence

from queueing.cli.context import print_json, settings
from store.errors import ExitCode, LabqError, SchedulerMissing
from store.settings import Settings
from worker.cluster.each import for_each
from worker.cluster.hosts import chosen_hosts
from worker.cluster.hosts_cli import with_labq
from worker.cluster.probe import probe
from worker.cluster.remote import Remote
from worker.cluster.ssh import Ssh
from worker.facts import labq_version
from worker.health.compare import rows_of, rows_without_labq
from worker.health.here import examine_here
from worker.health.rows import Row, Verdict, is_well

_DOCTOR_S = 90.0
"""Two servers that do not answer, and a driver that hangs, in their own time-outs."""


def doctor(options: argparse.Namespace) -> int:
    """Exit code 1 when something would keep a worker from working."""
    chosen = with_labq(settings(), options.labq)
    if options.hosts is None:
        found = {socket.gethostname(): examine_here(chosen)}
    else:
        found = examine_hosts(chosen, chosen_hosts(options.hosts or None, chosen))
    if options.json:
        print_json({"ok": all(map(is_well, found.values())), "hosts": found})
    else:
        _print(found)
    return ExitCode.OK if all(map(is_well, found.values())) else ExitCode.FAILED


def examine_hosts(chosen: Settings, hosts: Sequence[str]) -> dict[str, list[Row]]:
    """Each by labq over there; by a plain shell where there is none."""
    ssh = Ssh(chosen)
    told = for_each(hosts, lambda host: _examine(chosen, host, ssh))
    return {host: _unreached(rows) if isinstance(rows, LabqError) else rows for host, rows in told.items()}


def _unreached(error: LabqError) -> list[Row]:
    said, _, advice = str(error).partition("; ")
    return [Row(subject="ssh", verdict=Verdict.WRONG, text=said, advice=advice)]


def _examine(chosen: Settings, host: str, ssh: Ssh) -> list[Row]:
    from store.mongo.schema import VERSION

    began = time.perf_counter()
    found = probe(ssh, host)
    took_s = time.perf_counter() - began
    asked_at = time.time()
    try:
        answer = Remote(chosen, host, ssh).ask("doctor", patience_s=_DOCTOR_S)
    except SchedulerMissing as error:
        rows = rows_without_labq(found, str(error))
    else:
        rows = rows_of(answer, asked_at=asked_at, answered_at=time.time(), here=labq_version(), schema=VERSION)
    name = found.get("host", "?")
    return [Row(subject="ssh", text=f"{name} answers, {1000 * took_s:.0f} ms for the first word"), *rows]


def _print(found: Mapping[str, Sequence[Row]]) -> None:
    """A table as wide as the terminal; what to do under what is wrong."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("host", "", "what"):
        table.add_column(name, no_wrap=True)
    table.add_column("found", ratio=1, min_width=20, overflow="fold")
    for host, rows in found.items():
        for number, row in enumerate(rows):
            text = Text(row.text + (f"\n→ {row.advice}" if row.advice else ""))
            table.add_row(Text(host if number == 0 else ""), _MARKS[row.verdict], row.subject, text)
    Console().print(table)


_MARKS = {Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.WRONG: "WRONG"}
