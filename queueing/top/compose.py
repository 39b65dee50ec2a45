"""From what was read to the picture. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from queueing.cli.words import metric_words
from queueing.live.pace import Mark, durations_s, rate, time_left_s
from queueing.people import is_meant
from queueing.top.picture import EndedLine, GpuLine, MachineLine, Picture, QueueLine, RunLine, WorkerLine
from store.runs import Run
from store.samples import Sample
from store.states import State
from store.workers import Drain, Worker

Lengths = Mapping[tuple[State, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One round of reading. `samples` are oldest first; `marks` is how far each attempt was lately."""

    now: datetime
    workers: Sequence[Worker] = ()
    drains: Sequence[Drain] = ()
    running: Sequence[Run] = ()
    ended: Sequence[Run] = ()
    samples: Sequence[Sample] = ()
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lengths: Lengths | None = None
    counted_at: datetime | None = None
    marks: Mapping[tuple[str, int], tuple[Mark, ...]] = field(default_factory=dict)


def compose(read: Read) -> Picture:
    """The picture of that round."""
    looks = _looks(read)
    return Picture(
        at=read.now,
        workers=tuple(_worker(worker, read) for worker in sorted(read.workers, key=lambda one: one.name)),
        machines=_machines(read, looks),
        gpus=_gpus(looks),
        running=_running(read, looks),
        queues=_queues(read),
        ended=tuple(_ended(run, read.now) for run in read.ended),
        counts=_counts(read.lengths),
        counted_s=(read.now - read.counted_at).total_seconds() if read.counted_at else None,
    )


def _looks(read: Read) -> dict[str, list[Sample]]:
    """The samples of each running attempt, oldest first. One of an earlier attempt says nothing of now."""
    attempts = {run.id: run.attempt for run in read.running}
    found: dict[str, list[Sample]] = {}
    for sample in read.samples:
        if attempts.get(sample.run) == sample.attempt:
            found.setdefault(sample.run, []).append(sample)
    return found


def _worker(worker: Worker, read: Read) -> WorkerLine:
    return WorkerLine(
        name=worker.name,
        host=worker.host,
        pid=worker.pid,
        queues=worker.queues,
        tags=worker.tags,
        run=worker.run,
        seen_s=max(0.0, (read.now - worker.seen_at).total_seconds()) if worker.seen_at else 0.0,
        draining=any(is_meant(worker, one) and one.from_at and one.from_at <= read.now for one in read.drains),
    )


# ── machines ──
def _machines(read: Read, looks: Mapping[str, Sequence[Sample]]) -> tuple[MachineLine, ...]:
    hosts = sorted({worker.host for worker in read.workers} | {some[-1].host for some in looks.values()})
    return tuple(_machine(host, read.workers, looks) for host in hosts)


def _machine(host: str, workers: Sequence[Worker], looks: Mapping[str, Sequence[Sample]]) -> MachineLine:
    here = [worker for worker in workers if worker.host == host]
    some = [looks[run] for run in looks if looks[run][-1].host == host]
    used = [one for one in map(cores, some) if one is not None]
    return MachineLine(
        host=host,
        workers=len(here),
        busy=sum(worker.run is not None for worker in here),
        cpus=max((worker.cpus for worker in here), default=0),
        cores=sum(used) if used else None,
        memory_bytes=sum(one[-1].memory_bytes for one in some) if some else None,
        total_bytes=max((worker.memory_bytes for worker in here), default=0),
        disk_free_bytes=min((one[-1].disk_free_bytes for one in some), default=None),
        gpus=max((worker.gpus for worker in here), default=0),
    )


def cores(samples: Sequence[Sample]) -> float | None:
    """How many cores were busy between the two newest samples."""
    if len(samples) < 2 or samples[-2].at is None or samples[-1].at is None:
        return None
    between_s = (samples[-1].at - samples[-2].at).total_seconds()
    return max(0.0, samples[-1].cpu_s - samples[-2].cpu_s) / between_s if between_s > 0 else None


def _gpus(looks: Mapping[str, Sequence[Sample]]) -> tuple[GpuLine, ...]:
    """Load, power and temperature are of the GPU, whoever looked last; memory is what each run holds."""
    found: dict[tuple[str, int], GpuLine] = {}
    for run, samples in sorted(looks.items()):
        for gpu in samples[-1].gpus:
            place = (samples[-1].host, gpu.index)
            other = found.get(place)
            held = [size for size in (gpu.memory_bytes, other.memory_bytes if other else None) if size is not None]
            found[place] = GpuLine(
                host=place[0],
                index=gpu.index,
                memory_bytes=sum(held) if held else None,
                busy=gpu.busy,
                power_w=gpu.power_w,
                celsius=gpu.celsius,
                runs=(*(other.runs if other else ()), run),
            )
    return tuple(found[place] for place in sorted(found))


# ── runs ──
def _running(read: Read, looks: Mapping[str, Sequence[Sample]]) -> tuple[RunLine, ...]:
    took_s = durations_s(read.ended)
    lines = (_run(run, read, looks.get(run.id, ()), took_s.get(run.experiment, ())) for run in read.running)
    return tuple(sorted(lines, key=lambda line: (line.left_s is None, line.left_s or 0.0, line.id)))


def _run(run: Run, read: Read, samples: Sequence[Sample], siblings_s: Sequence[float]) -> RunLine:
    per_s = rate(run, read.marks.get((run.id, run.attempt), ()), read.now)
    return RunLine(
        id=run.id,
        experiment=run.experiment,
        worker=run.lease.worker if run.lease else "",
        attempt=run.attempt,
        fraction=run.progress.fraction if run.progress and run.progress.total > 0 else None,
        done=run.progress.done if run.progress else None,
        total=run.progress.total if run.progress else None,
        per_s=per_s,
        left_s=time_left_s(run, per_s, read.now, siblings_s),
        elapsed_s=(read.now - run.history[-1].started_at).total_seconds() if run.history else 0.0,
        cores=cores(samples),
        memory_bytes=samples[-1].memory_bytes if samples else None,
        metrics=metric_words(run),
        wish=run.wish.value if run.wish else "",
    )


def _ended(run: Run, now: datetime) -> EndedLine:
    took = (run.ended_at - run.history[-1].started_at).total_seconds() if run.ended_at and run.history else None
    return EndedLine(
        id=run.id,
        experiment=run.experiment,
        state=run.state,
        reason=run.reason,
        ended_s=(now - run.ended_at).total_seconds() if run.ended_at else 0.0,
        took_s=took,
        metrics=metric_words(run),
    )


# ── queues ──
def _queues(read: Read) -> tuple[QueueLine, ...]:
    lengths = read.lengths or {}
    names = {queue for state, queue in lengths if state in (State.QUEUED, State.PAUSED, State.RUNNING)}
    names |= {queue for queue, _ in read.waiting}
    return tuple(_queue(name, read) for name in sorted(names))


def _queue(name: str, read: Read) -> QueueLine:
    lengths = read.lengths
    queued, paused, running = (
        None if lengths is None else lengths.get((state, name), 0)
        for state in (State.QUEUED, State.PAUSED, State.RUNNING)
    )
    waiting = [(experiment, n) for (queue, experiment), n in read.waiting.items() if queue == name]
    ordered = tuple(sorted(waiting, key=lambda pair: (-pair[1], pair[0])))
    return QueueLine(queue=name, queued=queued, paused=paused, running=running, next=ordered)


def _counts(lengths: Lengths | None) -> tuple[tuple[State, int], ...]:
    if lengths is None:
        return ()
    totals = ((state, sum(n for (one, _), n in lengths.items() if one is state)) for state in State)
    return tuple((state, n) for state, n in totals if n)
