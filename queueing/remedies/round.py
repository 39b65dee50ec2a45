"""The round that acts on findings: in any worker, one at a time under a short lease.

    cases (new findings, where there are rules) ─► decide ─► kept ─► the run that follows is queued ─► the old one stops

What was decided is kept before it is carried out, and every step may be done again: ids of runs are hashes of what they
are, and a run that is being stopped refuses to be. So whoever is killed in between is finished by the next one.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from queueing.doorbell import Doorbell
from queueing.people import carry_out
from queueing.remedies.deciding import decide, ruling_name, successor
from queueing.remedies.table import rules_of
from store.changes import Change
from store.errors import DoorbellUnavailable, IllegalTransition, NoSuchRun, StoreUnavailable
from store.judged import Ruling
from store.logbook import say, warn
from store.remedies import Case, Remedy
from store.rulings import ruled_out
from store.runs import Run, short
from store.settings import Settings
from store.states import ENDED
from store.store import Store

CASES_AT_MOST = 50
BY = "diagnosis"
Tables = Mapping[str, Sequence[dict[str, Any]]]


def treat_runs(store: Store, doorbell: Doorbell, settings: Settings, owner: str) -> int:
    """Answer what was found; how many cases. Raises StoreUnavailable, StoreFailed."""
    tables = store.remedied()
    if not tables or store.lock("remedies", owner, settings.repair_s, gap_s=settings.repair_s) is None:
        return 0
    cases = store.cases(CASES_AT_MOST)
    for case in cases:
        _treat(store, doorbell, case, tables)
    return len(cases)


def _treat(store: Store, doorbell: Doorbell, case: Case, tables: Tables) -> None:
    """One that cannot be answered must not keep others from being answered."""
    try:
        run = store.run(case.diagnosis.run)
        remedy = _remedy(store, case, run, tables)
        if remedy is not None:
            _carry_out(store, doorbell, run, remedy)
        store.close_case(case)
    except StoreUnavailable:
        raise
    except NoSuchRun:
        store.close_case(case)
    except Superseded:
        return
    except Exception as error:  # noqa: BLE001 - rules of a newer labq, a document that nobody can read
        warn("case-not-answered", run=case.diagnosis.run, error=repr(error))
        store.close_case(case)


class Superseded(Exception):
    """Something new has been found about the run: the next round sees all of it."""


def _remedy(store: Store, case: Case, run: Run, tables: Tables) -> Remedy | None:
    """What somebody who died had decided, else what is decided now."""
    if case.remedy is not None and not case.remedy.done:
        return case.remedy
    if run.attempt != case.diagnosis.attempt:
        return None  # it has begun anew since; what it suffers from now is another case
    remedy = decide(run, case.diagnosis.standing, rules_of(tables.get(case.experiment, ())))
    if remedy is not None and not store.prescribe(case, remedy):
        raise Superseded
    return remedy


def _carry_out(store: Store, doorbell: Doorbell, run: Run, remedy: Remedy) -> None:
    new = successor(run, remedy, store.now())
    if new is not None:
        added = store.add_runs([new])
        with suppress(DoorbellUnavailable):
            doorbell.ring([(new.id, new.attempt, new.queue)] if added else [])
        because = f"{remedy.because}; tried anew as {short(new.id)} with {_words(remedy)}"
        store.change([run.id], Change(name="followed", apply=followed_by(new.id), by=BY, because=because))
        remedy = replace(remedy, because=because)
    if run.state not in ENDED:
        rulings = {run.id: Ruling(rule=ruling_name(remedy.rule), because=remedy.because)}
        asked = Change(name="stop", apply=ruled_out(rulings), by=BY, because=remedy.because)
        carry_out(store, doorbell, [run.id], asked)
    say("treated", run=run.id, rule=remedy.rule, follows=new.id if new else None)


def _words(remedy: Remedy) -> str:
    return ", ".join(f"{name} = {value}" for name, value in (remedy.change or {}).items())


def followed_by(new_id: str) -> Any:
    """The old run names the new one; said once, however often it is done."""

    def apply(run: Run, _now: datetime) -> Run:
        if run.provenance.get("followed_by") == new_id:
            raise IllegalTransition(f"run {run.id} is followed by {new_id} already")
        return replace(run, provenance={**run.provenance, "followed_by": new_id})

    return apply
