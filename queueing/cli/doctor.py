"""`labq doctor`: what is running, which version, where the data is, what is wrong."""

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queueing.cli.context import print_json
from queueing.units import format_size
from store.errors import ExitCode, LabqError, StoreUnavailable
from store.settings import Settings, mask_url

if TYPE_CHECKING:
    from queueing.checks import Check
    from queueing.cli.damage import DamageReport

LOW_DISK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    subject: str
    ok: bool
    text: str


def examine_lab(options: argparse.Namespace, chosen: Settings, here: Sequence["Check"]) -> int:
    """`labq doctor`, with the checks of this machine. Exit code 1 when something is wrong and was not mended."""
    findings = examine(chosen)
    if not options.json:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.subject:<10} {finding.text}", flush=True)
    report = _damage(options, chosen, here, findings)
    if options.json:
        print_json({"ok": _is_well(findings, report), "findings": findings, **report.as_json()})
    else:
        for line in report.lines():
            print(line)
    return ExitCode.OK if _is_well(findings, report) else ExitCode.FAILED


def _damage(
    options: argparse.Namespace, chosen: Settings, here: Sequence["Check"], findings: Sequence[Finding]
) -> "DamageReport":
    """Without MongoDB nobody can tell what is damaged."""
    from queueing.cli.damage import DamageReport, examine_damage

    if any(finding.subject == "mongodb" and not finding.ok for finding in findings):
        return DamageReport(fixing=options.fix, found=(), unknown="not looked for: MongoDB is away")
    try:
        return examine_damage(chosen, here, fix=options.fix, deep=options.deep)
    except StoreUnavailable as error:
        return DamageReport(fixing=options.fix, found=(), unknown=f"not all could be looked for: {error}")


def _is_well(findings: Sequence[Finding], report: "DamageReport") -> bool:
    return all(finding.ok for finding in findings) and report.is_well


def examine(chosen: Settings) -> list[Finding]:
    """All findings, the servers first."""
    mongo = _checked("mongodb", lambda: _mongo(chosen))
    unknown = Finding(subject="workers", ok=False, text="unknown, see mongodb")  # one wait for it is enough
    return [
        *_programmes(chosen),
        mongo,
        _checked("redis", lambda: _redis(chosen)),
        _checked("workers", lambda: _workers(chosen)) if mongo.ok else unknown,
        _disk(chosen),
        _mail(chosen),
    ]


def _checked(subject: str, examine_it: Callable[[], str]) -> Finding:
    try:
        return Finding(subject=subject, ok=True, text=examine_it())
    except LabqError as error:
        return Finding(subject=subject, ok=False, text=str(error))


def _programmes(chosen: Settings) -> list[Finding]:
    """The embedded servers' programmes: there, and runnable?"""
    from store.servers.binaries import find_mongod, find_redis

    found = []
    if chosen.uses_embedded_mongo:
        found.append(_checked("mongod", lambda: f"{find_mongod().version} at {find_mongod().path}"))
    if chosen.uses_embedded_redis:
        found.append(_checked("redis-exe", lambda: f"{find_redis().version} at {find_redis().path}"))
    return found


def _mongo(chosen: Settings) -> str:
    from store.connect import connect, mongo_url
    from store.servers.places import places

    store = connect(chosen)
    version = store.version()
    counts = store.counts()
    store.close()
    place = f"data in {places(chosen.home).mongo_data}" if chosen.uses_embedded_mongo else mask_url(mongo_url(chosen))
    runs = ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "no runs yet"
    return f"running, {version}, {place}; {runs}"


def _redis(chosen: Settings) -> str:
    from queueing.doorbell import Doorbell
    from store.connect import redis_url
    from store.errors import DoorbellUnavailable
    from store.servers.places import places

    try:
        version = Doorbell(redis_url(chosen), chosen.redis_timeout_s).version()
    except DoorbellUnavailable as error:
        hint = "start it with: labq up" if chosen.uses_embedded_redis else "check redis_url (labq config)"
        raise DoorbellUnavailable(f"{error}; {hint}") from error
    place = f"data in {places(chosen.home).redis_data}" if chosen.uses_embedded_redis else mask_url(redis_url(chosen))
    return f"running, {version}, {place}"


def _workers(chosen: Settings) -> str:
    from store.connect import connect

    store = connect(chosen)
    seen = store.workers(within_s=max(3 * chosen.look_s, 3 * chosen.renew_s))
    store.close()
    return f"{len(seen)} seen lately" + (f": {', '.join(worker.name for worker in seen[:5])}" if seen else "")


def _disk(chosen: Settings) -> Finding:
    folder = next(path for path in (chosen.home, *chosen.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    text = f"{format_size(free)} free in {folder}" + ("" if writable else ", which cannot be written")
    return Finding(subject="disk", ok=free >= LOW_DISK_BYTES and writable, text=text)


def _mail(chosen: Settings) -> Finding:
    if not chosen.smtp_host:
        return Finding(subject="mail", ok=True, text=f"no smtp_host: .eml files go to {chosen.outgoing_mail_dir}")
    missing = chosen.smtp_password_file and not Path(chosen.smtp_password_file).expanduser().is_file()
    text = f"{chosen.smtp_host}, {chosen.smtp_tls}" + ("; smtp_password_file does not exist" if missing else "")
    return Finding(subject="mail", ok=not missing, text=text)
