"""The rules round over the store in memory, with a clock of its own: who is told what, and when."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notify.rules.round import RulesRound
from store.changes import Change, cancelled, requeued
from store.findings import Diagnosis, Disease, Finding, Severity
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.notices import Notice, NoticeState
from store.occasions import Occasion
from store.query import Compared, Metric, Op
from store.rules import Mute, Quiet, Rate, Rule, RuleBook, Scope, When
from store.runs import Ending, Notify, Run, Task
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.studies import Study, StudyState
from store.workers import Worker

ME = "me@lab.example"
YOU = "you@lab.example"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, memory_bytes=8 << 30)
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
FAILED = Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(reason=Reason.ERROR, message="boom"))
LOST = Settlement(state=State.QUEUED, reason=Reason.LOST, ending=Ending(reason=Reason.LOST), setbacks=1)


class Lab:
    """A store whose clock is turned by hand, a notifier's round, and one worker."""

    def __init__(self) -> None:
        self.at = NOON
        self.store = MemoryStore(clock=lambda: self.at)
        self.settings = Settings()
        self.round = RulesRound(self.store, self.settings, "n1")

    def later(self, **much: float) -> None:
        self.at += timedelta(**much)
        self.round._clock_at = float("-inf")

    def look(self) -> list[Notice]:
        """One round; the notices that are new."""
        before = {notice.id for notice in self.store.notices()}
        self.round.once()
        return [notice for notice in self.store.notices() if notice.id not in before]

    def rules(self, *rules: Rule, scope: Scope = Scope.EVERYBODY, holder: str = "") -> None:
        self.store.set_rules(RuleBook(scope=scope, holder=holder, rules=rules))

    def enqueue(self, name: str = "aaaa", **changes: Any) -> None:
        run = Run(
            id=name, key=name, experiment="exp", params={}, task=Task(command=("true",), workdir="/"), owner="ann",
            queued_at=self.at,
        )  # fmt: skip
        self.store.add_runs([replace(run, **changes)])

    def begin(self, name: str = "aaaa", loss: float | None = None, **changes: Any) -> Run:
        if name not in self.store._runs:
            self.enqueue(name, **changes)
        run = self.store.claim(WORKER, 1e9)
        assert run is not None
        assert run.id == name
        self.store.begin(run.id, run.attempt, None, {})
        return self.log(run, loss) if loss is not None else run

    def log(self, run: Run, *losses: float) -> Run:
        now = self.store.run(run.id)
        start = now.shipped.events_bytes
        points = tuple(
            Point(name="loss", step=start + i, time=0.0, value=value, line=start + i, index=start + i)
            for i, value in enumerate(losses)
        )
        end, found = start + len(points), segments(points)
        shipped = Shipment(events_from=start, events_to=end, lines_to=end, segments=found, output_from=0, output=b"")
        self.store.ship(run.id, run.attempt, shipped, summarize(now.summary, found))
        return self.store.run(run.id)

    def end(self, run: Run, settlement: Settlement = FINISHED) -> Run:
        return self.store.settle(run.id, run.attempt, settlement)

    def carry_out(self, name: str = "aaaa", settlement: Settlement = FINISHED, **changes: Any) -> Run:
        return self.end(self.begin(name, **changes), settlement)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def rule(*on: str, **changes: Any) -> Rule:
    return Rule(**{"name": "rule 1", "on": on, "to": (ME,), **changes})


def told(notices: list[Notice]) -> list[tuple[str, str]]:
    return [(notice.about.value, notice.run) for notice in notices]


class TestWhoIsTold:
    def test_the_simple_form_of_an_experiment_under_the_id_of_earlier_versions(self, lab: Lab) -> None:
        lab.carry_out(notify=Notify(to=(ME,)))
        (notice,) = lab.look()
        assert (notice.id, notice.about, notice.to) == ("aaaa-1-finished", Occasion.FINISHED, (ME,))
        assert notice.created_at == lab.store.run("aaaa").ended_at
        assert lab.look() == []

    def test_without_a_rule_nobody_is_told_and_the_event_is_dealt_with(self, lab: Lab) -> None:
        lab.carry_out()
        assert lab.look() == []
        assert lab.store.owed(10) == []

    def test_rules_of_the_experiment_its_owner_and_everybody(self, lab: Lab) -> None:
        lab.rules(rule("failed", to=("exp@lab",)), scope=Scope.EXPERIMENT, holder="exp")
        lab.rules(rule("failed", to=("other@lab",)), scope=Scope.EXPERIMENT, holder="other")
        lab.rules(rule("failed", to=("ann@lab",)), scope=Scope.USER, holder="ann")
        lab.rules(rule("failed", to=("bob@lab",)), scope=Scope.USER, holder="bob")
        lab.rules(rule("failed", to=("all@lab",)))
        lab.carry_out(settlement=FAILED)
        found = lab.look()
        assert [notice.to for notice in found] == [("exp@lab",), ("ann@lab",), ("all@lab",)]
        assert [notice.rule for notice in found] == ["exp: rule 1", "ann: rule 1", "everybody: rule 1"]
        assert len({notice.id for notice in found}) == 3

    def test_nobody_is_told_twice_and_the_most_urgent_rule_tells(self, lab: Lab) -> None:
        lab.rules(rule("finished", to=(ME, YOU), when=When.DAILY), scope=Scope.EXPERIMENT, holder="exp")
        lab.rules(rule("finished", to=(ME,)))
        lab.carry_out()
        at_once, digest = sorted(lab.look(), key=lambda notice: notice.about == Occasion.DIGEST)
        assert (at_once.about, at_once.to) == (Occasion.FINISHED, (ME,))
        assert (digest.about, digest.to) == (Occasion.DIGEST, (YOU,))

    @pytest.mark.parametrize(("loss", "count"), [(0.1, 1), (0.3, 0)])
    def test_a_condition_on_a_metric(self, lab: Lab, loss: float, count: int) -> None:
        lab.rules(rule("finished", where=Compared(field=Metric(name="loss"), op=Op.LESS, value=0.2)))
        lab.carry_out(loss=loss)
        assert len(lab.look()) == count

    def test_every_occasion_of_a_life(self, lab: Lab) -> None:
        lab.rules(rule("interrupted", "resumed", "cancelled"))
        lab.carry_out(settlement=LOST)
        again = lab.begin()
        lab.end(again, replace(FAILED, state=State.CANCELLED, reason=Reason.STOPPED))
        assert [notice.about for notice in lab.look()] == [
            Occasion.INTERRUPTED, Occasion.RESUMED, Occasion.CANCELLED,
        ]  # fmt: skip

    def test_a_run_that_diverged_is_told_once_as_failed(self, lab: Lab) -> None:
        lab.rules(rule("failed", "diverged"))
        lab.carry_out(settlement=replace(FAILED, reason=Reason.DIVERGED))
        assert told(lab.look()) == [("failed", "aaaa")]

    def test_findings_by_occasion_by_disease_and_notes_only_by_name(self, lab: Lab) -> None:
        lab.rules(
            rule("stuck", name="a", to=("a@lab",)),
            rule("finding", name="b", to=("b@lab",)),
            rule("over-fitting", name="c", to=("c@lab",)),
        )
        lab.begin()
        for disease, severity in ((Disease.STUCK, Severity.SEVERE), (Disease.OVER_FITTING, Severity.NOTE)):
            found = Finding(disease=disease, severity=severity, evidence="seen", advice="look", found_at=lab.at)
            lab.store.put_diagnosis(Diagnosis(run="aaaa", attempt=1, findings=(found,)), [found])
        notices = lab.look()
        assert [(notice.about, notice.to) for notice in notices] == [
            (Occasion.STUCK, ("a@lab",)), (Occasion.STUCK, ("b@lab",)), (Occasion.FINDING, ("c@lab",)),
        ]  # fmt: skip
        assert notices[0].finding is not None

    def test_an_event_that_cannot_be_understood_keeps_no_other_from_being_told(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from notify.rules import events

        def spoiled(owed: Any, run: Run) -> Any:
            if run.id == "aaaa":
                raise KeyError("spoiled")
            return real(owed, run)

        real: Callable[..., Any] = events.happening_of
        monkeypatch.setattr(events, "happening_of", spoiled)
        lab.rules(rule("finished"))
        lab.carry_out("aaaa")
        lab.carry_out("bbbb")
        assert told(lab.look()) == [("finished", "bbbb")]
        assert lab.store.owed(10) == []


class TestWhen:
    def test_a_daily_digest_gathers_until_its_hour(self, lab: Lab) -> None:
        lab.rules(rule("finished", when=When.DAILY, at_minute=18 * 60))
        lab.carry_out("aaaa", loss=0.25)
        (digest,) = lab.look()
        lab.later(hours=1)
        lab.carry_out("bbbb")
        assert lab.look() == []
        assert lab.store.claim_notice("n", 60) is None
        lab.later(hours=5)
        lab.look()
        claimed = lab.store.claim_notice("n", 60)
        assert claimed is not None
        assert (claimed.id, [part.run for part in claimed.parts]) == (digest.id, ["aaaa", "bbbb"])
        assert claimed.parts[0].text == "loss 0.25"

    def test_in_quiet_hours_a_message_waits_for_their_end(self, lab: Lab) -> None:
        lab.rules(rule("failed", quiet=Quiet(from_minute=11 * 60, to_minute=14 * 60)))
        lab.carry_out(settlement=FAILED)
        (notice,) = lab.look()
        assert notice.not_before == NOON + timedelta(hours=2)
        assert lab.store.claim_notice("n", 60) is None
        lab.later(hours=2)
        assert lab.store.claim_notice("n", 60) is not None

    def test_what_is_more_than_allowed_comes_in_one_message(self, lab: Lab) -> None:
        lab.rules(rule("finished", at_most=Rate(count=3, per_s=3600)))
        for number in range(40):
            lab.carry_out(f"r{number:03}")
        found = lab.look()
        singles = [notice for notice in found if notice.about is Occasion.FINISHED]
        (digest,) = [notice for notice in found if notice.about is Occasion.DIGEST]
        assert len(singles) == 3
        assert len(digest.parts) == 37
        assert digest.not_before == NOON + timedelta(hours=1)
        lab.later(hours=1)
        lab.carry_out("after")
        assert told(lab.look()) == [("finished", "after")]
        assert lab.store.notices("r039")[0].state is NoticeState.OWED

    def test_what_is_old_when_a_notifier_appears_is_told_in_one_message(self, lab: Lab) -> None:
        for number in range(30):
            lab.carry_out(f"r{number}", notify=Notify(to=(ME,)))
        lab.later(days=5)
        (digest,) = lab.look()
        assert (digest.about, len(digest.parts), digest.state) == (Occasion.DIGEST, 30, NoticeState.OWED)

    def test_what_is_muted_is_recorded_and_not_sent(self, lab: Lab) -> None:
        lab.store.mute(Mute(target="exp", is_run=False), for_s=3600)
        lab.carry_out("aaaa", notify=Notify(to=(ME,)))
        (notice,) = lab.look()
        assert notice.state is NoticeState.MUTED
        assert lab.store.claim_notice("n", 60) is None
        lab.later(hours=2)
        lab.carry_out("bbbb", notify=Notify(to=(ME,)))
        assert [one.state for one in lab.look()] == [NoticeState.OWED]


class TestBestSoFar:
    def race(self, lab: Lab, **changes: Any) -> None:
        lab.rules(rule("best-so-far", metric="loss", **changes))

    def test_who_beats_the_best_of_the_experiment_is_told_and_the_first_is_not(self, lab: Lab) -> None:
        self.race(lab)
        for name, loss in (("aaaa", 0.5), ("bbbb", 0.6), ("cccc", 0.4), ("dddd", 0.4)):
            lab.carry_out(name, loss=loss)
        (notice,) = lab.look()
        assert (notice.run, notice.metric, notice.about) == ("cccc", "loss", Occasion.BEST_SO_FAR)

    def test_runs_from_before_the_rule_count(self, lab: Lab) -> None:
        lab.carry_out("aaaa", loss=0.5)
        lab.look()
        self.race(lab)
        lab.carry_out("bbbb", loss=0.6)
        lab.carry_out("cccc", loss=0.4)
        assert told(lab.look()) == [("best-so-far", "cccc")]

    def test_greatest(self, lab: Lab) -> None:
        self.race(lab, greatest=True)
        for name, loss in (("aaaa", 0.5), ("bbbb", 0.6), ("cccc", 0.4)):
            lab.carry_out(name, loss=loss)
        assert told(lab.look()) == [("best-so-far", "bbbb")]

    def test_a_running_run_is_told_when_it_takes_the_lead_and_improves_in_silence(self, lab: Lab) -> None:
        self.race(lab)
        lab.carry_out("aaaa", loss=0.5)
        lab.look()
        run = lab.begin("bbbb", loss=0.9)
        lab.later(minutes=1)
        assert lab.look() == []
        lab.log(run, 0.4)
        lab.later(minutes=1)
        assert told(lab.look()) == [("best-so-far", "bbbb")]
        lab.log(run, 0.3)
        lab.later(minutes=1)
        lab.end(run)
        assert lab.look() == []

    def test_nan_beats_nobody_and_failed_runs_do_not_count(self, lab: Lab) -> None:
        self.race(lab)
        lab.carry_out("aaaa", loss=0.5)
        lab.carry_out("bbbb", loss=float("nan"))
        lab.carry_out("cccc", FAILED, loss=0.1)
        assert lab.look() == []


class TestSweepFinished:
    def test_two_runs_that_end_together_are_one_message(self, lab: Lab) -> None:
        lab.rules(rule("sweep-finished"))
        lab.enqueue("aaaa")
        lab.enqueue("bbbb")
        first, second = lab.begin("aaaa"), lab.begin("bbbb")
        lab.end(first)
        lab.end(second)
        (notice,) = lab.look()
        assert (notice.about, notice.experiment, notice.run) == (Occasion.SWEEP_FINISHED, "exp", "")
        assert lab.look() == []

    def test_not_before_the_last_has_ended(self, lab: Lab) -> None:
        lab.rules(rule("sweep-finished"))
        lab.enqueue("aaaa")
        lab.enqueue("bbbb")
        lab.carry_out("aaaa")
        assert lab.look() == []
        lab.carry_out("bbbb")
        assert len(lab.look()) == 1

    @pytest.mark.parametrize("again", ["extended", "requeued"])
    def test_again_when_it_was_extended_and_is_over_again(self, lab: Lab, again: str) -> None:
        lab.rules(rule("sweep-finished"))
        lab.carry_out("aaaa", FAILED)
        (first,) = lab.look()
        if again == "requeued":
            lab.store.change(["aaaa"], Change(name="requeue", apply=requeued))
        lab.carry_out("bbbb" if again == "extended" else "aaaa")
        (second,) = lab.look()
        assert second.id != first.id

    def test_the_last_run_may_be_cancelled_by_a_person(self, lab: Lab) -> None:
        lab.rules(rule("sweep-finished"))
        lab.enqueue("aaaa")
        lab.store.change(["aaaa"], Change(name="stop", apply=cancelled))
        assert told(lab.look()) == [("sweep-finished", "")]

    def test_a_study_that_asks_for_more_is_not_over(self, lab: Lab) -> None:
        lab.rules(rule("sweep-finished"))
        lab.enqueue("aaaa")
        pattern = lab.store.run("aaaa")
        lab.store.put_study(Study(name="exp", spec={}, pattern=pattern, created_at=lab.at, state=StudyState.ACTIVE))
        lab.carry_out("aaaa")
        assert lab.look() == []
        lab.store.mark_study("exp", state=StudyState.FINISHED)
        lab.later(minutes=1)
        assert len(lab.look()) == 1

    def test_the_digest_of_a_sweep_is_sent_when_it_is_over(self, lab: Lab) -> None:
        lab.rules(rule("finished", "failed", when=When.SWEEP))
        lab.enqueue("aaaa")
        lab.enqueue("bbbb")
        lab.carry_out("aaaa")
        (digest,) = lab.look()
        assert digest.state is NoticeState.GATHERING
        lab.later(days=1)
        lab.carry_out("bbbb", FAILED)
        lab.look()
        (digest,) = lab.store.notices()
        assert (digest.state, digest.experiment) == (NoticeState.OWED, "exp")
        assert [(part.about, part.run) for part in digest.parts] == [("finished", "aaaa"), ("failed", "bbbb")]


class TestClock:
    def test_every_two_hours_of_each_running_run_and_missed_times_once(self, lab: Lab) -> None:
        lab.rules(rule("every", every_s=7200.0))
        lab.begin("aaaa")
        lab.later(hours=1)
        assert lab.look() == []
        lab.later(hours=1)
        assert told(lab.look()) == [("every", "aaaa")]
        assert lab.look() == []
        lab.later(hours=5)
        assert told(lab.look()) == [("every", "aaaa")]
        lab.later(hours=1)
        assert told(lab.look()) == [("every", "aaaa")]

    def test_every_two_hours_in_the_simple_form(self, lab: Lab) -> None:
        lab.begin("aaaa", notify=Notify(to=(ME,), on=("every",), every_s=7200.0))
        lab.later(hours=2)
        assert told(lab.look()) == [("every", "aaaa")]

    def lose(self, lab: Lab, **changes: Any) -> None:
        """A worker is seen, and then no more; the notifier looks all the time."""
        lab.store.seen(replace(WORKER, **changes))
        for _ in range(8):
            lab.look()
            lab.later(seconds=10)

    def test_a_worker_that_is_not_seen_any_more_is_lost_once(self, lab: Lab) -> None:
        lab.rules(rule("worker-lost"))
        self.lose(lab)
        (notice,) = lab.store.notices()
        assert (notice.about, notice.worker) == (Occasion.WORKER_LOST, "w1")
        self.lose(lab)
        assert len(lab.store.notices()) == 2

    def test_one_that_said_goodbye_is_not_lost(self, lab: Lab) -> None:
        lab.rules(rule("worker-lost"))
        lab.store.seen(WORKER)
        lab.look()
        lab.store.gone("w1")
        self.lose(lab, name="w2")
        assert [notice.worker for notice in lab.store.notices()] == ["w2"]

    def test_after_a_gap_nobody_is_taken_for_lost(self, lab: Lab) -> None:
        lab.rules(rule("worker-lost"))
        lab.store.seen(WORKER)
        lab.look()
        lab.later(hours=1)
        assert lab.look() == []
        lab.store.seen(WORKER)
        lab.later(seconds=10)
        assert lab.look() == []

    def test_a_lost_worker_is_a_matter_of_the_experiment_whose_run_it_held(self, lab: Lab) -> None:
        lab.rules(rule("worker-lost", to=("exp@lab",)), scope=Scope.EXPERIMENT, holder="exp")
        lab.rules(rule("worker-lost", to=("no@lab",)), scope=Scope.EXPERIMENT, holder="other")
        lab.rules(rule("worker-lost", to=("bob@lab",)), scope=Scope.USER, holder="bob")
        lab.begin("aaaa")
        self.lose(lab, run="aaaa")
        assert {notice.to[0]: notice.run for notice in lab.store.notices()} == {"exp@lab": "aaaa", "bob@lab": "aaaa"}

    def test_a_full_disk_is_told_once_a_host_until_it_has_room_again(self, lab: Lab) -> None:
        lab.rules(rule("disk-low"))
        full = replace(WORKER, disk_free_bytes=50 * 10**6, disk_floor_bytes=200 * 10**6)

        def look(worker: Worker) -> list[Notice]:
            lab.later(seconds=20)
            lab.store.seen(worker)
            lab.store.seen(replace(worker, name="w2"))
            return lab.look()

        assert [notice.about for notice in look(full)] == [Occasion.DISK_LOW]
        assert look(full) == []
        assert look(replace(full, disk_free_bytes=205 * 10**6)) == []
        assert look(full) == []
        assert look(replace(full, disk_free_bytes=10**9)) == []
        assert len(look(full)) == 1


class TestManyRounds:
    def test_one_who_is_beaten_writes_nothing_and_loses_nothing(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another notifier deals with the events between our look and our write."""
        from notify.rules import events

        lab.rules(rule("finished"))
        lab.carry_out()
        other = RulesRound(lab.store, lab.settings, "n2")
        real = events.Page.deal

        def beaten(page: events.Page) -> bool:
            monkeypatch.setattr(events.Page, "deal", real)
            other.once(alone=True)
            return real(page)

        monkeypatch.setattr(events.Page, "deal", beaten)
        assert told(lab.look()) == [("finished", "aaaa")]
        assert len(lab.store.notices()) == 1
