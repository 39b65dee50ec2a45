"""What every store can do: `store.mongo` is the real one, `store.memory` its twin; one contract test runs over both.

Every write of an attempt names (run, attempt) and raises Superseded once the run has moved on. Times are the server's.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from store.allocations import Allocation, JobWanted, Sighting
from store.changes import Change, Changed
from store.courses import Afoot, Asked, Course, Reached, Track, Watched
from store.damage import Damage, Fault
from store.deliveries import Sending
from store.events import Event
from store.experiments import Experiment
from store.findings import Diagnosis, Finding
from store.glances import Beyond, Pulse, Stroke
from store.glimpses import Glimpse
from store.grouping import Group, Grouping
from store.metrics import EVERY_AXIS, Axis, Curve, LogChunk, Series, Shipment
from store.notices import Delivery, Notice, NoticeState
from store.outcomes import Outcome
from store.query import Condition, Names, Order
from store.remedies import Case, Remedy
from store.rows import RowPage, Wanted
from store.rules import Mute, RuleBook, Scope
from store.runs import Artifact, Checkpoint, Ending, MetricSummary, Resources, Run
from store.samples import Peaks, Sample
from store.schedulers import Scheduler
from store.spans import Pace, Span
from store.states import Reason, State, Wish
from store.studies import Study, StudyState, Trial
from store.telling import Owed, Remembered, SweepStanding, Telling
from store.views import View
from store.workers import Drain, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The run goes back untouched: others may claim it at once, `by` (a host or a worker) not for `pause_s` seconds."""

    by: str
    lasting: bool
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ends: the run's next state, and why. `backoff_s` delays the next claim of a queued run."""

    state: State
    reason: Reason | None = None
    ending: Ending | None = None
    backoff_s: float = 0.0
    setbacks: int = 0
    refused: Refused | None = None


Decision = Settlement | Callable[[Run], Settlement]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs: every given field must match. And which of them, in what order.

    Without an `order`: oldest first, and with a limit, `skip` or `after` a page counted from the newest. `after` is the
    id of the run with which the page before ended (here its first one, as the oldest comes first).
    """

    experiment: str | None = None
    states: tuple[State, ...] = ()
    ids: tuple[str, ...] = ()
    tag: str | None = None
    where: Condition | None = None
    order: Order | None = None
    skip: int = 0
    after: str | None = None
    limit: int = 0


class Store(Protocol):
    """The truth. Methods raise StoreUnavailable when it does not answer in time."""

    def close(self) -> None:
        """Give connections back."""

    def now(self) -> datetime:
        """The server's clock."""

    # ── enqueue ──
    def add_experiment(self, experiment: Experiment) -> None:
        """Record or refresh an experiment."""

    def add_runs(self, runs: Sequence[Run]) -> list[str]:
        """Insert the runs that are not there yet; return the ids of the new ones."""

    def add_blob(self, text: str) -> str:
        """Keep a text once under the hash of its content (a diff, a list of packages); return its id."""

    def blob(self, wanted: str) -> str | None:
        """A text kept by add_blob."""

    # ── look ──
    def run(self, id_or_prefix: str) -> Run:
        """The run with this id or unique prefix. Raises NoSuchRun, AmbiguousId."""

    def runs(self, query: RunQuery) -> list[Run]:
        """A page of the matching runs. Raises NoSuchRun, BadQuery: a wrong raw filter, a field without an order."""

    def count(self, query: RunQuery, at_most: int, within_s: float) -> int | None:
        """How many runs match, counted up to `at_most`; None when even that takes longer than `within_s`."""

    def groups(self, query: RunQuery, grouping: Grouping) -> list[Group]:
        """The matching runs counted by the value of a field, in the order of the values. Reads every one of them."""

    def names(self, experiments: Sequence[str] = ()) -> Names:
        """The metrics and parameters of these experiments, or of all. Kept as they come: no run is read."""

    def run_ids(self, query: RunQuery) -> list[str]:
        """The ids of all runs that match, in the order of the ids; `limit` means nothing here."""

    def outcomes(self, query: RunQuery) -> Iterator[Outcome]:
        """A small part of each matching run, oldest first, read in pages; `limit` means nothing here."""

    def rows(self, query: RunQuery, wanted: Wanted) -> Iterator[RowPage]:
        """Parts of the matching runs in the order of `runs`, in pages: no Run is built."""

    def runs_in_pages(self, query: RunQuery) -> Iterator[list[Run]]:
        """What `runs` gives, some at a time: no single question takes longer, however many there are."""

    def values_at(self, steps: Mapping[str, int], names: Sequence[str]) -> dict[str, dict[str, float]]:
        """What these runs (by id) reported of these metrics at one step each; of a step that came twice, the later.

        A metric without a point at that very step is left out.
        """

    def counts(self, experiment: str | None = None, at_most: int = 0) -> dict[State, int]:
        """How many runs are in each state; `at_most` ends the counting of each, which bounds the time."""

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of this name."""

    def experiments(self) -> list[Experiment]:
        """All experiments, newest first."""

    def series_names(self, run_id: str) -> list[str]:
        """Names of the run's metrics, sorted."""

    def series(self, run_id: str, name: str) -> Series:
        """The whole history of one metric; empty if there is none."""

    def curve(self, run_id: str, name: str, axes: Collection[Axis] = EVERY_AXIS) -> Curve:
        """The same as arrays: 100,000 points in some ten milliseconds. Axes that are not asked for are not read."""

    def series_in_part(self, run_id: str, names: Sequence[str], newest: int, older: int) -> dict[str, Series]:
        """Of each series `newest` points at least, and of those before about `older`, the first and others evenly.

        A series of up to `newest` + `older` points comes whole. What is read is bounded, however long it is.
        """

    def samples_in_part(self, run_id: str, attempt: int, at_most: int) -> list[Sample]:
        """Of the attempt's samples the newest half of `at_most`, and about as many of those before, evenly chosen."""

    def log(self, run_id: str, attempt: int, from_offset: int = 0) -> list[LogChunk]:
        """The attempt's output from an offset on, in order."""

    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:
        """The last bytes of the attempt's output."""

    # ── the whole lab ──
    def running(self, limit: int) -> list[Run]:
        """Running runs, `limit` at most, of their history the last line only."""

    def recently_ended(self, limit: int) -> list[Run]:
        """The newest endings first, as far as the newest events tell; of their history the last line only."""

    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:
        """What was seen of these runs in the last seconds, oldest first."""

    def queue_lengths(self) -> dict[tuple[State, str], int]:
        """How many runs of each state are in each queue. Takes about a second for a million runs."""

    def waiting_experiments(self, limit: int) -> dict[tuple[str, str], int]:
        """(queue, experiment) of the queued runs that are next, `limit` at most of each queue."""

    # ── one experiment ──
    def pulses(self, experiment: str, of_each_state: int) -> list[Pulse]:
        """Of the experiment's runs the newest `of_each_state` of each state."""

    def light_runs(self, run_ids: Sequence[str]) -> list[Run]:
        """These runs, without provenance, of their history the last line only; in no order."""

    def strokes(self, name: str, wanted: Sequence[Beyond], at_most: int) -> list[Stroke]:
        """What is new of this metric, thinned: `at_most` pieces, in the order of attempts and points within a run.

        Ask again from where each run's last piece ends until none comes.
        """

    # ── saved views ──
    def save_view(self, view: View) -> None:
        """Keep a view under its owner and name; it replaces one of the same name."""

    def views(self, owner: str | None = None) -> list[View]:
        """Saved views, by owner and name."""

    def remove_view(self, owner: str, name: str) -> bool:
        """Forget a view; False when there was none."""

    # ── an attempt's life ──
    def claim(self, worker: Worker, lease_s: float, span: Span | None = None) -> Run | None:
        """Take the best eligible run (priority, then age) that fits the worker, or None.

        With a span, of a worker whose time ends: only a run that is worth beginning in it (`store.spans.is_worth`).
        """

    def begin(self, run_id: str, attempt: int, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
        """Start from this checkpoint: points reported after it are dropped, they will be made again."""

    def renew(self, run_id: str, attempt: int, lease_s: float) -> Wish | None:
        """Extend the lease; return what a person asked for meanwhile."""

    def rejoin(self, run_id: str, attempt: int, worker: str, lease_s: float) -> bool:
        """Take up again an attempt of this worker that was given up as lost; False unless nobody has begun another.

        For runs that nobody else may claim: their worker goes on however long it was not heard.
        """

    def note_facts(self, run_id: str, attempt: int, facts: dict[str, Any]) -> None:
        """Add facts about the attempt (host, packages, …) to its history."""

    def ship(self, run_id: str, attempt: int, shipment: Shipment, summary: dict[str, MetricSummary]) -> None:
        """Store a shipment exactly once, however often it is offered."""

    def publish_checkpoint(self, checkpoint: Checkpoint, path: Path, keep: int) -> Checkpoint:
        """Store the file, verify it, then point the run to it; keep the newest `keep`."""

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Stored checkpoints, newest first."""

    def fetch_checkpoint(self, checkpoint: Checkpoint, folder: Path) -> Path:
        """Write the checkpoint into `folder`; return its path. Raises CheckpointDamaged."""

    def add_artifact(self, run_id: str, attempt: int, path: Path, source: str | None = None) -> None:
        """Keep a file with the run; a newer file of the same source (default: the path) replaces it.

        Files of one name from several places get numbers. Raises OSError, also for what is no file.
        """

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Kept files, by name."""

    def fetch_artifact(self, artifact: Artifact, folder: Path) -> Path:
        """Write a kept file into `folder`."""

    def settle(self, run_id: str, attempt: int, decide: Decision, *, only_expired: bool = False) -> Run:
        """End the attempt and record what is owed, in one write, decided on the run as it is then."""

    # ── resources ──
    def add_sample(self, sample: Sample, peaks: Peaks, keep_s: float) -> None:
        """Keep a sample for `keep_s` seconds, and for good the most that the attempt and its experiment used."""

    def samples(self, run_id: str) -> list[Sample]:
        """What is still kept of the run's samples, oldest first."""

    def peaks(self, experiment: str) -> Peaks:
        """The most that any run of the experiment used."""

    def note_pace(self, experiment: str, pace: Pace) -> None:
        """Keep how fast an attempt went; the newest `spans.KEPT` of an experiment are kept."""

    def paces(self, experiment: str) -> tuple[Pace, ...]:
        """How fast the newest attempts of the experiment's runs went, oldest first."""

    # ── repair ──
    def expired(self, limit: int = 100) -> list[Run]:
        """Running runs whose lease is over, `limit` at most."""

    def held_by(self, worker_name: str) -> list[Run]:
        """Running runs whose lease this worker holds."""

    def lock(self, name: str, owner: str, lease_s: float, gap_s: float) -> float | None:
        """Take or extend a named short lease; None when somebody else holds it.

        Returns for how many seconds it has been held by anybody, gaps of less than `gap_s` included: a small number
        means that the store, or everybody, was away until a moment ago. When the server's clock was set back, nobody
        has held it.
        """

    def tidy(self, patience_s: float) -> int:
        """Delete files that dead or superseded attempts left behind, for about so long; return how many."""

    def ringable(self, limit: int) -> list[tuple[str, int, str]]:
        """(run, attempt, queue) of queued runs that anybody may claim now, best first."""

    # ── damage ──
    def faults(self, damage: Damage, *, stale_s: float, deep: bool = False) -> Iterator[Fault]:
        """What is wrong of this kind, read in bounded pieces; nothing for kinds that are no matter of the store.

        A worker not seen for `stale_s` seconds is stale. `deep`: every byte of every checkpoint is read and compared.
        """

    def mend(self, fault: Fault, *, stale_s: float) -> bool:
        """Mend it if it is still so; harmless when done twice, by two at once, or by half."""

    # ── stopping rules ──
    def ruled(self) -> list[Experiment]:
        """The experiments that have rules, by name."""

    def set_stopping(self, experiment: str, stopping: dict[str, Any] | None) -> bool:
        """Other rules for an experiment, or none; False when there is no such experiment."""

    def watched(self, experiments: Sequence[str], unread: int) -> list[Watched]:
        """Runs that are running or wait at a rung, and of those that are unread `unread` at most, each once."""

    def afoot(self, experiment: str) -> Afoot:
        """What of the experiment may still report."""

    def courses(self, run_ids: Sequence[str]) -> dict[str, Course]:
        """How far the rules have read these runs; one that they have never read is missing."""

    def save_courses(self, courses: Sequence[Course]) -> set[str]:
        """Keep courses, each with its version raised by one; returns the ids of those that nobody else has saved
        since they were read."""

    def tracks(self, asked: Sequence[Asked]) -> dict[str, tuple[Track, ...]]:
        """The points asked for, of each run in the order of the names, without times. Reads little more than these."""

    def whole_tracks(self, run_id: str, names: Sequence[str]) -> tuple[Track, ...]:
        """All points of these series of all attempts."""

    def reach(self, reached: Sequence[Reached], anew: Sequence[str] = ()) -> None:
        """Record with which values rungs were reached; of the runs in `anew` nothing else stays."""

    def reached(self, experiment: str, at: float) -> dict[str, float]:
        """The values of all runs that have reached this rung."""

    def fallen(self, experiment: str) -> dict[str, tuple[float, float]]:
        """Of each run that rules have stopped: the highest rung that it reached, and its value there."""

    def mark_read(self, runs: Sequence[tuple[str, int]]) -> None:
        """The rules have seen everything of these attempts (run, attempt), which have ended."""

    # ── people ──
    def change(self, run_ids: Sequence[str], change: Change) -> Changed:
        """Carry out what a person asks of these runs, each by itself: one that it does not suit is left alone."""

    def events(self, run_id: str) -> list[Event]:
        """What happened to the run, oldest first."""

    def ahead(self, run: Run, limit: int = 10_000) -> int:
        """How many queued runs of the same queue are claimed before this one, counted up to `limit`."""

    def report(self, run_id: str, values: dict[str, float]) -> Run:
        """Add figures that were found elsewhere to an ended run. Raises IllegalTransition, NoSuchRun."""

    # ── runs of elsewhere ──
    def begin_import(self, run: Run, by: str, *, again: bool = False) -> bool:
        """Add a run that was carried out elsewhere, without its points; what an import that died left of it is removed.

        False when it is there whole, unless it is to be imported `again`. `by`: who imports, a name of this import.
        Until `end_import` it is cancelled, and may be given artifacts.
        """

    def import_part(self, run_id: str, by: str, shipment: Shipment) -> None:
        """Add points and output, in order. Raises Superseded when another import has begun the run anew."""

    def end_import(self, run: Run, by: str) -> None:
        """The run is whole, and as it is given here. Raises Superseded."""

    # ── studies ──
    def put_study(self, study: Study) -> None:
        """Record a study, or what is new about it."""

    def study(self, name: str) -> Study | None:
        """The study of an experiment."""

    def studies(self, *states: StudyState) -> list[Study]:
        """All studies, or those in these states, oldest first."""

    def mark_study(self, name: str, *, state: StudyState | None = None, trouble: str | None = None) -> None:
        """Change the state, or say what went wrong."""

    def add_trial(self, trial: Trial) -> bool:
        """Fix number and parameters of a trial; False when somebody has taken the number."""

    def trials(self, study: str) -> list[Trial]:
        """All trials of a study, by number."""

    def open_trials(self, studies: Sequence[str]) -> list[Trial]:
        """Trials that nobody has told yet, by study and number."""

    def tell(self, trial: Trial, told_before: str) -> bool:
        """Record what came of a trial, unless somebody has told another ending than `told_before`: False then."""

    # ── diagnosis ──
    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """What was found about these runs, by id; runs that nobody has looked at are left out."""

    def glimpses(self, ended: int) -> list[Glimpse]:
        """Running runs, and of those that left or ended since the last look at them `ended` at most. Cheap."""

    def put_diagnosis(self, diagnosis: Diagnosis, new: Sequence[Finding], *, to_treat: bool = False) -> bool:
        """Keep what a look has found; `new` become events of the run, unless another look has told them before.

        False when the run has moved on meanwhile, or a later look is kept already. `to_treat`: it becomes a case for
        the rules of its experiment.
        """

    def put_looks(self, diagnoses: Sequence[Diagnosis]) -> None:
        """Keep looks that have found nothing new, many at once; what is kept of a later look stays."""

    def remedied(self) -> dict[str, list[dict[str, Any]]]:
        """The tables [[diagnosis]] of the experiments that have any."""

    def cases(self, limit: int) -> list[Case]:
        """What was found and no rule has answered yet, `limit` at most."""

    def prescribe(self, case: Case, remedy: Remedy) -> bool:
        """Keep what is to be done, before it is done; False when the case is closed or something new was found."""

    def close_case(self, case: Case) -> None:
        """It is answered; a remedy that was kept is done."""

    # ── workers ──
    def seen(self, worker: Worker) -> Drain | None:
        """This worker lives; returns the order to leave that holds for it or its host now."""

    def gone(self, worker_name: str) -> None:
        """This worker left."""

    def workers(self, within_s: float) -> list[Worker]:
        """Workers seen lately."""

    def drain(self, drain: Drain, in_s: float = 0.0) -> None:
        """From `in_s` seconds on this worker, or every one of this host, leaves; a newer order replaces an older."""

    def undrain(self, target: str) -> bool:
        """Take the order back; False when there was none."""

    def drains(self) -> list[Drain]:
        """All orders, by target."""

    # ── rules ──
    def rule_books(self) -> list[RuleBook]:
        """The rules of all scopes."""

    def set_rules(self, book: RuleBook) -> None:
        """These rules hold for the scope from now on; without a rule none do."""

    def remove_rules(self, scope: Scope, holder: str) -> bool:
        """No rules of this scope any more; False when there were none."""

    def mutes(self) -> list[Mute]:
        """Those that hold now."""

    def mute(self, mute: Mute, for_s: float | None = None) -> int:
        """Silence, for so long or until it is taken back; what is owed and not sent is muted too: how many notices."""

    def unmute(self, mute: Mute) -> bool:
        """What happens from now on is told again; False when there was no silence."""

    # ── telling ──
    def owed(self, limit: int) -> list[Owed]:
        """Events that nobody has dealt with, oldest first."""

    def owe(self, telling: Telling) -> bool:
        """Write all that follows from some events, or nothing: False when somebody else was faster."""

    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """What the rules remember under these names; a name under which nothing is kept is left out."""

    def close_digests(self) -> int:
        """Digests whose time has come take no further parts: they are owed now. How many."""

    def sweep_standing(self, experiment: str) -> SweepStanding:
        """Whether every run of the experiment has ended. Reads all of its runs when it is so."""

    # ── places asked of schedulers ──
    def demands(self, queue: str, limit: int) -> dict[Resources, int]:
        """How many runs of a queue could be claimed now, by what they ask for, each counted up to `limit`."""

    def jobs_wanted(self, on: Scheduler, queue: str, owner: str, limit: int) -> list[JobWanted]:
        """Runs of this user that could be claimed now if they had a job of their own there, `limit` of each demand."""

    def add_allocations(self, allocations: Sequence[Allocation]) -> None:
        """Record them before they are asked for, created now; one that is there stays as it is."""

    def allocations(self, over_within_s: float) -> list[Allocation]:
        """Those that are not over, and those that have been for at most so many seconds; oldest first."""

    def sight(self, sightings: Sequence[Sighting]) -> None:
        """Record what is known of these allocations now, and when they first ran and ended; unknown ids are ignored."""

    # ── outbox ──
    def notices(self, run_id: str | None = None) -> list[Notice]:
        """Notices, oldest first; those about a run, and the digests that tell of it."""

    def claim_notice(self, owner: str, lease_s: float) -> Notice | None:
        """Take the oldest notice that is due, under a lease."""

    def renew_notice(self, notice_id: str, owner: str, lease_s: float) -> Notice | None:
        """A new lease, and the notice as it is now; None when somebody else has it, or nobody waits for it any more."""

    def record_deliveries(
        self,
        notice_id: str,
        owner: str,
        deliveries: Sequence[Delivery],
        *,
        retry_after_s: float | None,
        tried: bool = True,
    ) -> Notice | None:
        """What became of a message, and the end of the owner's lease; None when there is no such notice.

        Whoever holds it: what was delivered is a fact. `retry_after_s` counts for recipients that are still waiting;
        None: at once. Not `tried`: the claim before it does not count as a try.
        """

    def notice(self, id_or_prefix: str) -> Notice:
        """The notice with this id or unique prefix. Raises NoSuchNotice, AmbiguousId."""

    def outbox(self, states: Sequence[NoticeState], limit: int) -> list[Notice]:
        """Notices in these states, newest first."""

    def outbox_counts(self) -> dict[NoticeState, int]:
        """How many notices are in each state; states without any are left out."""

    def retry_notice(self, notice_id: str) -> bool:
        """Owed again, now, to those who have not got it; False when everybody has."""

    def drop_notice(self, notice_id: str) -> bool:
        """Never to be sent; False when nobody waits for it any more."""

    def thread_root(self, notice: Notice) -> Notice | None:
        """The first notice about the same run, or, when it is about no single run, about the same experiment."""

    def sending(self, notifier: Sending) -> None:
        """This notifier lives, says the server's clock."""

    def sends_no_more(self, name: str) -> None:
        """This notifier left."""

    def notifiers(self, within_s: float) -> list[Sending]:
        """Notifiers seen within the last `within_s` seconds of the server's clock, by name."""
