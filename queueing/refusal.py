"""What it means that a machine cannot carry out a run: others may, unless everybody has said no. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from queueing.retry import backoff, verdict
from store.runs import Ending, Run
from store.states import Reason, State
from store.store import Refused, Settlement
from store.workers import Worker, fits

FIRST_PAUSE_S = 15.0
"""How long a machine leaves a run that it refused to others, the first time; then doubling up to ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a machine cannot carry out a run. `lasting`: waiting will not help, somebody has to change something."""

    message: str
    lasting: bool = False
    reason: Reason = Reason.REFUSED


def handed_on(run: Run, objection: Objection, mine: Worker, living: Iterable[Worker]) -> Settlement:
    """Back into the queue at no cost, unless somebody wanted the run gone or nobody who lives can ever carry it out.

    A shortage (disk, memory, GPU) concerns the whole machine and passes. What is missing (a programme, a folder)
    concerns this worker, whose PATH may differ from its neighbour's; once every living worker that fits the run has
    said so, the retry policy decides as it does about any other ending. A worker that was killed a moment ago counts as
    living for as long as it would be seen: whatever looks after it may be starting it again, failing is final, and
    waiting costs seconds.
    """
    ending = Ending(reason=objection.reason, message=f"{mine.host}: {objection.message}")
    leaving = verdict(run, Ending(reason=Reason.DRAINED, message=ending.message))
    if leaving.state is not State.QUEUED:
        return leaving
    if objection.lasting and all(_says_never(run, worker) for worker in living if worker.name != mine.name):
        return verdict(run, ending)
    by = mine.name if objection.lasting else mine.host
    before = next((refusal.count for refusal in run.refusals if refusal.by == by), 0)
    refused = Refused(by=by, lasting=objection.lasting, pause_s=backoff(FIRST_PAUSE_S, before + 1))
    return Settlement(
        state=State.QUEUED, reason=objection.reason, ending=ending, setbacks=run.setbacks, refused=refused
    )


def _says_never(run: Run, worker: Worker) -> bool:
    return not fits(run, worker) or any(refusal.by == worker.name and refusal.lasting for refusal in run.refusals)
