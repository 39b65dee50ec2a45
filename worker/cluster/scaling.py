"""How many places should be asked for: a pure decision, from what waits, what there is and what went wrong lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from store.allocations import Allocation, Phase
from store.runs import Resources
from store.workers import Worker

FULL_S = 60.0
"""A place that has waited for longer says that the cluster is full: nothing like it is asked for meanwhile."""
STARTING_S = 300.0
"""A job that has run for longer and has no worker will hardly have one."""
SETTLE_S = 30.0
"""A place that has waited for less is not given back: what it was for may come back in a moment."""
OF_USE_S = 120.0
"""A job that failed after more than this had begun to work."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`open_ones`: places of this user in this cluster for this queue."""

    demands: Mapping[Resources, int]
    base: Resources
    """What a place has in any case."""
    most: int
    now: datetime
    open_ones: Sequence[Allocation] = ()
    over: Sequence[Allocation] = ()
    """Those that were over lately."""
    living: Sequence[Worker] = ()
    own: int = 0
    """Runs that wait for a job of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to ask for, what to give back, and what keeps us from more, in words."""

    ask: tuple[tuple[Resources, int], ...] = ()
    own: int = 0
    """So many of the runs that wait for a job of their own."""
    give_back: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class _Free:
    """A place, or a worker, that will take the next run that fits."""

    offers: Resources
    allocation: Allocation | None = None


def decide(found: Situation) -> Decision:
    """One place for each run that nobody is free for, as long as there may be more.

    A busy worker takes another run when it is done; but whether that is soon nobody knows, so each waiting run counts.
    """
    wanted, unused = _unserved(found.demands, _free(found))
    give_back = _surplus(found, unused)
    room = found.most - len(found.open_ones) + len(give_back)
    shapes, odd = _shapes(wanted, found.base)
    full = {one.offers for one in found.open_ones if _waits_s(one, found.now) > FULL_S}
    asked = {shape: count for shape, count in shapes.items() if shape not in full}
    if (pause := _pause(found)) and (asked or found.own):
        return Decision(give_back=give_back, because=pause)
    own = max(0, min(found.own, room))  # first: nobody else can serve them
    because = _because(sum(shapes.values()) + found.own > 0, any(shape in full for shape in shapes), room, odd)
    return Decision(ask=_shared(asked, room - own), own=own, give_back=give_back, because=because)


# ── what is free ──
def _free(found: Situation) -> list[_Free]:
    places = {one.id for one in found.open_ones}
    inside = {worker.place: worker for worker in found.living if worker.place in places}
    shared = [one for one in found.open_ones if one.run is None]
    free = [_Free(one.offers, one) for one in shared if _is_free(one, inside.get(one.id), found.now)]
    idle = [worker for worker in found.living if worker.run is None and worker.place not in places]
    return free + [_Free(_offered_by(worker)) for worker in idle]


def _is_free(one: Allocation, worker: Worker | None, now: datetime) -> bool:
    if one.phase is not Phase.RUNNING:
        return True
    if worker is not None:
        return worker.run is None
    return one.started_at is None or (now - one.started_at).total_seconds() < STARTING_S


def _offered_by(worker: Worker) -> Resources:
    return Resources(gpus=worker.gpus, cpus=worker.cpus, memory_bytes=worker.memory_bytes, tags=worker.tags)


def _unserved(demands: Mapping[Resources, int], free: list[_Free]) -> tuple[dict[Resources, int], list[_Free]]:
    """The most demanding runs choose first, each the least place that will do."""
    left = sorted(free, key=lambda one: _greatness(one.offers))
    wanted: dict[Resources, int] = {}
    for demand, count in sorted(demands.items(), key=lambda item: _greatness(item[0]), reverse=True):
        fitting = [one for one in left if suffices(one.offers, demand)][:count]
        taken = {id(one) for one in fitting}
        left = [one for one in left if id(one) not in taken]
        if count > len(fitting):
            wanted[demand] = count - len(fitting)
    return wanted, left


def suffices(offers: Resources, demand: Resources) -> bool:
    """Whether a worker of such a place may claim the run. A place without a memory limit promises none either."""
    return (
        demand.gpus <= offers.gpus
        and (demand.cpus or 0) <= (offers.cpus or 1)
        and (offers.memory_bytes is None or (demand.memory_bytes or 0) <= offers.memory_bytes)
        and set(demand.tags) <= set(offers.tags)
        and demand.on is None
    )


def _greatness(one: Resources) -> tuple[int, int, int, int]:
    return one.gpus, one.memory_bytes or 0, one.cpus or 0, len(one.tags)


# ── what to ask for ──
def _shapes(wanted: Mapping[Resources, int], base: Resources) -> tuple[dict[Resources, int], int]:
    """Places by what they must have; and how many runs ask for a tag that these workers do not have."""
    shapes: dict[Resources, int] = {}
    odd = 0
    for demand, count in wanted.items():
        if demand.on is not None:
            continue  # a job of its own, which is asked for otherwise
        shape = shaped(base, demand)
        if set(demand.tags) <= set(base.tags):
            shapes[shape] = shapes.get(shape, 0) + count
        else:
            odd += count
    return shapes, odd


def shaped(base: Resources, demand: Resources) -> Resources:
    """The least place that has what every place has and what the run wants."""
    memory = max(base.memory_bytes or 0, demand.memory_bytes or 0)
    return replace(
        base,
        gpus=max(base.gpus, demand.gpus),
        cpus=max(base.cpus or 1, demand.cpus or 1),
        memory_bytes=memory or None,
    )


def _shared(asked: Mapping[Resources, int], room: int) -> tuple[tuple[Resources, int], ...]:
    """Round and round, so that no kind waits for another one to be served."""
    given = dict.fromkeys(asked, 0)
    while room > 0 and (open_kinds := [shape for shape in asked if given[shape] < asked[shape]]):
        for shape in open_kinds[:room]:
            given[shape] += 1
        room -= len(open_kinds[:room])
    return tuple((shape, count) for shape, count in given.items() if count)


# ── what to give back, and when to wait ──
def _surplus(found: Situation, unused: Sequence[_Free]) -> tuple[str, ...]:
    """What the scaler asked for, what still waits and nobody needs; and what is too much, the newest first."""
    idle = [one.allocation.id for one in unused if one.allocation is not None and _may_go(one.allocation, found.now)]
    rest = [one.id for one in reversed(found.open_ones) if _may_go(one, found.now) and one.id not in idle]
    excess = len(found.open_ones) - len(idle) - found.most
    return (*idle, *rest[: max(0, excess)])


def _may_go(one: Allocation, now: datetime) -> bool:
    return one.scaled and one.run is None and one.phase is Phase.PENDING and _waits_s(one, now) > SETTLE_S


def _waits_s(one: Allocation, now: datetime) -> float:
    if one.phase is not Phase.PENDING or one.created_at is None:
        return 0.0
    return (now - one.created_at).total_seconds()


def _pause(found: Situation) -> str:
    """After tries that failed in a row, each twice as long as the one before. In words; empty: none."""
    failed = _failed_in_a_row(found)
    tries = len({one.submission for one in failed})
    if not tries or failed[0].ended_at is None:
        return ""
    pause_s = min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S)
    since_s = (found.now - failed[0].ended_at).total_seconds()
    what = "the last one" if tries == 1 else f"the last {tries}"
    return f"{what} failed: {failed[0].says}" if since_s < pause_s else ""


def _failed_in_a_row(found: Situation) -> list[Allocation]:
    """The newest first, back to the last place that was of use. Whoever asked by hand made mistakes of their own."""
    worked = max((one.started_at for one in found.open_ones if one.started_at), default=None)
    over = sorted((one for one in found.over if one.scaled and one.ended_at), key=_end, reverse=True)
    failed = []
    for one in over:
        was_of_use = one.started_at is not None and (one.phase is Phase.ENDED or _lived_s(one) >= OF_USE_S)
        if was_of_use or (worked is not None and _end(one) < worked):
            break
        if one.phase is Phase.FAILED:
            failed.append(one)
    return failed


def _end(one: Allocation) -> datetime:
    assert one.ended_at is not None
    return one.ended_at


def _lived_s(one: Allocation) -> float:
    return (_end(one) - one.started_at).total_seconds() if one.started_at else 0.0


def _because(some_wait: bool, is_full: bool, room: int, odd: int) -> str:
    reasons = ["the cluster is full: what was asked for still waits"] if is_full else []
    reasons += ["there are as many places as there may be"] if some_wait and room <= 0 else []
    reasons += [f"{odd} runs want a tag that these workers do not have"] if odd else []
    return "; ".join(reasons)
