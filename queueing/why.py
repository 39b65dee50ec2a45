"""Why a run is not running, or what it is doing: a pure answer from what MongoDB knows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from queueing.people import is_meant
from queueing.time_needed import needed_of, span_of, too_little_time
from queueing.units import format_duration, format_size
from store.allocations import Allocation
from store.events import Event
from store.runs import Refusal, Run, short
from store.schedulers import Scheduler
from store.spans import Pace, is_worth
from store.states import State, Wish
from store.workers import Drain, Worker, fits


class Cause(StrEnum):
    """What a run waits for, or why it does not wait."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    AT_A_RUNG = "at-a-rung"
    RUNNING = "running"
    LEAVING = "leaving"
    UNHEARD = "unheard"
    BACKING_OFF = "backing-off"
    NO_WORKER = "no-worker"
    NO_WORKER_OF_QUEUE = "no-worker-of-queue"
    NO_TAG = "no-tag"
    NO_GPU = "no-gpu"
    NO_CPU = "no-cpu"
    NO_MEMORY = "no-memory"
    NO_WORKER_HAS_ALL = "no-worker-has-all"
    DRAINING = "draining"
    REFUSED = "refused"
    NO_TIME = "no-time"
    GPU_BUSY = "gpu-busy"
    BUSY = "busy"
    BEHIND = "behind"
    NEXT = "next"
    REDIS_AWAY = "redis-away"
    ITS_SCRIPT = "its-script"
    JOB_WAITS = "job-waits"
    NO_JOB = "no-job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """One answer, and what can be done about it."""

    cause: Cause
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is to know. `ahead`: queued runs that are claimed before this one; `now`: the server's clock.

    `paces`: of the newest attempts of its experiment; `ours`: a built-in trainer; `margin_s`: setting `until_margin_s`.
    """

    run: Run
    now: datetime
    workers: tuple[Worker, ...] = ()
    places: tuple[Allocation, ...] = ()
    """Jobs that were asked for, for this run alone."""
    drains: tuple[Drain, ...] = ()
    events: tuple[Event, ...] = ()
    ahead: int = 0
    redis_answers: bool = True
    look_s: float = 10.0
    paces: tuple[Pace, ...] = ()
    ours: bool = False
    margin_s: float = 15.0


def why(found: Situation) -> list[Because]:
    """What keeps the run, the most telling first; never empty."""
    answer = _ANSWERS[found.run.state]
    return list(answer(found))


# ── not waiting ──
def _finished(found: Situation) -> Iterator[Because]:
    yield Because(cause=Cause.FINISHED, text=f"it finished {_ago(found.run.ended_at, found.now)}")


def _failed(found: Situation) -> Iterator[Because]:
    run = found.run
    said = f": {run.ending.message}" if run.ending and run.ending.message else ""
    tries = f" after {run.setbacks} setbacks in a row" if run.setbacks > 1 else ""
    text = f"it failed{tries} ({run.reason}) {_ago(run.ended_at, found.now)}{said}"
    advice = f"labq logs {short(run.id)}; once mended: labq requeue {short(run.id)}"
    yield Because(cause=Cause.FAILED, text=text, advice=advice)


def _cancelled(found: Situation) -> Iterator[Because]:
    text = f"it was stopped{_by_whom(found, 'stop')}"
    yield Because(cause=Cause.CANCELLED, text=text, advice=f"labq requeue {short(found.run.id)}")


def _paused(found: Situation) -> Iterator[Because]:
    held = found.run.judged.held
    if held is not None:
        advice = f"labq resume {short(found.run.id)}, whatever the rule says; labq stopping {found.run.experiment}"
        yield Because(cause=Cause.AT_A_RUNG, text=f"it waits to be promoted: {held.because}", advice=advice)
        return
    text = f"it was paused{_by_whom(found, 'pause')}"
    yield Because(cause=Cause.PAUSED, text=text, advice=f"labq resume {short(found.run.id)}")


_ASKED = {
    Wish.CANCEL: ("stop", "it has been asked to stop"),
    Wish.PAUSE: ("pause", "it has been asked to pause"),
    Wish.REQUEUE: ("requeue", "it has been asked to go back into the queue"),
}


def _running(found: Situation) -> Iterator[Because]:
    run, now = found.run, found.now
    worker = run.lease.worker if run.lease else "somebody"
    if run.lease is not None and run.lease.until < now:
        text = f"{worker} has not renewed its lease, which ended {_ago(run.lease.until, now)}"
        yield Because(cause=Cause.UNHEARD, text=text, advice="any living worker gives it back to the queue in a moment")
        return
    if run.wish is not None:
        verb, said = _ASKED[run.wish]
        text = f"{said}{_by_whom(found, verb)}; it has {format_duration(run.task.grace_s)} for a last checkpoint"
        yield Because(cause=Cause.LEAVING, text=text)
        return
    done = f", {run.progress.fraction:.0%} done" if run.progress else ""
    since = run.history[-1].started_at if run.history else run.started_at
    yield Because(
        cause=Cause.RUNNING, text=f"it is running: attempt {run.attempt} on {worker}, begun {_ago(since, now)}{done}"
    )


# ── waiting ──
def _queued(found: Situation) -> Iterator[Because]:
    run, now = found.run, found.now
    if run.not_before is not None and run.not_before > now:
        pause = format_duration((run.not_before - now).total_seconds())
        text = f"its last attempt ended with {run.reason or 'a setback'}; it is tried again in {pause}"
        yield Because(cause=Cause.BACKING_OFF, text=text, advice=f"labq logs {short(run.id)}")
    if run.resources.on is Scheduler.SCRIPT:
        yield _for_its_script(run)
        return
    if run.resources.on is not None:
        yield from _for_its_job(found, run.resources.on)
        return
    yield from _for_a_worker(found)
    if found.ahead:
        many = "10,000 or more" if found.ahead >= 10_000 else f"{found.ahead}"
        text = f"{many} queued {'run comes' if found.ahead == 1 else 'runs come'} first in queue {run.queue}"
        yield Because(cause=Cause.BEHIND, text=text, advice=f"labq priority N {short(run.id)} (it has {run.priority})")


def _for_its_script(run: Run) -> Because:
    ended = f" was interrupted ({run.reason})" if run.reason is not None else " has not begun it"
    text = f"it belongs to a script of {run.owner or 'somebody'} that{ended}; no worker may take it"
    advice = f"run the script again, with: labq exec --resume {short(run.id)} -- COMMAND"
    return Because(cause=Cause.ITS_SCRIPT, text=text, advice=advice)


def _for_its_job(found: Situation, on: Scheduler) -> Iterator[Because]:
    if not found.places:
        text = f"it is to have a job of its own on {on}, and none was asked for, or the last one is over"
        advice = f"labq enqueue FILE --on {on} once more, or labq scale --on {on}, asks for one"
        yield Because(cause=Cause.NO_JOB, text=text, advice=advice)
    for place in found.places:
        said = f" ({place.says})" if place.says else ""
        text = f"its job {place.job or place.id} on {on} is {place.phase}{said}"
        yield Because(cause=Cause.JOB_WAITS, text=text, advice="as it was seen last; labq workers looks anew")


def _for_a_worker(found: Situation) -> Iterator[Because]:
    run = found.run
    if not found.workers:
        yield Because(
            cause=Cause.NO_WORKER, text="no worker lives", advice=f"start one: labq worker --queue {run.queue}"
        )
        return
    of_queue = [worker for worker in found.workers if run.queue in worker.queues]
    if not of_queue:
        served = ", ".join(sorted({queue for worker in found.workers for queue in worker.queues}))
        text = f"no worker serves queue {run.queue}; they serve: {served}"
        yield Because(cause=Cause.NO_WORKER_OF_QUEUE, text=text, advice=f"labq worker --queue {run.queue}")
        return
    fitting = [worker for worker in of_queue if fits(run, worker)]
    if not fitting:
        yield from _lacking(run, of_queue)
        return
    yield from _among(found, fitting)


def _lacking(run: Run, workers: Sequence[Worker]) -> Iterator[Because]:
    """What none of the queue's workers has; or that none has all of it."""
    wants, found = run.resources, False
    tags = {tag for worker in workers for tag in worker.tags}
    if missing := sorted(set(wants.tags) - tags):
        found = True
        text = f"no worker has the tag {', '.join(missing)}; there are: {', '.join(sorted(tags)) or 'none'}"
        yield Because(cause=Cause.NO_TAG, text=text, advice=f"labq worker --tag {missing[0]}")
    for cause, wanted, most, words in _amounts(run, workers):
        if wanted > most:
            found = True
            yield Because(cause=cause, text=f"it wants {words(wanted)}; the most that a worker has is {words(most)}")
    if not found:
        text = f"no worker has all that it wants together: {_wants(run)}"
        yield Because(cause=Cause.NO_WORKER_HAS_ALL, text=text)


_Amount = tuple[Cause, int, int, Callable[[int], str]]


def _amounts(run: Run, workers: Sequence[Worker]) -> list[_Amount]:
    wants = run.resources
    return [
        (Cause.NO_GPU, wants.gpus, max(worker.gpus for worker in workers), lambda n: f"{n} GPUs"),
        (Cause.NO_CPU, wants.cpus or 0, max(worker.cpus for worker in workers), lambda n: f"{n} CPUs"),
        (
            Cause.NO_MEMORY,
            wants.memory_bytes or 0,
            max(worker.memory_bytes for worker in workers),
            lambda n: f"{format_size(n)} of memory",
        ),
    ]


def _wants(run: Run) -> str:
    wants = run.resources
    words = [f"tag {tag}" for tag in wants.tags]
    words += [f"{wants.gpus} GPUs"] if wants.gpus else []
    words += [f"{wants.cpus} CPUs"] if wants.cpus else []
    words += [f"{format_size(wants.memory_bytes)} of memory"] if wants.memory_bytes else []
    return ", ".join(words)


def _among(found: Situation, fitting: Sequence[Worker]) -> Iterator[Because]:
    """Several workers have what it wants: what keeps each of them?"""
    run = found.run
    staying = [worker for worker in fitting if not _leaves(worker, found)]
    if not staying:
        names = ", ".join(worker.name for worker in fitting[:3])
        yield Because(
            cause=Cause.DRAINING,
            text=f"every worker that fits is leaving: {names}",
            advice="start another: labq worker",
        )
        return
    needed = needed_of(run, found.paces, ours=found.ours)
    spans = [(worker, span_of(worker, found.now, found.margin_s)) for worker in staying]
    staying = [worker for worker, span in spans if span is None or is_worth(span, needed)]
    if not staying:
        text = too_little_time(needed, [span for _, span in spans if span is not None])
        advice = f"start one with more time: labq worker --queue {run.queue}"
        yield Because(cause=Cause.NO_TIME, text=text, advice=advice)
        return
    yield from _refusals(run, staying, found.now)
    willing = [worker for worker in staying if _refusal(run, worker, found.now) is None]
    if not willing:
        return
    idle = [worker for worker in willing if worker.run is None]
    if not idle:
        doing = ", ".join(f"{worker.name} has {short(worker.run or '')}" for worker in willing[:3])
        more = f", … {len(willing) - 3} more" if len(willing) > 3 else ""
        yield Because(cause=Cause.BUSY, text=f"every worker that fits is busy: {doing}{more}")
        return
    free = [worker for worker in idle if worker.gpus_free is None or worker.gpus_free >= run.resources.gpus]
    if not free:
        most = max(worker.gpus_free or 0 for worker in idle)
        text = f"it wants {run.resources.gpus} GPUs; on the machine with the most free ones there are {most}"
        yield Because(cause=Cause.GPU_BUSY, text=text, advice="labq top, nvidia-smi")
        return
    if run.not_before is None or run.not_before <= found.now:
        yield from _soon(found, free)


def _soon(found: Situation, free: Sequence[Worker]) -> Iterator[Because]:
    late = format_duration(found.look_s)
    if not found.redis_answers:
        text = f"Redis does not answer, so workers look by themselves every {late}"
        yield Because(cause=Cause.REDIS_AWAY, text=text, advice="labq doctor")
    text = f"{free[0].name} is idle and takes it within {late} unless another comes first"
    yield Because(cause=Cause.NEXT, text=text)


def _refusals(run: Run, workers: Sequence[Worker], now: datetime) -> Iterator[Because]:
    for refusal in {_refusal(run, worker, now) for worker in workers} - {None}:
        assert refusal is not None
        until = format_duration((refusal.until - now).total_seconds())
        again = "" if refusal.lasting else f"; it is asked again in {until}"
        yield Because(cause=Cause.REFUSED, text=f"{refusal.by} refused it: {refusal.message}{again}")


def _refusal(run: Run, worker: Worker, now: datetime) -> Refusal | None:
    standing = (one for one in run.refusals if one.by in (worker.host, worker.name) and one.until > now)
    return next(standing, None)


def _leaves(worker: Worker, found: Situation) -> bool:
    orders = (order for order in found.drains if order.from_at is not None and order.from_at <= found.now)
    return any(is_meant(worker, order) for order in orders)


def _by_whom(found: Situation, verb: str) -> str:
    asked = [event for event in found.events if event.event == verb]
    if not asked:
        return ""
    by = f" by {asked[-1].by}" if asked[-1].by else ""
    because = f" ({asked[-1].because})" if asked[-1].because else ""
    return f"{by} {_ago(asked[-1].at, found.now)}{because}"


def _ago(then: datetime | None, now: datetime) -> str:
    if then is None:
        return "some time ago"
    return f"{format_duration(max(timedelta(), now - then).total_seconds())} ago"


_ANSWERS: dict[State, Callable[[Situation], Iterator[Because]]] = {
    State.QUEUED: _queued,
    State.PAUSED: _paused,
    State.RUNNING: _running,
    State.FINISHED: _finished,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
}
