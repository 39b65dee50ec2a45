"""What the diagnosis found about a run: a disease, its evidence, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Disease(StrEnum):
    """What may be wrong with a run."""

    NOT_FINITE = "not-finite"
    DIVERGENCE = "divergence"
    PLATEAU = "plateau"
    OVER_FITTING = "over-fitting"
    STUCK = "stuck"
    SLOW = "slow"
    """Fewer steps a second than its own past, or than its siblings."""
    IDLE_GPU = "idle-gpu"
    MEMORY_GROWTH = "memory-growth"
    DISK_FILLING = "disk-filling"
    RATE_TOO_HIGH = "learning-rate-too-high"
    RATE_TOO_LOW = "learning-rate-too-low"
    DEAD_UNITS = "dead-units"
    EXPLODING_GRADIENTS = "exploding-gradients"
    VANISHING_GRADIENTS = "vanishing-gradients"
    GROWING_WEIGHTS = "growing-weights"


class Severity(StrEnum):
    """How urgent it is: `severe` wastes the time of a machine, a `warning` may, a `note` is good to know."""

    NOTE = "note"
    WARNING = "warning"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        """0, 1, 2."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One disease of one run. `about`: the metric, layer, GPU or folder it speaks of; with `disease` it is the name.

    `evidence` has the numbers, `advice` is one sentence, `reference` a paper or a page. `expected_at`: when memory or
    disk will be full. `over_at`: when it was seen no more.
    """

    disease: Disease
    severity: Severity
    evidence: str
    advice: str
    reference: str = ""
    about: str = ""
    since_step: int | None = None
    expected_at: datetime | None = None
    found_at: datetime | None = None
    over_at: datetime | None = None

    @property
    def name(self) -> tuple[Disease, str]:
        """Found again, it is the same finding."""
        return self.disease, self.about


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings about a run, oldest first, of its attempt so far. `lines`: event lines that had been read.

    `lines_at`, `output_at`: when event lines and output were last seen to have grown, for not every line has a time
    that is stored. `over`: the attempt had ended at the look, so nothing new is to be expected of it.
    """

    run: str
    attempt: int
    findings: tuple[Finding, ...] = ()
    lines: int = 0
    output_bytes: int = 0
    looked_at: datetime | None = None
    lines_at: datetime | None = None
    output_at: datetime | None = None
    over: bool = False

    @property
    def standing(self) -> tuple[Finding, ...]:
        """Those that still hold."""
        return tuple(finding for finding in self.findings if finding.over_at is None)

    @property
    def diseases(self) -> tuple[Disease, ...]:
        """What stands, each disease once."""
        return tuple(dict.fromkeys(finding.disease for finding in self.standing))


def merged(old: Sequence[Finding], seen: Sequence[Finding], now: datetime) -> tuple[Finding, ...]:
    """What stands after another look: first seen stays first seen, what is gone is over, what is new comes last."""
    by_name = {finding.name: finding for finding in seen}
    kept = [_again(one, by_name.pop(one.name, None), now) for one in old]
    return (*kept, *(replace(one, found_at=now) for one in by_name.values()))


def news(old: Sequence[Finding], now_found: Sequence[Finding]) -> tuple[Finding, ...]:
    """What should be told: findings that did not stand before, and those that have become more severe."""
    before = {finding.name: finding.severity for finding in old if finding.over_at is None}
    standing = (finding for finding in now_found if finding.over_at is None)
    return tuple(one for one in standing if one.name not in before or one.severity.rank > before[one.name].rank)


def replaces(new: Diagnosis, kept: Diagnosis) -> bool:
    """Whether it comes from the later look. One that was frozen for a while must not undo what others have found."""
    if kept.attempt != new.attempt or kept.looked_at is None or new.looked_at is None:
        return kept.attempt <= new.attempt
    return kept.looked_at < new.looked_at


def untold(new: Sequence[Finding], kept: Diagnosis | None, attempt: int) -> tuple[Finding, ...]:
    """Of what a look calls new, that which nobody has told meanwhile."""
    old = kept.findings if kept is not None and kept.attempt == attempt else ()
    return news(old, new)


def _again(old: Finding, seen: Finding | None, now: datetime) -> Finding:
    if seen is None:
        return old if old.over_at is not None else replace(old, over_at=now)
    since = seen.since_step if old.over_at is not None else old.since_step
    return replace(seen, found_at=old.found_at if old.over_at is None else now, since_step=since)
