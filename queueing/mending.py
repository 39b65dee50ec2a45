"""Looking for damage, and mending it. What one look finds may be somebody's work of this moment, so there are two."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from queueing.checks import STORED, Check, Lab, LeaseCheck, StoreCheck
from queueing.ticket_checks import LostTicketCheck, RegistrationCheck, StuckTicketCheck, UnrungCheck
from store.damage import Damage, Fault
from store.errors import DoorbellUnavailable

BETWEEN_LOOKS_S = 2.0
"""Longer than anything takes that looks like damage while it is being done."""

MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All damage of one kind. `mended`: how much of it was; `left`: what was still there afterwards."""

    damage: Damage
    faults: tuple[Fault, ...]
    mended: int = 0
    left: int = 0
    problem: str = ""


def all_checks(lab: Lab) -> list[Check]:
    """Everything that MongoDB and Redis can tell, in the order of mending."""
    return [
        LeaseCheck(lab=lab),
        *(StoreCheck(lab=lab, damage=damage) for damage in STORED),
        LostTicketCheck(lab=lab),
        StuckTicketCheck(lab=lab),
        UnrungCheck(lab=lab),
        RegistrationCheck(lab=lab),
    ]


def look(checks: Sequence[Check], pause: Callable[[float], None] = time.sleep) -> list[Found]:
    """What is wrong at two looks. Kinds of which nothing is wrong are left out."""
    first = {check.damage: _find(check) for check in checks}
    if not any(found.faults for found in first.values()):
        return [found for found in first.values() if found.problem]
    pause(BETWEEN_LOOKS_S)
    second = [_again(check, first[check.damage]) for check in checks]
    return [found for found in second if found.faults or found.problem]


def mend(checks: Sequence[Check], pause: Callable[[float], None] = time.sleep) -> list[Found]:
    """Mend what two looks find; again, while that brought something to light."""
    by_damage = {check.damage: check for check in checks}
    done: dict[Damage, Found] = {}
    for _ in range(MOST_ROUNDS):
        found = look(checks, pause)
        known = {fault.mark for one in done.values() for fault in one.faults}
        fresh = [_without(one, known) for one in found]
        for old, new in zip(found, fresh, strict=True):
            joined = _joined(done.get(new.damage), _mended(by_damage[new.damage], new))
            done[new.damage] = replace(joined, left=len(old.faults) - len(new.faults))
        if not any(one.faults for one in fresh):
            break
    return [one for damage in Damage if (one := done.get(damage)) is not None and (one.faults or one.problem)]


def _find(check: Check) -> Found:
    try:
        return Found(damage=check.damage, faults=tuple(check.find()))
    except (DoorbellUnavailable, OSError) as error:
        return Found(damage=check.damage, faults=(), problem=str(error))


def _again(check: Check, before: Found) -> Found:
    if not before.faults:
        return before
    now, marks = _find(check), {fault.mark for fault in before.faults}
    return Found(
        damage=check.damage, faults=tuple(fault for fault in now.faults if fault.mark in marks), problem=now.problem
    )


def _without(found: Found, known: Iterable[tuple[str, str, str]]) -> Found:
    known = set(known)
    fresh = tuple(fault for fault in found.faults if fault.mark not in known)
    return Found(damage=found.damage, faults=fresh, problem=found.problem)


def _mended(check: Check, found: Found) -> Found:
    count, problem = 0, found.problem
    for fault in found.faults:
        try:
            count += check.mend(fault)
        except (DoorbellUnavailable, OSError) as error:
            problem = str(error)
            break
    return Found(damage=found.damage, faults=found.faults, mended=count, problem=problem)


def _joined(before: Found | None, after: Found) -> Found:
    if before is None:
        return after
    return Found(
        damage=after.damage,
        faults=before.faults + after.faults,
        mended=before.mended + after.mended,
        problem=after.problem or before.problem,
    )
