"""What dead processes, killed servers and careless hands leave behind: named, so that it can be listed and mended."""

from dataclasses import dataclass
from enum import StrEnum


class Damage(StrEnum):
    """What can be wrong. `repair` order: what is mended first may free what comes later."""

    EXPIRED_LEASE = "expired-lease"
    BROKEN_POINTER = "broken-pointer"
    """A run whose newest checkpoint is gone or damaged."""
    UNLISTED_CHECKPOINT = "unlisted-checkpoint"
    """A run whose newest checkpoint is whole, but missing among its checkpoints."""
    DAMAGED_CHECKPOINT = "damaged-checkpoint"
    """A checkpoint without its file, or with a part of it."""
    HISTORY_WITHOUT_RUN = "history-without-run"
    """Points, output, samples, events, checkpoints or findings of a run that is not there."""
    ABANDONED_UPLOAD = "abandoned-upload"
    """What a killed process had begun to store."""
    ORPHANED_FILE = "orphaned-file"
    ORPHANED_CHUNKS = "orphaned-chunks"
    STALE_WORKER = "stale-worker"
    STALE_LOCK = "stale-lock"
    STALE_NOTICE = "stale-notice"
    """A message whose notifier died on the way."""
    TICKET_WITHOUT_RUN = "ticket-without-run"
    STUCK_TICKET = "stuck-ticket"
    """A ticket that a worker popped and never answered."""
    RUN_WITHOUT_TICKET = "run-without-ticket"
    """A queued run that an idle worker could take, had anybody rung."""
    STALE_REGISTRATION = "stale-registration"
    STALE_SLOT = "stale-slot"
    ABANDONED_RUN_DIR = "abandoned-run-dir"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong. (`damage`, `place`, `id`) tells it from all others; `text` is for people."""

    damage: Damage
    place: str
    id: str
    text: str

    @property
    def mark(self) -> tuple[str, str, str]:
        """The same at every look."""
        return self.damage.value, self.place, self.id
