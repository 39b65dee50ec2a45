"""Who gives places to workers."""

from enum import StrEnum


class Scheduler(StrEnum):
    """A cluster's scheduler, or this machine itself."""

    SLURM = "slurm"
    SGE = "sge"
    LOCAL = "local"
    SCRIPT = "script"
    """None: a script of somebody's own runs it (`labq exec`, `labq send --start`)."""
