"""Who gives places to workers."""

from enum import StrEnum


class Scheduler(StrEnum):
    """A cluster's scheduler, or this machine itself."""

    SLURM = "slurm"
    SGE = "sge"
    LOCAL = "local"
