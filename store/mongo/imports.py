"""Runs that were carried out elsewhere: added whole, never queued, nobody is told.

While its points and files come, a run is `cancelled` and its document says who imports it. Whoever was killed meanwhile
leaves it so, and the next import begins it anew. No event is written: looks and rules go by events.
"""

from pymongo.errors import DuplicateKeyError

from store.errors import Superseded
from store.imports import ATTEMPT, unfinished
from store.metrics import Shipment
from store.mongo.artifacts import Artifacts
from store.mongo.attempts import Attempts
from store.mongo.client import Session, guarded
from store.mongo.derived import run_document
from store.mongo.uploads import IMPORTING, Bucket
from store.runs import Run

_PIECE = 500


class Imports(Attempts, Artifacts):
    """Beginning, filling and ending an imported run."""

    @guarded
    def begin_import(self, run: Run, by: str, *, again: bool = False) -> bool:
        """The run is there, empty; False when it is there whole, unless it is to be imported `again`."""
        document = {**run_document(unfinished(run)), IMPORTING: by}
        kept = self.database["runs"].find_one({"_id": run.id}, {IMPORTING: 1})
        if kept is None:
            self._note_names([run])
            try:
                self.database["runs"].insert_one(document)
            except DuplicateKeyError:
                return False
            return True
        if not kept.get(IMPORTING) and not again:
            return False
        self._note_names([run])
        self.database["runs"].replace_one({"_id": run.id}, document)
        self._clear(run.id)
        return True

    @guarded
    def import_part(self, run_id: str, by: str, shipment: Shipment) -> None:
        """Points and output, in the order in which they are to stand. Raises Superseded."""

        def work(session: Session) -> None:
            held = self.database["runs"].update_one(
                {"_id": run_id, IMPORTING: by}, {"$set": {"shipped.events_lines": shipment.lines_to}}, session=session
            )
            if not held.matched_count:
                raise Superseded(f"run {run_id}: another import has begun it anew")
            self._add_points(run_id, ATTEMPT, shipment.segments, session)
            self._add_output(run_id, ATTEMPT, shipment, session)

        self.in_transaction(work)

    @guarded
    def end_import(self, run: Run, by: str) -> None:
        """All of it is there. Raises Superseded when somebody else has begun it anew."""
        self._note_names([run])
        update = {"$set": run_document(run), "$unset": {IMPORTING: 1}}
        if not self.database["runs"].update_one({"_id": run.id, IMPORTING: by}, update).matched_count:
            raise Superseded(f"run {run.id}: another import has begun it anew")

    def _clear(self, run_id: str) -> None:
        for collection in ("metrics", "logs"):
            pieces = self.database[collection].find({"run": run_id}, {"_id": 1}).limit(_PIECE)
            while piece := [one["_id"] for one in pieces.clone()]:
                self.database[collection].delete_many({"_id": {"$in": piece}})
        begun = [mark["_id"] for mark in self._marks(Bucket.ARTIFACTS).find({"run": run_id}, {"_id": 1})]
        for file_id in {*begun, *(artifact.id for artifact in self.artifacts(run_id))}:
            self._forget(Bucket.ARTIFACTS, file_id)
