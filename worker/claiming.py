"""Taking a run together with the GPUs that it asks for.

Workers of one machine decide one after another, so that none claims a run for a GPU that another is just taking.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from queueing.refusal import Objection
from store.errors import StoreUnavailable
from store.runs import Run
from store.samples import Peaks
from store.settings import Settings
from store.spans import Span
from store.store import Store
from store.workers import Worker
from worker.gpu_choice import Seat, choose, need_bytes, open_seats
from worker.gpu_slots import NOTHING, Held, Slots, works_for
from worker.gpus import Gpu, offered, read_gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run, its GPUs, and why it cannot begin here if they did not suffice.

    `asked_at`: on the monotonic clock, a moment before the claim. Its lease is not over before `asked_at` + `lease_s`.
    """

    run: Run
    asked_at: float
    gpus: Held = NOTHING
    objection: Objection | None = None


def gpus_here(choice: str) -> tuple[Gpu, ...]:
    """What `--gpus` means on this machine now. Raises UserError."""
    return () if choice == "0" else offered(choice, read_gpus(), os.environ)


def claim(
    store: Store,
    settings: Settings,
    worker: Worker,
    gpus: Sequence[Gpu],
    slots_per_gpu: int,
    span: Span | None = None,
) -> Claimed | None:
    """The best run that fits the worker as it is now: GPUs that are taken are not offered. Raises OSError."""
    if not gpus:
        asked_at = time.monotonic()
        run = store.claim(worker, settings.lease_s, span)
        return None if run is None else Claimed(run=run, asked_at=asked_at)
    slots = Slots(settings.slots_dir, slots_per_gpu, works_for(settings.runs_dir))
    with slots.deciding():
        seats = slots.seats(gpus)
        asked_at = time.monotonic()
        run = store.claim(replace(worker, gpus=len(open_seats(seats))), settings.lease_s, span)
        if run is None:
            return None
        claimed = Claimed(run=run, asked_at=asked_at)
        return claimed if run.resources.gpus == 0 else _seated(store, slots, seats, claimed)


def gpus_free(settings: Settings, gpus: Sequence[Gpu], slots_per_gpu: int) -> int | None:
    """How many of them a run could get now, for those who look; None where there are none. Raises OSError."""
    if not gpus:
        return None
    slots = Slots(settings.slots_dir, slots_per_gpu, works_for(settings.runs_dir))
    with slots.deciding():
        return len(open_seats(slots.seats(gpus)))


def _seated(store: Store, slots: Slots, seats: Sequence[Seat], claimed: Claimed) -> Claimed:
    """A run that has been claimed must reach its supervisor, whatever happens here."""
    run = claimed.run
    measured = Peaks()
    with suppress(StoreUnavailable):
        measured = store.peaks(run.experiment)
    need = need_bytes(run.resources.gpu_memory_bytes, measured.gpu_memory_bytes)
    chosen = choose(seats, run.resources.gpus, need)
    if chosen.problem:
        return replace(claimed, objection=Objection(message=chosen.problem))
    try:
        return replace(claimed, gpus=slots.take(chosen.seats, run.id, need))
    except OSError as error:
        return replace(claimed, objection=Objection(message=f"no slot on a GPU can be taken: {error}"))
