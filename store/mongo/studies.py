"""Studies and their trials."""

from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError

from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain, to_document
from store.studies import Study, StudyState, Trial, TrialState


class Studies(Connected):
    """The `studies` and `trials` collections."""

    @guarded
    def put_study(self, study: Study) -> None:
        """Record a study, or what is new about it."""
        document = {"_id": study.name, **to_document(study)}
        self.database["studies"].replace_one({"_id": study.name}, document, upsert=True)

    @guarded
    def study(self, name: str) -> Study | None:
        """The study of an experiment."""
        document = self.database["studies"].find_one({"_id": name}, {"_id": 0})
        return from_document(Study, document) if document else None

    @guarded
    def studies(self, *states: StudyState) -> list[Study]:
        """All studies, or those in these states, oldest first."""
        match: Document = {"state": {"$in": [state.value for state in states]}} if states else {}
        found = self.database["studies"].find(match, {"_id": 0}).sort([("created_at", 1), ("name", 1)])
        return [from_document(Study, document) for document in found]

    @guarded
    def mark_study(self, name: str, *, state: StudyState | None = None, trouble: str | None = None) -> None:
        """Change the state, or say what went wrong."""
        given = {"state": state and state.value, "trouble": trouble}
        self.database["studies"].update_one({"_id": name}, {"$set": {k: v for k, v in given.items() if v is not None}})

    @guarded
    def add_trial(self, trial: Trial) -> bool:
        """One insert fixes number and parameters; False when somebody has taken the number."""
        try:
            self.database["trials"].insert_one({"_id": _trial_id(trial.study, trial.number), **to_document(trial)})
        except DuplicateKeyError:
            return False
        return True

    @guarded
    def trials(self, study: str) -> list[Trial]:
        """All trials of a study, by number."""
        found = self.database["trials"].find({"study": study}, {"_id": 0}).sort("number", 1)
        return [from_document(Trial, document) for document in found]

    @guarded
    def open_trials(self, studies: Sequence[str]) -> list[Trial]:
        """Trials that nobody has told yet, by study and number."""
        match: Document = {"study": {"$in": list(studies)}, "state": TrialState.OPEN.value}
        found = self.database["trials"].find(match, {"_id": 0}).sort([("study", 1), ("number", 1)])
        return [from_document(Trial, document) for document in found]

    @guarded
    def tell(self, trial: Trial, told_before: str) -> bool:
        """Record what came of a trial, unless somebody has told another ending since; False then."""
        fields = {name: plain(getattr(trial, name)) for name in ("state", "values", "points", "told", "why")}
        update = {name: {"$literal": value} for name, value in fields.items()}
        done = self.database["trials"].update_one(
            {"_id": _trial_id(trial.study, trial.number), "told": told_before},
            [{"$set": {**update, "told_at": "$$NOW"}}],
        )
        return done.matched_count > 0


def _trial_id(study: str, number: int) -> str:
    return f"{study}:{number}"
