"""What a run may take of the processor: threads and priority. Its time is watched by the supervisor."""

import os
from collections.abc import Mapping

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
"""What numerical libraries read before they start as many threads as the machine has cores. PyTorch reads OMP's."""


def thread_variables(cpus: int | None, chosen: Mapping[str, str]) -> dict[str, str]:
    """One thread per CPU that the run asked for. Those that the experiment file itself sets are left to it."""
    if cpus is None:
        return {}
    return {name: str(cpus) for name in THREAD_VARIABLES if name not in chosen}


def be_nice(by: int) -> None:
    """Lower the priority of this process, for good. The machine's own lowest is as far as it goes."""
    if by > 0:
        os.nice(by)
