"""Who gives places to workers."""

from enum import StrEnum


class Scheduler(StrEnum):
    """A cluster's scheduler, this machine itself, or another one that a login reaches."""

    SLURM = "slurm"
    SGE = "sge"
    LOCAL = "local"
    SSH = "ssh"
