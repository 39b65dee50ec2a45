"""What was found about runs: the `diagnoses` collection."""

from collections.abc import Sequence

from store.events import as_event
from store.findings import Diagnosis, Finding
from store.mongo.attempts import Attempts
from store.mongo.client import Session, guarded
from store.mongo.codec import from_document, to_document
from store.occasions import Occasion


class Diagnoses(Attempts):
    """One document for each run that was looked at: `_id` is the run."""

    @guarded
    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """By run id."""
        found = self.database["diagnoses"].find({"_id": {"$in": list(run_ids)}})
        return {one["_id"]: from_document(Diagnosis, {**one, "run": one["_id"]}) for one in found}

    @guarded
    def put_diagnosis(self, diagnosis: Diagnosis, new: Sequence[Finding]) -> bool:
        """The findings and their events are there together or not at all."""

        def work(session: Session) -> bool:
            loaded = self._load({"_id": diagnosis.run, "attempt": diagnosis.attempt}, session)
            if loaded is None:
                return False
            run, now = loaded
            document = to_document(diagnosis)
            document["_id"] = document.pop("run")
            self.database["diagnoses"].replace_one({"_id": run.id}, document, upsert=True, session=session)
            for finding in new:
                self._audit(run, "finding", now, session, Occasion.FINDING, **as_event(finding))
            return True

        return self.in_transaction(work)
