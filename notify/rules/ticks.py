"""What the clock brings: running runs, workers and disks, looked at every few seconds."""

from collections.abc import Sequence
from dataclasses import replace

from notify.rules.clock import WORKERS_BACK_S, every_id, lost, low, passed, unseen
from notify.rules.events import race_results
from notify.rules.happenings import Happening
from notify.rules.holding import Holding
from notify.rules.look import Look
from store.occasions import Occasion
from store.runs import Run
from store.telling import Remembered

RUNNING_AT_MOST = 2000
LOST, LOW = "workers", "disks"
"""Under which names it is remembered of which workers and hosts somebody was told."""


def look_at_running(look: Look) -> None:
    """`every 2h`, and runs that take the lead while they run."""
    running = look.store.running(RUNNING_AT_MOST)
    following = [run for run in running if _names(look.held_for(run), Occasion.BEST_SO_FAR)]
    memories, happened = race_results(look, following)
    if memories:
        _tell(look, _whole(look, happened), memories)
    for holding in {one.key: one for run in running for one in _every(look.held_for(run))}.values():
        mine = [run for run in running if holding in look.held_for(run)]
        _tell_every(look, holding, mine)


def _tell_every(look: Look, holding: Holding, running: Sequence[Run]) -> None:
    name = every_id(holding)
    before = look.store.remembered([name]).get(name) or Remembered(id=name)
    memory, happened = passed(before, holding, running, look.now)
    if memory == before:
        return
    draft = look.draft(look.asked(_whole(look, happened), lambda _: [holding]))
    draft.remember(memory)
    look.store.owe(draft.telling())


def _whole(look: Look, happened: Sequence[Happening]) -> list[Happening]:
    """A look at all running runs reads a part of each; rules may ask for the rest."""
    runs = look.runs(one.run_id for one in happened)
    return [replace(one, run=runs[one.run_id]) for one in happened if one.run_id in runs]


def look_at_workers(look: Look, living_s: float, held_s: float) -> None:
    """Not after a gap in which nobody could say that he lives: then all seem lost. A disk is low for whoever lives."""
    workers = look.store.workers(WORKERS_BACK_S)
    known = look.store.remembered([LOST, LOW])
    if held_s >= living_s:
        before = known.get(LOST) or Remembered(id=LOST)
        runs = look.runs(worker.run for worker in unseen(workers, living_s, look.now) if worker.run)
        memory, happened = lost(before, workers, runs, living_s, look.now)
        if memory != before:
            _tell(look, happened, [memory])
    living = look.store.workers(living_s)
    before = known.get(LOW) or Remembered(id=LOW)
    memory, happened = low(before, living, look.now)
    if memory != before:
        _tell(look, happened, [memory])


def _tell(look: Look, happened: Sequence[Happening], memories: Sequence[Remembered]) -> None:
    draft = look.draft(look.asked(happened, lambda one: _held(look, one)))
    for memory in memories:
        draft.remember(memory)
    look.store.owe(draft.telling())


def _held(look: Look, happening: Happening) -> Sequence[Holding]:
    """A worker is a matter of all users, whosever run it held."""
    if happening.worker:
        return look.held_by_all(happening.run)
    return look.held_for(happening.run) if happening.run is not None else ()


def _names(held: Sequence[Holding], occasion: Occasion) -> bool:
    return any(occasion in one.rule.on for one in held)


def _every(held: Sequence[Holding]) -> list[Holding]:
    return [one for one in held if Occasion.EVERY in one.rule.on and one.rule.every_s > 0]
