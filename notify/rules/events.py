"""A page of owed events: who is told of them, and what is remembered of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from notify.rules.draft import Draft
from notify.rules.happenings import Happening, happening_of, words_of
from notify.rules.holding import Holding, watches_sweeps
from notify.rules.leads import Race, begun, led, races
from notify.rules.look import Look
from store.occasions import Occasion
from store.query import Among, Not, Order, RunField
from store.runs import Run
from store.states import ENDED, State
from store.store import RunQuery
from store.telling import Owed, Remembered

SWEEPS = "sweeps"
"""Under which name the experiments are remembered of which it must be seen whether the last run has ended."""
_ENDINGS = frozenset(Occasion(state.value) for state in ENDED)


class Page:
    """Dealt with as a whole, in one transaction."""

    def __init__(self, look: Look, owed: Sequence[Owed]) -> None:
        self._look, self._owed = look, owed
        self._asked_for = [one for one in owed if self._may_concern(one)]

    def deal(self) -> bool:
        """False when somebody else was faster. Raises StoreUnavailable."""
        look = self._look
        runs = look.runs(one.event.run for one in self._asked_for)
        there = [one for one in self._asked_for if one.event.run in runs]
        happened = [happening_of(one, runs[one.event.run]) for one in there]
        finished = [runs[one.event.run] for one in there if one.about is Occasion.FINISHED]
        memories, led_by = race_results(look, finished)
        asked = look.asked([*happened, *led_by], self._held_for)
        draft = look.draft(asked, [SWEEPS])
        for memory in memories:
            draft.remember(memory)
        self._watch_sweeps(draft)
        return look.store.owe(draft.telling(events=[one.id for one in self._owed]))

    def _may_concern(self, owed: Owed) -> bool:
        """Before the run is read: of most events nobody wants to know."""
        held = self._held(owed)
        if any(not words_of(owed).isdisjoint(one.rule.on) for one in held):
            return True
        return owed.about in _ENDINGS and (_follows_leads(held) or watches_sweeps(held))

    def _held(self, owed: Owed) -> Sequence[Holding]:
        return self._look.held(owed.experiment, owed.owner, owed.notify) if owed.experiment else ()

    def _held_for(self, happening: Happening) -> Sequence[Holding]:
        return self._look.held_for(happening.run) if happening.run is not None else ()

    def _watch_sweeps(self, draft: Draft) -> None:
        endings = [one for one in self._asked_for if one.about in _ENDINGS]
        watched = {one.experiment for one in endings if watches_sweeps(self._held(one))}
        known = draft.memory(SWEEPS)
        if watched - set(known.marks):
            draft.remember(replace(known, marks={**known.marks, **dict.fromkeys(sorted(watched), 1.0)}))


def race_results(look: Look, runs: Iterable[Run]) -> tuple[list[Remembered], list[Happening]]:
    """Who has taken the lead among these, with what is to be remembered of it."""
    candidates: dict[Race, list[Run]] = {}
    for run in runs:
        for race in races(run.experiment, look.held_for(run)):
            candidates.setdefault(race, []).append(run)
    known = look.store.remembered([race.id for race in candidates]) if candidates else {}
    memories, happened = [], []
    for race, some in candidates.items():
        before = known.get(race.id) or begun(race, _best_of_others(look, race, some))
        memory, leads = led(before, race, some, look.now)
        happened += leads
        if memory != known.get(race.id):
            memories.append(memory)
    return memories, happened


def _best_of_others(look: Look, race: Race, some: Sequence[Run]) -> Run | None:
    """Asked once for each race: from then on the leader is remembered."""
    others = Not(part=Among(field=RunField.ID, values=tuple(run.id for run in some)))
    order = Order(field=race.field, descending=race.greatest)
    states = (State.FINISHED, State.RUNNING)
    asked = RunQuery(experiment=race.experiment, states=states, where=others, order=order, limit=1)
    return next(iter(look.store.runs(asked)), None)


def _follows_leads(held: Iterable[Holding]) -> bool:
    return any(Occasion.BEST_SO_FAR in one.rule.on for one in held)
