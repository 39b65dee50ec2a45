"""The places that schedulers were asked for, as `labq workers` shows them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from queueing.units import format_duration, format_size
from store.allocations import Allocation, Phase
from store.runs import Resources, short
from store.workers import Worker

if TYPE_CHECKING:
    from rich.table import Table

SHOW_OVER_S = 600.0


def worth_showing(allocations: Sequence[Allocation]) -> list[Allocation]:
    """Those that are open, and those that failed lately."""
    return [one for one in allocations if one.phase is not Phase.ENDED]


def workers_in(allocations: Sequence[Allocation], workers: Sequence[Worker]) -> dict[str, Worker]:
    """The newest worker in each place."""
    ids = {one.id for one in allocations}
    return {worker.place: worker for worker in workers if worker.place in ids}


def places_table(allocations: Sequence[Allocation]) -> "Table":
    """One line per place; those of one array that wait for the same reason share a line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("place", "job", "state", "has", "node"):
        table.add_column(name, no_wrap=name != "has")
    table.add_column("why", ratio=1, min_width=12)
    for alike in _alike(allocations):
        one = alike[0]
        table.add_row(
            _from_to([each.id for each in alike]),
            f"{one.scheduler} {_from_to([each.job for each in alike])}".strip(),
            str(one.phase),
            offers_words(one.offers) if one.offers.cpus else "what there is",
            one.node,
            one.says if one.run is None else f"run {short(one.run)} {one.says}",
        )
    return table


def _alike(allocations: Sequence[Allocation]) -> list[list[Allocation]]:
    groups: list[list[Allocation]] = []
    for one in allocations:
        before = groups[-1][0] if groups else None
        if before is not None and not one.node and _looks(one) == _looks(before):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _looks(one: Allocation) -> tuple[object, ...]:
    return one.submission, one.phase, one.node, one.says, one.run


def _from_to(names: Sequence[str]) -> str:
    """`k3f9-2…5`."""
    last = re.split("[-_.]", names[-1])[-1]
    return names[0] if len(names) == 1 or not names[0] else f"{names[0]}…{last}"


def offers_words(offers: Resources) -> str:
    """`2 cpus, 12.0 GB, 1 gpu, 4h`."""
    cpus = offers.cpus or 1
    words = [f"{cpus} cpu" + "s" * (cpus > 1)]
    words += [format_size(offers.memory_bytes)] if offers.memory_bytes else []
    words += [f"{offers.gpus} gpu" + "s" * (offers.gpus > 1)] if offers.gpus else []
    words += [format_duration(offers.time_s)] if offers.time_s else []
    return ", ".join(words)
