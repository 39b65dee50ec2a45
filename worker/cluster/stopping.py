"""Giving places back: what waits is cancelled, what works is asked to leave."""

from collections.abc import Sequence
from dataclasses import dataclass

from queueing.doorbell import Doorbell
from queueing.people import asked_by, drain
from store.allocations import Allocation, Phase
from store.errors import LabqError, NoSuchAllocation
from store.identity import user_name
from store.schedulers import Scheduler
from store.settings import Settings
from store.store import Store
from store.workers import Drain, Worker
from worker.cluster.each import for_each
from worker.cluster.submit import cluster_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Ids of allocations; a line for each scheduler that could not be asked."""

    cancelled: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


def chosen_ones(store: Store, settings: Settings, which: Sequence[str], on: Scheduler | None) -> list[Allocation]:
    """This user's open places that are meant; with neither, all. Raises NoSuchAllocation."""
    mine = [one for one in store.allocations(0) if not one.is_over and one.owner == user_name()]
    there = [one for one in mine if on is None or one.scheduler is on]
    if not which:
        return there
    living = {worker.place: worker for worker in store.workers(settings.living_s) if worker.place}
    for name in which:
        if not any(_is_called(one, name, living) for one in there):
            names = ", ".join(sorted({one.submission for one in there})) or "none"
            raise NoSuchAllocation(
                f"{name!r} is no open place of yours, no job and no worker in one; there are: {names}"
            )
    return [one for one in there if any(_is_called(one, name, living) for name in which)]


def _is_called(one: Allocation, name: str, living: dict[str, Worker]) -> bool:
    worker = living.get(one.id)
    whole_array = one.job.replace(".", "_").partition("_")[0]
    host = one.cluster if one.scheduler is Scheduler.SSH else one.id
    return name in (one.id, one.submission, one.job, whole_array, host, worker.name if worker else one.id)


def stop_places(
    store: Store, doorbell: Doorbell, settings: Settings, ones: Sequence[Allocation], *, now: bool
) -> Stopped:
    """Asking again does what was left when somebody was killed here."""
    living = {worker.place: worker for worker in store.workers(settings.living_s) if worker.place}
    leaving = [one for one in ones if one.phase is Phase.RUNNING and one.id in living]
    # A place without a worker waits, starts just now, or has a worker that nobody hears of.
    rest = [one for one in ones if one not in leaving]
    cancelled, troubles = _at_the_schedulers(settings, rest, leaving)
    workers = list(living.values())
    for one in leaving:
        order = Drain(target=living[one.id].name, after_current=not now, by=asked_by())
        drain(store, doorbell, order, 0.0, workers)
    return Stopped(cancelled=tuple(cancelled), leaving=tuple(one.id for one in leaving), troubles=tuple(troubles))


def _at_the_schedulers(
    settings: Settings, to_cancel: Sequence[Allocation], leaving: Sequence[Allocation]
) -> tuple[list[str], list[str]]:
    def at(name: str) -> list[str]:
        scheduler, _, host = name.partition(" ")
        cluster = cluster_of(Scheduler(scheduler), settings, host)
        jobs = [one for one in to_cancel if _whose(one) == name and one.job]
        cluster.keep_from_coming_back([one.job for one in leaving if _whose(one) == name])
        cluster.cancel([one.job for one in jobs])
        return [one.id for one in jobs]

    cancelled: list[str] = []
    troubles: list[str] = []
    for name, done in for_each(sorted({_whose(one) for one in (*to_cancel, *leaving)}), at).items():
        if isinstance(done, LabqError):
            troubles.append(f"{name.partition(' ')[2]}: {done}".removeprefix(": "))
        else:
            cancelled += done
    return cancelled, troubles


def _whose(one: Allocation) -> str:
    """Who is asked about it: a scheduler, or one of the hosts of ssh."""
    return f"{one.scheduler} {one.cluster}" if one.scheduler is Scheduler.SSH else str(one.scheduler)
