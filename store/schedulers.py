"""Who gives places to workers."""

from enum import StrEnum


class Scheduler(StrEnum):
    """A cluster's scheduler, this machine itself, or another one that a login reaches."""

    SLURM = "slurm"
    SGE = "sge"
    LOCAL = "local"
    SSH = "ssh"
    SCRIPT = "script"
    """None: a script of somebody's own runs it (`labq exec`, `labq send --start`)."""
