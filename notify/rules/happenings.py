"""Something that happened, as rules see it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from notify.rules.words import ending_words, finding_words
from store.findings import Finding, Severity
from store.notices import Part
from store.occasions import OF_DISEASE, OF_REASON, Occasion
from store.runs import Run
from store.telling import Owed


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """`key`: fixed by the cause, so that ids of notices are. `words`: those that a rule may name to be told of it.

    `run`: as it is now, where it is about one. `text`: one line about it.
    """

    key: str
    about: Occasion
    words: frozenset[str]
    at: datetime
    experiment: str = ""
    owner: str = ""
    run: Run | None = None
    attempt: int = 0
    worker: str = ""
    metric: str = ""
    greatest: bool = False
    finding: Finding | None = None
    text: str = ""

    @property
    def run_id(self) -> str:
        """Empty when it is about none."""
        return self.run.id if self.run is not None else ""

    @property
    def part(self) -> Part:
        """As one line of a digest."""
        return Part(
            about=self.about,
            at=self.at,
            run=self.run_id,
            attempt=self.attempt,
            experiment=self.experiment,
            text=self.text,
        )


def words_of(owed: Owed) -> frozenset[str]:
    """A note of the diagnosis is told only to those who name its disease."""
    event = owed.event
    if owed.about is Occasion.FINDING and event.finding is not None:
        named = {event.finding.disease.value}
        if event.finding.severity is not Severity.NOTE:
            named |= {Occasion.FINDING.value, _about(owed).value}
        return frozenset(named)
    failed = owed.about is Occasion.FAILED and event.reason is not None
    also = OF_REASON.get(event.reason) if failed and event.reason is not None else None
    return frozenset({owed.about.value} | ({also.value} if also else set()))


def happening_of(owed: Owed, run: Run) -> Happening:
    """An owed event of this run."""
    event, about = owed.event, _about(owed)
    what = about.value
    if event.finding is not None:
        what = f"{event.finding.disease}-{owed.id[-8:]}"  # the same disease may come back in one attempt
    return Happening(
        key=f"{event.run}-{event.attempt}-{what}",
        about=about,
        words=words_of(owed),
        at=event.at,
        experiment=run.experiment,
        owner=run.owner,
        run=run,
        attempt=event.attempt,
        finding=event.finding,
        text=finding_words(event.finding) if event.finding else ending_words(about, run, event),
    )


def _about(owed: Owed) -> Occasion:
    found = owed.event.finding
    return OF_DISEASE.get(found.disease, Occasion.FINDING) if found is not None else owed.about
