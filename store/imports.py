"""What is true of every run that was carried out elsewhere and imported."""

from dataclasses import replace

from store.runs import Run
from store.states import Reason, State

TAG = "imported"
ATTEMPT = 1
"""What it did elsewhere counts as its only attempt."""
UNFINISHED = "its import was not finished: the same command does the rest"


def unfinished(run: Run) -> Run:
    """The run while its points and files come."""
    return replace(run, state=State.CANCELLED, reason=Reason.STOPPED, remark=UNFINISHED, summary={})
