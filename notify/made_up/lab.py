"""The study as a store would tell of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from notify.made_up import study
from store.errors import NoSuchRun
from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.metrics import Curve, Series, as_curve
from store.outcomes import Outcome, outcome_of
from store.runs import Lease, Run
from store.samples import GpuSample, Sample
from store.states import State
from store.store import RunQuery
from store.workers import Worker

LOST_WORKER = "gpu1-1"
_GB = 10**9
_LOOKS = 151

OVER_FITTING = Finding(
    disease=Disease.OVER_FITTING,
    severity=Severity.NOTE,
    about="val_loss",
    since_step=131,
    evidence="val_loss rose from 0.200 to 0.237 in the last 260 steps while train_loss fell from 0.086 to 0.012.",
    advice="Use the checkpoint of step 131, or more noise or L1.",
    reference="Prechelt (1998), Early stopping – but when?",
)
NOT_FINITE = Finding(
    disease=Disease.DIVERGENCE,
    severity=Severity.SEVERE,
    about="val_loss",
    since_step=62,
    evidence="val_loss has grown from 0.24 to 11.9 since step 62, and is nan from step 96 on.",
    advice="Try a learning rate ten times smaller, or clip the gradient.",
    reference="Pascanu et al. (2013), On the difficulty of training recurrent neural networks",
)
MEMORY = Finding(
    disease=Disease.MEMORY_GROWTH,
    severity=Severity.WARNING,
    about="memory",
    since_step=12,
    evidence="Memory has grown by 1.1 GB an hour for 50 minutes, without a pause.",
    advice="Look for a list that keeps arrays of every batch.",
)
PLATEAU = Finding(
    disease=Disease.PLATEAU,
    severity=Severity.NOTE,
    about="val_loss",
    since_step=171,
    evidence="val_loss has not improved by more than 0.1 % for 90 epochs.",
    advice="Lower the learning rate, or stop here.",
)
STUCK = Finding(
    disease=Disease.STUCK,
    severity=Severity.WARNING,
    since_step=260,
    evidence="Nothing was reported for 14 min; it usually reports every 8 s.",
    advice="See where it hangs: py-spy dump --pid on gpu1.lab, or stop and requeue it.",
)
DISK = Finding(
    disease=Disease.DISK_FILLING,
    severity=Severity.SEVERE,
    about="/scratch",
    evidence="/scratch has 11 GB left and loses 6 GB an hour.",
    advice="Keep fewer checkpoints (keep_checkpoints), or make room.",
    expected_at=study.END + timedelta(hours=1, minutes=50),
)


class PaperLab:
    """What `notify.reading.Reading` asks for, of the study: whole, or in its middle; with some runs as given."""

    def __init__(self, *, done: int, instead: Sequence[Run] = (), findings: Sequence[tuple[int, Finding]] = ()) -> None:
        replaced = {run.id: run for run in instead}
        made = [_run(index, done) for index in range(study.RUNS)]
        self._done = done
        self._runs = {run.id: replaced.get(run.id, run) for run in made}
        self._findings = {study.run_id(index): finding for index, finding in findings}

    def now(self) -> datetime:
        """The last run has just ended."""
        return study.END

    def run(self, id_or_prefix: str) -> Run:
        """Raises NoSuchRun."""
        if id_or_prefix not in self._runs:
            raise NoSuchRun(f"no run {id_or_prefix}")
        return self._runs[id_or_prefix]

    def runs(self, query: RunQuery) -> list[Run]:
        """All of them."""
        return [run for run in self._runs.values() if not query.states or run.state in query.states]

    def count(self, query: RunQuery, at_most: int, within_s: float) -> int | None:  # noqa: ARG002
        """How many."""
        return len(self.runs(query))

    def outcomes(self, query: RunQuery) -> Iterator[Outcome]:
        """Oldest first."""
        return (outcome_of(run) for run in self.runs(query) if query.experiment == run.experiment)

    def counts(self, experiment: str | None = None, at_most: int = 0) -> dict[State, int]:  # noqa: ARG002
        """Of each state."""
        states = [run.state for run in self._runs.values() if experiment in (None, run.experiment)]
        return {state: states.count(state) for state in State}

    def experiment(self, name: str) -> Experiment | None:
        """The study."""
        return Experiment(name=name, owner="ada", source="study.toml", text="", created_at=study.BEGIN)

    def series_names(self, run_id: str) -> list[str]:
        """Three."""
        return [one.name for one in self._series(run_id)]

    def series(self, run_id: str, name: str) -> Series:
        """Of a running one as far as it is."""
        return next(one for one in self._series(run_id) if one.name == name)

    def curve(self, run_id: str, name: str) -> Curve:
        """The same as arrays."""
        return as_curve(self.series(run_id, name))

    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:  # noqa: ARG002
        """The end of the output."""
        return study.output(self._runs[run_id].index)[-max_bytes:]

    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:  # noqa: ARG002
        """Fifty minutes; memory grows, then jumps."""
        return [sample for run in runs for sample in _samples(self._runs[run])]

    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """What was found."""
        return {
            run: Diagnosis(run=run, attempt=1, findings=(self._findings[run],))
            for run in run_ids
            if run in self._findings
        }

    def workers(self, within_s: float) -> list[Worker]:  # noqa: ARG002
        """The lost one."""
        seen_at = study.END - timedelta(minutes=2)
        return [
            Worker(
                name=LOST_WORKER, host="gpu1.lab", pid=4711, gpus=2, cpus=32, memory_bytes=128 * _GB, seen_at=seen_at
            )
        ]

    def held_by(self, worker_name: str) -> list[Run]:
        """What it ran."""
        until = study.END + timedelta(seconds=9)
        mine = [run for run in self._runs.values() if run.state is State.RUNNING and run.index % 2 == 0]
        return [replace(run, lease=Lease(worker=worker_name, until=until)) for run in mine]

    def _series(self, run_id: str) -> tuple[Series, ...]:
        return _series(self._runs[run_id].index, self._done)


@cache
def _series(index: int, done: int) -> tuple[Series, ...]:
    return study.reported(index, done=done)


@cache
def _run(index: int, done: int) -> Run:
    return study.run(index, done=done)


def _samples(run: Run) -> list[Sample]:
    if not run.history:
        return []
    end = run.history[-1].ended_at or study.END
    return [_sample(run, place, end) for place in range(_LOOKS)]


def _sample(run: Run, place: int, end: datetime) -> Sample:
    """Memory grows slowly, and jumps before the end; the GPU has little to do then."""
    is_last = place > _LOOKS - 7
    busy = 0.72 + 0.02 * (place * 5 % 9) - (0.5 if is_last else 0)
    return Sample(
        run=run.id,
        attempt=run.attempt,
        host="gpu1.lab",
        at=end - timedelta(seconds=20 * (_LOOKS - 1 - place)),
        cpu_s=52.0 * place + (place * 7) % 13,
        memory_bytes=int((1.9 + 0.0095 * place + (0.64 if is_last else 0)) * _GB),
        read_bytes=10**7 * place,
        written_bytes=4 * 10**7 * place,
        disk_free_bytes=int((31 - 0.13 * place) * _GB),
        gpus=(GpuSample(index=0, memory_bytes=int(5.2 * _GB), busy=busy),),
    )
