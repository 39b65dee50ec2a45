"""What a message may be about."""

from enum import StrEnum


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
