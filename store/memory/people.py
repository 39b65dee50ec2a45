"""What people ask for, and studies."""

from collections.abc import Sequence
from dataclasses import replace

from store.changes import Change, Changed
from store.errors import IllegalTransition, NoSuchRun
from store.events import Event
from store.memory.runs import Runs
from store.memory.shared import best_first
from store.occasions import entered
from store.reports import reported, reported_points
from store.runs import Run
from store.states import ENDED, State
from store.studies import Study, StudyState, Trial, TrialState


class People(Runs):
    """Changes, reports, trials."""

    def change(self, run_ids: Sequence[str], change: Change) -> Changed:
        """Carry out what a person asks of these runs."""
        done: list[Run] = []
        refused: dict[str, str] = {}
        with self._lock:
            for run_id in dict.fromkeys(run_ids):
                try:
                    done.append(self._change(run_id, change))
                except (IllegalTransition, NoSuchRun) as error:
                    refused[run_id] = str(error)
        return Changed(runs=tuple(done), refused=refused)

    def _change(self, run_id: str, change: Change) -> Run:
        if run_id not in self._runs:
            raise NoSuchRun(f"no run has the id {run_id!r}")
        run, now = self._runs[run_id], self.now()
        new = change.apply(run, now)
        owed = entered(new.state) if new.state in ENDED and run.state not in ENDED else None
        if change.scratch:
            self._checkpoints[run_id] = []
        self._record(new, change.name, owed, by=change.by, because=change.because_of(run.id))
        return self._put(new)

    def events(self, run_id: str) -> list[Event]:
        """What happened to the run, oldest first."""
        return [event for event in self._events if event.run == run_id]

    def ahead(self, run: Run, limit: int = 10_000) -> int:
        """Queued runs that are claimed before this one."""
        queued = (one for one in self._runs.values() if one.state is State.QUEUED and one.queue == run.queue)
        return min(limit, sum(best_first(one) < best_first(run) for one in queued))

    def report(self, run_id: str, values: dict[str, float]) -> Run:
        """Add figures that were found elsewhere to an ended run."""
        with self._lock:
            if run_id not in self._runs:
                raise NoSuchRun(f"no run has the id {run_id!r}")
            run, now = self._runs[run_id], self.now()
            points = reported_points(run, values, now)
            new = reported(run, points)
            self._points[run_id] += [(run.attempt, point) for point in points]
            self._metric_names[run.experiment] |= set(values)
            self._record(new, "reported")
            return self._put(new)

    def put_study(self, study: Study) -> None:
        """Record a study, or what is new about it."""
        self._studies[study.name] = study

    def study(self, name: str) -> Study | None:
        """The study of an experiment."""
        return self._studies.get(name)

    def studies(self, *states: StudyState) -> list[Study]:
        """All studies, or those in these states, oldest first."""
        found = [study for study in self._studies.values() if not states or study.state in states]
        return sorted(found, key=lambda study: (study.created_at, study.name))

    def mark_study(self, name: str, *, state: StudyState | None = None, trouble: str | None = None) -> None:
        """Change the state, or say what went wrong."""
        if (study := self._studies.get(name)) is not None:
            trouble = study.trouble if trouble is None else trouble
            self._studies[name] = replace(study, state=state or study.state, trouble=trouble)

    def add_trial(self, trial: Trial) -> bool:
        """Fix number and parameters of a trial."""
        with self._lock:
            return self._trials.setdefault((trial.study, trial.number), trial) is trial

    def trials(self, study: str) -> list[Trial]:
        """All trials of a study, by number."""
        return [self._trials[key] for key in sorted(self._trials) if key[0] == study]

    def open_trials(self, studies: Sequence[str]) -> list[Trial]:
        """Trials that nobody has told yet, by study and number."""
        every = (trial for study in sorted(set(studies)) for trial in self.trials(study))
        return [trial for trial in every if trial.state is TrialState.OPEN]

    def tell(self, trial: Trial, told_before: str) -> bool:
        """Record what came of a trial, unless somebody has told another ending since."""
        with self._lock:
            known = self._trials.get((trial.study, trial.number))
            if known is None or known.told != told_before:
                return False
            new = {name: getattr(trial, name) for name in ("state", "values", "points", "told", "why")}
            self._trials[trial.study, trial.number] = replace(known, **new, told_at=self.now())
            return True
