"""Figures that somebody adds to a run after its end."""

from store.errors import NoSuchRun
from store.metrics import segments
from store.mongo.attempts import Attempts
from store.mongo.client import Session, guarded
from store.reports import reported, reported_points
from store.runs import Run


class Reports(Attempts):
    """Points that no attempt has shipped."""

    @guarded
    def report(self, run_id: str, values: dict[str, float]) -> Run:
        """Points, summary and event in one transaction."""

        def work(session: Session) -> Run:
            loaded = self._load({"_id": run_id}, session)
            if loaded is None:
                raise NoSuchRun(f"no run has the id {run_id!r}")
            run, now = loaded
            points = reported_points(run, values, now)
            new = reported(run, points)
            self.note_names(run.experiment, metrics=set(values))
            self._save(new, ("summary",), session)
            self._add_points(run.id, run.attempt, segments(points), session)
            self._audit(run, "reported", now, session)
            return new

        return self.in_transaction(work)
