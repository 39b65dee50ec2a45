"""What was found about runs, and what was done about it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from store.events import as_event
from store.findings import Diagnosis, Finding, replaces, untold
from store.glimpses import Glimpse, LastLook
from store.memory.shared import Shared
from store.occasions import Occasion
from store.remedies import Case, Remedy
from store.runs import Run
from store.states import ENDED, State


class Diagnoses(Shared):
    """One diagnosis for each run that was looked at."""

    def glimpses(self, ended: int) -> list[Glimpse]:
        """Running runs first."""
        running = [run for run in self._runs.values() if run.state is State.RUNNING]
        lately = {event.run for event in self._events[-300:]}
        others = [run for run in self._runs.values() if run not in running and self._is_open(run, run.id in lately)]
        return [self._glimpse(run) for run in (*running, *others[:ended])]

    def _is_open(self, run: Run, lately: bool) -> bool:
        known = self._diagnoses.get(run.id)
        if known is not None and not known.over:
            return True
        return lately and run.state in ENDED and (known is None or known.attempt != run.attempt)

    def _glimpse(self, run: Run) -> Glimpse:
        known = self._diagnoses.get(run.id)
        return Glimpse(
            id=run.id,
            experiment=run.experiment,
            state=run.state,
            attempt=run.attempt,
            started_at=run.history[-1].started_at if run.history else None,
            shipped=run.shipped,
            last_look=_last_look(known) if known else None,
        )

    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """By run id."""
        return {run_id: self._diagnoses[run_id] for run_id in run_ids if run_id in self._diagnoses}

    def put_diagnosis(self, diagnosis: Diagnosis, new: Sequence[Finding], *, to_treat: bool = False) -> bool:
        """The findings and their events."""
        with self._lock:
            run = self._runs.get(diagnosis.run)
            if run is None or run.attempt != diagnosis.attempt:
                return False
            kept = self._diagnoses.get(run.id)
            if kept is not None and not replaces(diagnosis, kept):
                return False
            self._diagnoses[run.id] = diagnosis
            self._put(replace(run, findings=diagnosis.diseases))
            if to_treat:
                self._cases[run.id] = self._cases.get(run.id, 0) + 1
                self._to_treat.add(run.id)
            for finding in untold(new, kept, diagnosis.attempt):
                self._record(run, "finding", Occasion.FINDING, **as_event(finding))
            return True

    def put_looks(self, diagnoses: Sequence[Diagnosis]) -> None:
        """Later ones stay."""
        with self._lock:
            for one in diagnoses:
                known = self._diagnoses.get(one.run)
                if known is None or replaces(one, known):
                    self._diagnoses[one.run] = one
                run = self._runs.get(one.run)
                if run is not None and run.attempt == self._diagnoses[one.run].attempt:
                    self._put(replace(run, findings=self._diagnoses[one.run].diseases))

    def remedied(self) -> dict[str, list[dict[str, Any]]]:
        """The rules by experiment."""
        return {one.name: list(one.diagnosis) for one in self._experiments.values() if one.diagnosis}

    def cases(self, limit: int) -> list[Case]:
        """What waits to be answered."""
        return [
            Case(
                diagnosis=self._diagnoses[run_id],
                experiment=self._runs[run_id].experiment,
                number=self._cases[run_id],
                remedy=self._remedies.get(run_id),
            )
            for run_id in sorted(self._to_treat)[:limit]
        ]

    def prescribe(self, case: Case, remedy: Remedy) -> bool:
        """Unless something new has been found."""
        with self._lock:
            same = self._is_same(case)
            if same:
                self._remedies[case.diagnosis.run] = remedy
            return same

    def close_case(self, case: Case) -> None:
        """What has been found meanwhile is a case of its own."""
        with self._lock:
            if self._is_same(case):
                run_id = case.diagnosis.run
                self._to_treat.discard(run_id)
                if run_id in self._remedies:
                    self._remedies[run_id] = replace(self._remedies[run_id], done=True)

    def _is_same(self, case: Case) -> bool:
        return case.diagnosis.run in self._to_treat and self._cases[case.diagnosis.run] == case.number


def _last_look(known: Diagnosis) -> LastLook:
    return LastLook(attempt=known.attempt, lines=known.lines, looked_at=known.looked_at, over=known.over)
