"""The places that schedulers were asked for, as `labq workers` shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from queueing.cli.words import ago
from queueing.units import format_duration, format_size
from store.allocations import Allocation, Phase
from store.runs import Resources, short
from store.workers import Worker

if TYPE_CHECKING:
    from rich.table import Table

SHOW_OVER_S = 3600.0


def worth_showing(allocations: Sequence[Allocation]) -> list[Allocation]:
    """Those that are open, and those that failed lately: an hour."""
    return [one for one in allocations if one.phase is not Phase.ENDED]


def workers_in(allocations: Sequence[Allocation], workers: Sequence[Worker]) -> dict[str, Worker]:
    """The newest worker in each place."""
    ids = {one.id for one in allocations}
    return {worker.place: worker for worker in workers if worker.place in ids}


def places_table(allocations: Sequence[Allocation], inside: Mapping[str, Worker], now: datetime) -> "Table":
    """One line per place."""
    from rich.table import Table

    table = Table("place", "on", "job", "state", "queue", "has", "node", "asked", "worker", box=None, pad_edge=False)
    for one in allocations:
        worker = inside.get(one.id)
        table.add_row(
            one.id,
            f"{one.scheduler} {one.partition}".strip(),
            one.job,
            state_words(one),
            one.queue if one.run is None else f"run {short(one.run)}",
            offers_words(one.offers),
            one.node,
            ago(one.created_at or now, now),
            worker.name if worker is not None else "",
        )
    return table


def state_words(one: Allocation) -> str:
    """`pending (Priority)`."""
    return f"{one.phase} ({one.says})" if one.says else str(one.phase)


def offers_words(offers: Resources) -> str:
    """`2 cpus, 12.0 GB, 1 gpu, 4h`."""
    cpus = offers.cpus or 1
    words = [f"{cpus} cpu" + "s" * (cpus > 1)]
    words += [format_size(offers.memory_bytes)] if offers.memory_bytes else []
    words += [f"{offers.gpus} gpu" + "s" * (offers.gpus > 1)] if offers.gpus else []
    words += [format_duration(offers.time_s)] if offers.time_s else []
    return ", ".join(words)
