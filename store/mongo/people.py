"""What people ask for: the end of a run, or another try."""

from dataclasses import replace
from datetime import datetime

from store.attempts import requeued
from store.errors import IllegalTransition, NoSuchRun
from store.mongo.attempts import Attempts
from store.mongo.checkpoints import Checkpoints
from store.mongo.client import Session, guarded
from store.runs import Run
from store.states import State, Wish, check_transition


class People(Attempts, Checkpoints):
    """Verbs of the command line that change a run."""

    @guarded
    def wish(self, run_id: str, wish: Wish) -> State:
        """A waiting run is cancelled at once; a running one is asked, and ends at its next renewal."""

        def work(session: Session) -> State:
            run, now = self._existing(run_id, session)
            if run.state is State.RUNNING:
                self._save(replace(run, wish=wish), ("wish",), session)
                self._audit(run, f"wish-{wish}", now, session)
                return State.RUNNING
            if wish is Wish.REQUEUE:
                raise IllegalTransition(f"run {run.id} is {run.state}, not running")
            check_transition(run.id, run.state, State.CANCELLED)
            self._save(replace(run, state=State.CANCELLED, ended_at=now), ("state", "ended_at"), session)
            self._owe(run, State.CANCELLED, now, session)
            self._audit(run, State.CANCELLED.value, now, session)
            return State.CANCELLED

        return self.in_transaction(work)

    @guarded
    def requeue(self, run_id: str, *, scratch: bool = False) -> Run:
        """An ended run goes back into the queue."""

        def work(session: Session) -> Run:
            run, now = self._existing(run_id, session)
            new = requeued(run, scratch=scratch)
            fields = (
                "state",
                "reason",
                "setbacks",
                "ending",
                "not_before",
                "ended_at",
                "checkpoint",
                "remark",
                "refusals",
            )
            self._save(new, fields, session)
            if scratch:
                self.database["checkpoints"].delete_many({"run": run.id}, session=session)
            self._audit(run, "requeued", now, session, scratch=scratch)
            return new

        new = self.in_transaction(work)
        if scratch:
            uploads = self.database["uploads"].find({"run": run_id}, {"_id": 1})
            self._forget_files(run_id, [document["_id"] for document in uploads])
        return new

    def _existing(self, run_id: str, session: Session) -> tuple[Run, datetime]:
        loaded = self._load({"_id": run_id}, session)
        if loaded is None:
            raise NoSuchRun(f"no run has the id {run_id!r}")
        return loaded
