"""`labq workers`, `labq drain`."""

import argparse
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.cli.places import SHOW_OVER_S, places_table, workers_in, worth_showing
from queueing.cli.words import ago
from queueing.people import asked_by, drain, is_meant
from queueing.units import format_duration, format_size, parse_duration
from store.errors import ExitCode, UserError
from store.runs import short
from store.settings import Settings
from store.workers import Drain, Worker

_STALE_S = 86400.0


def workers(options: argparse.Namespace) -> int:
    """Who lives, what they have, what they do."""
    chosen = settings()
    with opened_store(chosen) as store:
        found, orders, now = store.workers(_STALE_S), store.drains(), store.now()
        places = worth_showing(store.allocations(SHOW_OVER_S))
    inside = workers_in(places, found)
    if options.json:
        rows = [{"worker": one, "doing": _doing(one, orders, now, chosen)} for one in found]
        asked = [{"allocation": one, "worker": inside[one.id].name if one.id in inside else None} for one in places]
        print_json({"workers": rows, "drains": orders, "allocations": asked})
        return ExitCode.OK
    if not found:
        print("no worker lives; start one: labq worker")
    else:
        _print_table(found, orders, now, chosen)
    if places:
        from rich.console import Console

        Console().print("", places_table(places), sep="\n")
    for order in orders:
        print(_order_words(order, now))
    return ExitCode.OK


def drain_workers(options: argparse.Namespace) -> int:
    """Let workers leave: now, after what they run, or at a time."""
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        if options.undo:
            begin = [order.target for order in store.drains() if order.target.startswith(options.whom)]
            target = begin[0] if len(begin) == 1 else options.whom
            return _undo(target, store.undrain(target))
        living = store.workers(chosen.living_s)
        order = Drain(target=_target(options.whom, living), after_current=not options.leaves_now, by=asked_by())
        in_s = seconds_until(options.at, store.now().astimezone()) if options.at else 0.0
        drain(store, doorbell, order, in_s, living)
    meant = [worker for worker in living if is_meant(worker, order)]
    if options.json:
        print_json({"target": order.target, "workers": [worker.name for worker in meant], "in_s": in_s})
        return ExitCode.OK
    how = "after what they run" if order.after_current else "now; what they run checkpoints and goes back to the queue"
    when = f" in {format_duration(in_s)}," if in_s else ""
    print(f"{order.target}: {len(meant)} {'worker leaves' if len(meant) == 1 else 'workers leave'}{when} {how}")
    if any(worker.host == order.target for worker in living):
        print(f"no worker starts there until: labq drain --undo {order.target}")
    return ExitCode.OK


def seconds_until(text: str, now: datetime, option: str = "--at") -> float:
    """`2h30m`, `18:00` (the next one), `2026-11-22 06:00`: how long from now. Raises UserError."""
    allowed = "allowed: a duration such as 2h, a time such as 18:00, or a date and time such as 2026-11-22 06:00"
    if clock := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip()):
        then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return ((then if then > now else then + timedelta(days=1)) - now).total_seconds()
    try:
        then = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return parse_duration(text)
        except ValueError:
            raise UserError(f"{option} {text!r}; {allowed}") from None
    then = then.replace(tzinfo=now.tzinfo) if then.tzinfo is None else then
    if then <= now:
        raise UserError(f"{option} {text!r} is over already; {allowed}")
    return (then - now).total_seconds()


def _target(name: str, living: Sequence[Worker]) -> str:
    """A host, a worker, or the beginning of one worker's name."""
    if any(name in (worker.host, worker.name) for worker in living):
        return name
    begin = [worker.name for worker in living if worker.name.startswith(name)]
    if len(begin) == 1:
        return begin[0]
    there = sorted({worker.host for worker in living}) + [worker.name for worker in living]
    said = "fits several workers" if begin else "is no living worker and no host of one"
    raise UserError(f"{name!r} {said}; there are: {', '.join(begin or there) or 'none'}")


def _undo(target: str, taken_back: bool) -> int:
    if not taken_back:
        raise UserError(f"nobody has drained {target!r}; see: labq workers")
    print(f"{target}: workers may start and stay there again")
    return ExitCode.OK


def _print_table(found: Sequence[Worker], orders: Sequence[Drain], now: datetime, chosen: Settings) -> None:
    from rich.console import Console
    from rich.table import Table

    place = ["place"] if any(worker.place for worker in found) else []
    lent = ["allocation", "time left"] if any(worker.until or worker.allocation for worker in found) else []
    names = ("worker", "queue", "tags", "gpus", "cpus", "memory", "doing", "seen", *place, *lent)
    table = Table(*names, box=None, pad_edge=False)
    for worker in found:
        table.add_row(
            worker.name,
            ", ".join(worker.queues),
            ", ".join(worker.tags),
            str(worker.gpus),
            str(worker.cpus),
            format_size(worker.memory_bytes),
            _doing(worker, orders, now, chosen),
            ago(worker.seen_at or now, now),
            *([worker.place] if place else []),
            *([worker.allocation, time_left(worker, now)] if lent else []),
        )
    Console().print(table)


def time_left(worker: Worker, now: datetime) -> str:
    """Until its time ends: `3h 10m`, `over`; empty: it has no end."""
    if worker.until is None:
        return ""
    left_s = (worker.until - now).total_seconds()
    return format_duration(left_s) if left_s > 0 else "over"


def _doing(worker: Worker, orders: Sequence[Drain], now: datetime, chosen: Settings) -> str:
    if worker.seen_at is None or (now - worker.seen_at).total_seconds() > chosen.living_s:
        return "not heard of"
    doing = short(worker.run) if worker.run else "idle"
    leaves = any(is_meant(worker, order) and order.from_at is not None and order.from_at <= now for order in orders)
    return f"{doing}, leaving" if leaves else doing


def _order_words(order: Drain, now: datetime) -> str:
    how = "after what runs" if order.after_current else "at once"
    if order.from_at is not None and order.from_at > now:
        when = f"in {format_duration((order.from_at - now).total_seconds())}"
    else:
        when = f"since {ago(order.from_at or now, now)}".replace(" ago", "")
    return f"drained {when}, {how}: {order.target} (by {order.by or 'somebody'})"
