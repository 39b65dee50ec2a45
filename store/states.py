"""The life of a run: one enum, one table of legal transitions.

queued → running → finished | failed | cancelled
queued ⇄ paused,  running → queued (interrupted),  running → paused,
failed | cancelled | finished → queued (requeued by a person)
"""

from enum import StrEnum

from store.errors import IllegalTransition


class State(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    PAUSED = "paused"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why an attempt ended without finishing."""

    ERROR = "error"
    KILLED = "killed"
    OUT_OF_MEMORY = "out-of-memory"
    TIME_LIMIT = "time-limit"
    DIVERGED = "diverged"
    DISK_FULL = "disk-full"
    LOST = "lost"
    REFUSED = "refused"
    DRAINED = "drained"
    STOPPED = "stopped"


class Wish(StrEnum):
    """What a person asked of a running run; its supervisor sees it at the next renewal."""

    CANCEL = "cancel"
    REQUEUE = "requeue"
    PAUSE = "pause"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED, State.FAILED}),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.RUNNING: frozenset({State.FINISHED, State.FAILED, State.CANCELLED, State.QUEUED, State.PAUSED}),
    State.FINISHED: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}

ENDED = frozenset({State.FINISHED, State.FAILED, State.CANCELLED})


def check_transition(run_id: str, old: State, new: State) -> None:
    """Raise IllegalTransition unless the table allows `old` → `new`."""
    if new is old:
        raise IllegalTransition(f"run {run_id} is {old} already")
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old]))
        raise IllegalTransition(f"run {run_id} is {old}: it cannot become {new} (from {old}: {allowed})")


def origins(new: State) -> list[State]:
    """The states from which `new` can be reached."""
    return [old for old, targets in TRANSITIONS.items() if new in targets]
