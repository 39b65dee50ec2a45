"""One step of a study: make runs that are missing, tell what has ended, ask for as many trials as there is room for.

Anybody may do it, twice at once too, and be killed anywhere. The lease of the lock only saves work; what makes it safe:
* a trial is one insert under (study, number), and its runs follow from it: a trial without runs gets them next time;
* telling is one update that names the ending told before: the second one changes nothing;
* an engine remembers nothing: it is filled from the trials.
"""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from queueing.doorbell import Doorbell
from queueing.optimize.engine import Engine, engine_for
from queueing.optimize.judging import have_ended, judge, token
from queueing.optimize.spec import Spec, loaded_spec
from queueing.optimize.trials import Tally, next_number, runs_of, tally, trial_of
from queueing.space.names import flat
from store.errors import DoorbellUnavailable, EngineMissing, LabqError, NoProposal, NoSuchStudy
from store.runs import Run
from store.store import RunQuery, Store
from store.studies import Study, StudyState, Trial, TrialState

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """What a step did. `busy`: somebody else is at it."""

    tally: Tally | None = None
    told: int = 0
    asked: int = 0
    is_over: bool = False
    busy: bool = False


def study_named(store: Store, name: str) -> tuple[Study, Spec]:
    """Raises NoSuchStudy."""
    study = store.study(name)
    if study is None:
        known = ", ".join(one.name for one in store.studies()[-10:])
        raise NoSuchStudy(
            f"no experiment {name!r} has an optimizer; {f'there are: {known}' if known else 'there are none'}"
        )
    return study, loaded_spec(study.spec, study.pattern.params)


def step(store: Store, doorbell: Doorbell, name: str, lease_s: float, *, ask: bool = True) -> Stepped:
    """One step, under a lease. Raises NoSuchStudy, EngineMissing, NoProposal, StoreUnavailable."""
    study, spec = study_named(store, name)
    with _leased(store, f"study-{name}", lease_s) as mine:
        if not mine:
            return Stepped(busy=True)
        told = tell_ended(store, doorbell, study, spec)
        asked = 0
        if ask and study.state is StudyState.ACTIVE and spec.table.engine != "ask":
            asked = _ask(store, doorbell, study, spec)
        counted = _counted(store, spec, study)
        is_over = _close(store, study, spec, counted)
        return Stepped(tally=counted, told=told, asked=asked, is_over=is_over)


# ── telling ──
def tell_ended(store: Store, doorbell: Doorbell, study: Study, spec: Spec) -> int:
    """Tell every trial whose runs have ended since it was told; returns how many. Needs no engine."""
    trials = [trial for trial in store.trials(study.name) if trial.number >= 0 and trial.runs]
    runs = _runs(store, trials)
    _make_missing(store, doorbell, study, spec, trials, runs)
    told = 0
    for trial in trials:
        mine = [runs[one] for one in trial.runs if one in runs]
        if have_ended(trial, mine) and (now := token(spec, mine)) != trial.told:
            verdict = judge(spec, mine, lambda run, metric: store.series(run.id, metric))
            fresh = replace(
                trial, state=verdict.state, values=verdict.values, points=verdict.points, why=verdict.why, told=now
            )
            told += store.tell(fresh, trial.told)
    return told


def _make_missing(
    store: Store, doorbell: Doorbell, study: Study, spec: Spec, trials: Sequence[Trial], runs: dict[str, Run]
) -> None:
    """Runs of trials that somebody had just inserted when he was killed."""
    bare = [trial for trial in trials if trial.state is TrialState.OPEN and any(one not in runs for one in trial.runs)]
    for trial in bare:
        queue_runs(store, doorbell, runs_of(study, spec, trial, store.now()))


def queue_runs(store: Store, doorbell: Doorbell, runs: Sequence[Run]) -> None:
    """Insert those that are not there, and ring."""
    added = set(store.add_runs(runs))
    with suppress(DoorbellUnavailable):
        doorbell.ring([(run.id, run.attempt, run.queue) for run in runs if run.id in added])


# ── asking ──
def _ask(store: Store, doorbell: Doorbell, study: Study, spec: Spec) -> int:
    past = store.trials(study.name)
    room = tally(spec, past, _runs(store, past if _needs_all(spec) else _open(past)), store.now()).room(spec)
    if room == 0:
        return 0
    engine = engine_for(spec)
    asked = 0
    while asked < room:
        number = next_number(past)
        if spec.table.trials is not None and number >= spec.table.trials:
            break
        trial = proposed(store, study, spec, engine, number, past)
        if trial is None:
            _exhausted(store, study, spec, number)
            break
        if not store.add_trial(trial):
            past = store.trials(study.name)
            continue
        queue_runs(store, doorbell, runs_of(study, spec, trial, trial.asked_at))
        past = [*past, trial]
        asked += 1
    return asked


def proposed(
    store: Store, study: Study, spec: Spec, engine: Engine, number: int, past: Sequence[Trial]
) -> Trial | None:
    """The trial of this number: one of those that are to come first, else what the engine proposes."""
    first = spec.table.first
    if number < len(first):
        return trial_of(study, spec, number, flat(first[number]), store.now(), asked_by="first")
    proposal = engine.ask(number, past)
    if proposal is None:
        return None
    return trial_of(study, spec, number, proposal.values, store.now(), notes=proposal.notes, asked_by="labq")


def _exhausted(store: Store, study: Study, spec: Spec, number: int) -> None:
    """Nothing is left to try: what was asked for is the whole budget."""
    if number == 0:
        raise NoProposal("the engine proposes nothing at all")
    smaller = spec.table.model_copy(update={"trials": number})
    store.put_study(replace(study, spec=replace(spec, table=smaller).text()))


# ── counting ──
def _counted(store: Store, spec: Spec, study: Study) -> Tally:
    trials = store.trials(study.name)
    return tally(spec, trials, _runs(store, trials if _needs_all(spec) else _open(trials)), store.now())


def _close(store: Store, study: Study, spec: Spec, counted: Tally) -> bool:
    """The study is over when its budget is spent and everything has been told."""
    newest = store.study(study.name) or study
    spec = loaded_spec(newest.spec, newest.pattern.params)
    is_open = newest.state in (StudyState.ACTIVE, StudyState.ASKED)
    if not is_open or not counted.is_spent(spec):
        return not is_open
    state = StudyState.ASKED if counted.open else StudyState.FINISHED
    if state is not newest.state:
        store.mark_study(study.name, state=state, trouble="")
    return state is StudyState.FINISHED


def _needs_all(spec: Spec) -> bool:
    return spec.table.hours is not None or spec.table.epochs is not None


def _open(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state is TrialState.OPEN]


def _runs(store: Store, trials: Sequence[Trial]) -> dict[str, Run]:
    ids = [one for trial in trials for one in trial.runs]
    pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
    return {run.id: run for page in pages for run in store.runs(RunQuery(ids=tuple(page)))}


# ── the lease ──
@contextmanager
def _leased(store: Store, name: str, lease_s: float) -> Iterator[bool]:
    """Held and renewed until the block is left; False when somebody else has it."""
    owner = uuid.uuid4().hex
    if store.lock(name, owner, lease_s, gap_s=0.0) is None:
        yield False
        return
    over = threading.Event()
    keeper = threading.Thread(target=_renew, args=(store, name, owner, lease_s, over), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        over.set()
        keeper.join()
        with suppress(LabqError):
            store.lock(name, owner, 0.0, gap_s=0.0)


def _renew(store: Store, name: str, owner: str, lease_s: float, over: threading.Event) -> None:
    while not over.wait(lease_s / 4):
        with suppress(LabqError):
            store.lock(name, owner, lease_s, gap_s=0.0)


__all__ = ["EngineMissing", "Stepped", "proposed", "queue_runs", "step", "study_named", "tell_ended"]
