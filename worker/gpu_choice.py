"""Which GPUs a run gets: a pure decision on what the driver and the slots say.

A run whose need is known joins others on a GPU when all of them fit together; one whose need is not known yet, the
first of its experiment, gets a GPU to itself and is measured. A GPU that a stranger computes on is left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from queueing.units import format_size
from worker.gpus import Gpu

MARGIN = 1.1
"""Measured peaks are looks every ten seconds: what lies between them may be a little higher."""

NOISE, NOISE_BYTES = 0.05, 1 << 30
"""What the driver itself holds of an idle GPU is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A GPU, what the runs on it reserved (None: all of it), whether one more may join, whether a stranger is there."""

    gpu: Gpu
    reserved: tuple[int | None, ...] = ()
    has_slot: bool = True
    has_stranger: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The seats, or why there are not enough."""

    seats: tuple[Seat, ...] = ()
    problem: str = ""


def need_bytes(declared: int | None, measured: int) -> int | None:
    """What to reserve on each GPU: what the run declares, else what its siblings were seen to need; None: unknown."""
    if declared is not None:
        return declared
    return int(measured * MARGIN) if measured else None


def open_seats(seats: Sequence[Seat]) -> list[Seat]:
    """Those that some run might take now."""
    return [seat for seat in seats if seat.has_slot and not seat.has_stranger]


def choose(seats: Sequence[Seat], count: int, need: int | None) -> Chosen:
    """The emptiest GPUs first."""
    fitting = [seat for seat in open_seats(seats) if _fits(seat, need)]
    if len(fitting) >= count:
        return Chosen(seats=tuple(sorted(fitting, key=lambda seat: (len(seat.reserved), -_free(seat)))[:count]))
    return Chosen(problem=_problem(seats, len(fitting), count, need))


def is_full_of_nobody(gpu: Gpu) -> bool:
    """Memory that none of the processes we may see holds: a stranger's, outside of our container."""
    if gpu.total_bytes is None or gpu.processes:
        return False
    return gpu.used_bytes > max(NOISE_BYTES, NOISE * gpu.total_bytes)


def _fits(seat: Seat, need: int | None) -> bool:
    if seat.gpu.total_bytes is None:
        return True  # the number of slots is all that is known
    if need is None:
        return not seat.reserved
    return need <= _free(seat)


def _free(seat: Seat) -> int:
    """What neither is used now nor will be by those who are there already."""
    total = seat.gpu.total_bytes or 0
    reserved = sum(total if bytes_ is None else bytes_ for bytes_ in seat.reserved)
    return total - max(seat.gpu.used_bytes, reserved)


def _problem(seats: Sequence[Seat], fitting: int, count: int, need: int | None) -> str:
    wanted = "a GPU of its own" if need is None else f"a GPU with {format_size(need)} free"
    several = f"{count} times {wanted}" if count > 1 else wanted
    strangers = sum(seat.has_stranger for seat in seats)
    others = f"; others compute on {strangers} of {len(seats)}" if strangers else ""
    return f"{several} is needed, {fitting or 'none'} can be had{others}"
