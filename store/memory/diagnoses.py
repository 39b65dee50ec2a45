"""What was found about runs."""

from collections.abc import Sequence

from store.events import as_event
from store.findings import Diagnosis, Finding
from store.memory.shared import Shared
from store.occasions import Occasion


class Diagnoses(Shared):
    """One diagnosis for each run that was looked at."""

    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """By run id."""
        return {run_id: self._diagnoses[run_id] for run_id in run_ids if run_id in self._diagnoses}

    def put_diagnosis(self, diagnosis: Diagnosis, new: Sequence[Finding]) -> bool:
        """The findings and their events."""
        with self._lock:
            run = self._runs.get(diagnosis.run)
            if run is None or run.attempt != diagnosis.attempt:
                return False
            self._diagnoses[run.id] = diagnosis
            for finding in new:
                self._record(run, "finding", Occasion.FINDING, **as_event(finding))
            return True
