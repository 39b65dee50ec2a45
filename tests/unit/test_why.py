"""What `labq why` answers, situation by situation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queueing.why import Cause, Situation, why
from store.allocations import Allocation, Phase
from store.events import Event
from store.judged import Judged, Ruling
from store.runs import Attempt, Ending, Lease, Progress, Refusal, Resources, Run, Task
from store.schedulers import Scheduler
from store.spans import Pace
from store.states import Reason, State, Wish
from store.workers import Drain, Worker

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = Run(
    id="aaaabbbbcccc",
    key="k",
    experiment="weather",
    params={},
    task=Task(command=("true",), workdir="/", grace_s=30.0),
    queued_at=NOW - timedelta(hours=1),
)
WORKER = Worker(name="gpu1-7", host="gpu1", pid=7, cpus=8, memory_bytes=16 * 10**9, seen_at=NOW)
BUSY = replace(WORKER, run="ddddeeeeffff")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def waiting(
    *workers: Worker, ahead: int = 0, drains: tuple[Drain, ...] = (), redis: bool = True, **run: Any
) -> Situation:
    return Situation(run=replace(RUN, **run), now=NOW, workers=workers, ahead=ahead, drains=drains, redis_answers=redis)


def asked(state: State, verb: str, **run: Any) -> Situation:
    event = Event(run=RUN.id, attempt=1, event=verb, at=later(-60), by="ann@desk", because="too warm")
    return Situation(run=replace(RUN, state=state, **run), now=NOW, workers=(WORKER,), events=(event,))


def refused_by(name: str, *, lasting: bool = False, until: float = 20) -> Refusal:
    message = "no programme train" if lasting else "disk in the run directory: 1 GB free"
    return Refusal(by=name, message=message, lasting=lasting, count=1, until=later(until))


LEASE = Lease(worker="gpu1-7", until=later(15))
BEGUN = (Attempt(number=1, worker="gpu1-7", started_at=later(-600)),)
RUNNING: dict[str, Any] = {"state": State.RUNNING, "attempt": 1, "lease": LEASE, "history": BEGUN}

OWN = Resources(on=Scheduler.SLURM)
JOB = Allocation(
    id="k3f9-0", submission="k3f9", scheduler=Scheduler.SLURM, cluster="c", owner="me", queue="default", job="12_0",
    phase=Phase.PENDING, says="Priority", run=RUN.id,
)  # fmt: skip
SITUATIONS: dict[str, tuple[Situation, list[Cause], str]] = {
    "finished": (waiting(state=State.FINISHED, ended_at=later(-120)), [Cause.FINISHED], "2m ago"),
    "failed": (
        waiting(
            state=State.FAILED,
            reason=Reason.OUT_OF_MEMORY,
            setbacks=4,
            ended_at=later(-5),
            ending=Ending(message="CUDA out of memory"),
        ),
        [Cause.FAILED],
        "4 setbacks in a row (out-of-memory) 5.0s ago: CUDA out of memory",
    ),
    "stopped": (asked(State.CANCELLED, "stop"), [Cause.CANCELLED], "by ann@desk 1m ago (too warm)"),
    "paused": (asked(State.PAUSED, "pause"), [Cause.PAUSED], "by ann@desk 1m ago"),
    "at a rung": (
        waiting(
            state=State.PAUSED, judged=Judged(held=Ruling(rule="asha", rung=9, hold=True, because="asha: 4th of 9"))
        ),
        [Cause.AT_A_RUNG],
        "asha: 4th of 9",
    ),
    "running": (
        waiting(WORKER, **RUNNING, progress=Progress(done=30, total=100)),
        [Cause.RUNNING],
        "attempt 1 on gpu1-7, begun 10m ago, 30% done",
    ),
    "asked to stop": (asked(**RUNNING, verb="stop", wish=Wish.CANCEL), [Cause.LEAVING], "asked to stop by ann@desk"),
    "asked to pause": (asked(**RUNNING, verb="pause", wish=Wish.PAUSE), [Cause.LEAVING], "30s for a last checkpoint"),
    "its worker is silent": (
        waiting(**(RUNNING | {"lease": replace(LEASE, until=later(-8))})),
        [Cause.UNHEARD],
        "gpu1-7 has not renewed its lease, which ended 8.0s ago",
    ),
    "backing off": (
        waiting(WORKER, not_before=later(90), reason=Reason.KILLED),
        [Cause.BACKING_OFF],
        "ended with killed; it is tried again in 1m 30s",
    ),
    "its own job waits": (
        replace(waiting(WORKER, ahead=3, resources=OWN), places=(JOB,)),
        [Cause.JOB_WAITS],
        "its job 12_0 on slurm is pending (Priority)",
    ),
    "it belongs to a script": (
        waiting(WORKER, ahead=3, resources=replace(OWN, on=Scheduler.SCRIPT), reason=Reason.DRAINED, owner="ann"),
        [Cause.ITS_SCRIPT],
        "it belongs to a script of ann that was interrupted (drained); no worker may take it",
    ),
    "its own job is missing": (waiting(WORKER, resources=OWN), [Cause.NO_JOB], "and none was asked for"),
    "nobody lives": (waiting(), [Cause.NO_WORKER], "no worker lives"),
    "nobody serves the queue": (
        waiting(WORKER, queue="night"),
        [Cause.NO_WORKER_OF_QUEUE],
        "no worker serves queue night; they serve: default",
    ),
    "nobody has the tag": (
        waiting(replace(WORKER, tags=("v100",)), resources=Resources(tags=("a100",))),
        [Cause.NO_TAG],
        "no worker has the tag a100; there are: v100",
    ),
    "too few GPUs anywhere": (
        waiting(replace(WORKER, gpus=2), resources=Resources(gpus=4)),
        [Cause.NO_GPU],
        "4 GPUs; the most that a worker has is 2 GPUs",
    ),
    "too few CPUs anywhere": (waiting(WORKER, resources=Resources(cpus=64)), [Cause.NO_CPU], "64 CPUs"),
    "too little memory anywhere": (
        waiting(WORKER, resources=Resources(memory_bytes=10**12)),
        [Cause.NO_MEMORY],
        "1.0 TB of memory; the most that a worker has is 16.0 GB",
    ),
    "nobody has it all together": (
        waiting(replace(WORKER, tags=("fast",)), replace(WORKER, gpus=1), resources=Resources(gpus=1, tags=("fast",))),
        [Cause.NO_WORKER_HAS_ALL],
        "together: tag fast, 1 GPUs",
    ),
    "all that fit are leaving": (
        waiting(WORKER, drains=(Drain(target="gpu1", from_at=later(-1)),)),
        [Cause.DRAINING],
        "every worker that fits is leaving: gpu1-7",
    ),
    "a drain to come is no obstacle": (
        waiting(WORKER, drains=(Drain(target="gpu1", from_at=later(3600)),)),
        [Cause.NEXT],
        "gpu1-7 is idle",
    ),
    "the machine has no disk": (
        waiting(WORKER, refusals=(refused_by("gpu1"),)),
        [Cause.REFUSED],
        "gpu1 refused it: disk in the run directory: 1 GB free; it is asked again in 20s",
    ),
    "one refuses and the other is busy": (
        waiting(
            WORKER,
            replace(BUSY, name="gpu2-9", host="gpu2"),
            refusals=(refused_by("gpu1-7", lasting=True),),
        ),
        [Cause.REFUSED, Cause.BUSY],
        "gpu2-9 has ddddeeee",
    ),
    "a refusal that is over is no obstacle": (
        waiting(WORKER, refusals=(refused_by("gpu1", until=-1),)),
        [Cause.NEXT],
        "",
    ),
    "the GPUs are taken": (
        waiting(replace(WORKER, gpus=2, gpus_free=0), resources=Resources(gpus=1)),
        [Cause.GPU_BUSY],
        "it wants 1 GPUs; on the machine with the most free ones there are 0",
    ),
    "everybody is busy and others come first": (
        waiting(BUSY, ahead=3),
        [Cause.BUSY, Cause.BEHIND],
        "3 queued runs come first in queue default",
    ),
    "its worker has too little time": (
        waiting(replace(WORKER, until=later(2400), whole_s=14400.0), resources=Resources(time_s=11400.0)),
        [Cause.NO_TIME],
        "it needs about 3h 10m; the only worker that fits has 40m left",
    ),
    "one of two workers has the time": (
        waiting(replace(WORKER, until=later(2400), whole_s=14400.0), WORKER, resources=Resources(time_s=11400.0)),
        [Cause.NEXT],
        "gpu1-7 is idle",
    ),
    "its like keep no checkpoints": (
        replace(waiting(replace(WORKER, until=later(600), whole_s=3600.0)), paces=(Pace(took_s=1800.0),)),
        [Cause.NO_TIME],
        "it needs about 33m and its like store no checkpoints; the only worker that fits has 10m left",
    ),
    "not worth the start any more": (
        replace(
            waiting(*[replace(WORKER, name=f"gpu1-{n}", until=later(60 * n), whole_s=3600.0) for n in (1, 2)]),
            paces=(Pace(start_s=60.0, saves=True),),
        ),
        [Cause.NO_TIME],
        "worth it with about 4m to work; of the workers that fit the one with the most time has 2m left",
    ),
    "somebody is about to take it": (waiting(WORKER), [Cause.NEXT], "gpu1-7 is idle and takes it within 10s"),
    "Redis is away": (waiting(WORKER, redis=False), [Cause.REDIS_AWAY, Cause.NEXT], "Redis does not answer"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_why_names_what_keeps_the_run(name: str) -> None:
    situation, causes, words = SITUATIONS[name]
    answers = why(situation)
    assert [answer.cause for answer in answers] == causes
    assert words in "\n".join(answer.text for answer in answers)


def test_every_cause_has_a_situation() -> None:
    told = {cause for _, causes, _ in SITUATIONS.values() for cause in causes}
    assert told == set(Cause)


@pytest.mark.parametrize("state", State)
def test_there_is_an_answer_in_every_state(state: State) -> None:
    assert why(Situation(run=replace(RUN, state=state), now=NOW))
