"""The second half of `labq doctor`: what is damaged, and with --fix what was mended."""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from queueing.checks import Check, Lab
from queueing.doorbell import Doorbell
from queueing.mending import Found, all_checks, look, mend
from queueing.repair import repair
from store.connect import connect, redis_url
from store.settings import Settings

SHOWN = 3
SHOWN_IN_JSON = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DamageReport:
    """What was found. `rung`: tickets that the repair loop added; None when somebody else was at it."""

    fixing: bool
    found: tuple[Found, ...]
    unknown: str = ""
    rung: int | None = None

    @property
    def is_well(self) -> bool:
        """Nothing wrong, or mended. Redis' absence is a finding of its own."""
        if self.unknown or any(found.left for found in self.found):
            return False
        return self.fixing or not any(found.faults for found in self.found)

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        if self.unknown:
            yield f"WRONG damage     {self.unknown}"
        elif not self.found:
            yield "ok    damage     none found"
        for found in self.found:
            if found.faults:
                yield _line(found, fixing=self.fixing)
            if found.problem:
                yield f"?     {found.damage}: not all could be looked at: {found.problem}"
        if not self.fixing and any(found.faults for found in self.found):
            yield "      mend it with: labq doctor --fix"

    def as_json(self) -> dict[str, Any]:
        """For programmes."""
        damage = {
            found.damage.value: {
                "found": len(found.faults),
                "mended": found.mended,
                "left": found.left,
                "problem": found.problem,
                "faults": found.faults[:SHOWN_IN_JSON],
            }
            for found in self.found
        }
        return {"damage": damage, "unknown": self.unknown, "rung": self.rung}


def examine_damage(settings: Settings, here: Sequence[Check], *, fix: bool, deep: bool) -> DamageReport:
    """Look, or mend. Raises StoreUnavailable."""
    store = connect(settings)
    doorbell = Doorbell(redis_url(settings), settings.redis_timeout_s)
    owner = f"doctor-{socket.gethostname()}-{os.getpid()}"
    checks = [*all_checks(Lab(store=store, doorbell=doorbell, settings=settings, owner=owner, deep=deep)), *here]
    try:
        if not fix:
            return DamageReport(fixing=False, found=tuple(look(checks)))
        found = tuple(mend(checks))
        done = repair(store, doorbell, settings, owner)
        return DamageReport(fixing=True, found=found, rung=done.rung if done else None)
    finally:
        doorbell.close()
        store.close()


def _line(found: Found, *, fixing: bool) -> str:
    """`mended abandoned-upload 12 of 12: 65a… (run 3k9, attempt 2); …`"""
    some = "; ".join(f"{fault.id} ({fault.text})" for fault in found.faults[:SHOWN])
    more = f"; … +{len(found.faults) - SHOWN} more" if len(found.faults) > SHOWN else ""
    count = f"{found.mended} of {len(found.faults)}" if fixing else str(len(found.faults))
    return f"{'fixed' if fixing and not found.left else 'WRONG'} {found.damage} {count}: {some}{more}"
