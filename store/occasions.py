"""What a message may be about."""

from enum import StrEnum

from store.findings import Disease
from store.states import ENDED, Reason, State


class Occasion(StrEnum):
    """Something that somebody may want to be told."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    STUCK = "stuck"
    DIVERGED = "diverged"
    PLATEAU = "plateau"
    FINDING = "finding"
    """Any other finding of the diagnosis."""
    BEST_SO_FAR = "best-so-far"
    EVERY = "every"
    """So much time has passed."""
    SWEEP_FINISHED = "sweep-finished"
    WORKER_LOST = "worker-lost"
    DISK_LOW = "disk-low"
    DIGEST = "digest"
    """Several of the above in one message; nobody asks for it by this name."""
    TEST = "test"
    """`labq notify --test`"""


OF_DISEASE: dict[Disease, Occasion] = {
    Disease.STUCK: Occasion.STUCK,
    Disease.DIVERGENCE: Occasion.DIVERGED,
    Disease.NOT_FINITE: Occasion.DIVERGED,
    Disease.PLATEAU: Occasion.PLATEAU,
    Disease.DISK_FILLING: Occasion.DISK_LOW,
}
"""All others are findings."""
OF_REASON: dict[Reason, Occasion] = {Reason.DIVERGED: Occasion.DIVERGED, Reason.DISK_FULL: Occasion.DISK_LOW}
"""A run that failed for this reason is a matter of these rules too."""
ABOUT_NO_RUN = frozenset({Occasion.SWEEP_FINISHED, Occasion.WORKER_LOST})
OCCASION_WORDS = tuple(one.value for one in Occasion if one not in (Occasion.DIGEST, Occasion.TEST))
WORDS = tuple(dict.fromkeys([*OCCASION_WORDS, *(disease.value for disease in Disease)]))
"""What a rule may name after `on`: occasions, and findings by the name of the disease."""


def entered(state: State, *, is_given_back: bool = False) -> Occasion | None:
    """What somebody may be told when an attempt ends in this state; `is_given_back`: it has not even begun."""
    if state in ENDED:
        return Occasion(state.value)
    return Occasion.INTERRUPTED if state is State.QUEUED and not is_given_back else None
