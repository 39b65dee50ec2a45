"""What is owed because of what happened, rules and silence, over both stores."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.changes import Change, cancelled, requeued
from store.findings import Diagnosis, Disease, Finding, Severity
from store.memory import MemoryStore
from store.notices import MOST_PARTS, Notice, NoticeState, Part
from store.occasions import Occasion
from store.query import All, Compared, Metric, Missing, Not, Op, Param, RunField, Some, Stat
from store.rules import Mute, Quiet, Rate, Rule, RuleBook, Scope, When
from store.runs import Ending, Notify, Run, Task
from store.states import Reason, State
from store.store import Refused, Settlement, Store
from store.telling import Gathering, Remembered, SweepStanding, Telling
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, memory_bytes=8 << 30)
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
LOST = Settlement(state=State.QUEUED, reason=Reason.LOST, ending=Ending(reason=Reason.LOST), setbacks=1)
STUCK = Finding(disease=Disease.STUCK, severity=Severity.SEVERE, evidence="no event for an hour", advice="Look at it.")
PART = Part(about=Occasion.FINISHED, at=NOW, run="aaaa", attempt=1, experiment="exp", text="val_loss 0.2")


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str = "aaaa", **changes: Any) -> Run:
    told = Notify(to=("me@lab.example",), on=("finished", "every"), every_s=7200.0)
    run = Run(
        id=name, key=f"key-{name}", experiment="exp", params={}, task=Task(command=("true",), workdir="/"),
        queued_at=NOW, owner="ann", notify=told,
    )  # fmt: skip
    return replace(run, **changes)


def carried_out(store: Store, name: str = "aaaa", settlement: Settlement = FINISHED) -> Run:
    """One attempt, from claim to end."""
    store.add_runs([a_run(name)])
    run = store.claim(WORKER, 60)
    assert run is not None
    store.begin(run.id, run.attempt, None, {})
    return store.settle(run.id, run.attempt, settlement)


def a_notice(name: str = "n", **changes: Any) -> Notice:
    return replace(Notice(id=name, about=Occasion.FINISHED, to=("me@lab.example",), run="aaaa", attempt=1), **changes)


def a_digest(name: str = "d", **changes: Any) -> Notice:
    return replace(a_notice(name, about=Occasion.DIGEST, run="", attempt=0, digest="key"), **changes)


def gathered(store: Store, count: int, **changes: Any) -> None:
    parts = tuple(replace(PART, attempt=number) for number in range(count))
    assert store.owe(Telling(gatherings=(Gathering(digest=a_digest(**changes), parts=parts),)))


class TestOwedEvents:
    def test_an_ending_is_owed_with_what_is_needed_to_see_who_asks(self, store: Store) -> None:
        run = carried_out(store)
        (owed,) = store.owed(10)
        assert (owed.about, owed.experiment, owed.owner) == (Occasion.FINISHED, "exp", "ann")
        assert owed.notify == run.notify
        assert owed.event == store.events(run.id)[-1]

    def test_interruption_and_resumption_are_owed_in_order_and_a_first_begin_is_not(self, store: Store) -> None:
        carried_out(store, settlement=LOST)
        again = store.claim(WORKER, 60)
        assert again is not None
        store.begin(again.id, 2, None, {})
        assert [owed.about for owed in store.owed(10)] == [Occasion.INTERRUPTED, Occasion.RESUMED]

    def test_a_refused_run_was_not_interrupted_and_does_not_resume(self, store: Store) -> None:
        store.add_runs([a_run()])
        run = store.claim(WORKER, 60)
        assert run is not None
        refused = Refused(by="w1", lasting=False, pause_s=0.0)
        store.settle(run.id, 1, replace(LOST, reason=Reason.REFUSED, refused=refused))
        again = store.claim(replace(WORKER, name="w2"), 60)
        assert again is not None
        store.begin(again.id, 2, None, {})
        assert store.owed(10) == []

    def test_what_people_do_to_a_waiting_run_is_owed_when_it_ends_by_that(self, store: Store) -> None:
        store.add_runs([a_run()])
        store.change(["aaaa"], Change(name="stop", apply=cancelled))
        store.change(["aaaa"], Change(name="requeue", apply=requeued))
        assert [(owed.about, owed.event.event) for owed in store.owed(10)] == [(Occasion.CANCELLED, "stop")]

    def test_findings_are_owed(self, store: Store) -> None:
        store.add_runs([a_run()])
        store.put_diagnosis(Diagnosis(run="aaaa", attempt=0, findings=(STUCK,)), [STUCK])
        (owed,) = store.owed(10)
        assert (owed.about, owed.event.finding) == (Occasion.FINDING, STUCK)

    def test_a_page_holds_the_oldest(self, store: Store) -> None:
        ids = [carried_out(store, name).id for name in ("aaaa", "bbbb", "cccc")]
        assert [owed.event.run for owed in store.owed(2)] == ids[:2]

    def test_an_event_is_dealt_with_once(self, store: Store) -> None:
        carried_out(store)
        (owed,) = store.owed(10)
        assert store.owe(Telling(events=(owed.id,), notices=(a_notice("first"),)))
        assert store.owed(10) == []
        assert not store.owe(Telling(events=(owed.id,), notices=(a_notice("second"),)))
        assert [notice.id for notice in store.notices()] == ["first"]

    def test_one_event_that_somebody_else_has_dealt_with_keeps_the_whole_page_from_being_written(
        self, store: Store
    ) -> None:
        carried_out(store, "aaaa")
        carried_out(store, "bbbb")
        first, second = store.owed(10)
        assert store.owe(Telling(events=(second.id,)))
        both = Telling(events=(first.id, second.id), notices=(a_notice(),), remembered=(Remembered(id="x"),))
        assert not store.owe(both)
        assert (store.notices(), store.remembered(["x"])) == ([], {})
        assert store.owed(10) == [first]

    def test_of_many_who_deal_with_one_event_at_once_one_prevails(self, store: Store) -> None:
        carried_out(store)
        (owed,) = store.owed(10)
        results: list[bool] = []

        def deal(number: int) -> None:
            told = Telling(events=(owed.id,), notices=(a_notice(f"n{number}"),))
            results.append(store.owe(told))

        at_once([lambda n=n: deal(n) for n in range(4)])  # type: ignore[misc]
        assert sorted(results) == [False, False, False, True]
        assert len(store.notices()) == 1


def at_once(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


class TestNotices:
    def test_a_notice_that_is_there_stays_as_it_is(self, store: Store) -> None:
        assert store.owe(Telling(notices=(a_notice(created_at=NOW),)))
        assert store.owe(Telling(notices=(a_notice(to=("you@lab.example",)),)))
        (kept,) = store.notices()
        assert (kept.to, kept.created_at) == (("me@lab.example",), NOW)

    def test_one_that_waits_for_its_time_is_not_claimed_before(self, store: Store) -> None:
        assert store.owe(Telling(notices=(a_notice(not_before=store.now() + timedelta(hours=1)),)))
        assert store.claim_notice("n", 60) is None

    def test_a_finding_comes_back_as_it_went_in(self, store: Store) -> None:
        assert store.owe(Telling(notices=(a_notice(finding=STUCK, rule="ann: rule 1", metric="val_loss"),)))
        (kept,) = store.notices()
        assert (kept.finding, kept.rule, kept.metric) == (STUCK, "ann: rule 1", "val_loss")


class TestDigests:
    def test_parts_are_gathered_in_one_digest_until_its_time_has_come(self, store: Store) -> None:
        gathered(store, 1, name="first", not_before=store.now() + timedelta(hours=1))
        gathered(store, 2, name="second")
        (digest,) = store.notices()
        assert (digest.id, len(digest.parts), digest.state) == ("first", 3, NoticeState.GATHERING)
        assert store.claim_notice("n", 60) is None
        assert store.close_digests() == 0

    def test_a_digest_whose_time_has_come_is_owed_and_the_next_part_opens_another(self, store: Store) -> None:
        gathered(store, 1, name="first", not_before=store.now() - timedelta(seconds=1))
        assert store.close_digests() == 1
        assert store.close_digests() == 0
        gathered(store, 1, name="second")
        assert [(one.id, one.state) for one in store.notices()] == [
            ("first", NoticeState.OWED), ("second", NoticeState.GATHERING),
        ]  # fmt: skip
        claimed = store.claim_notice("n", 60)
        assert claimed is not None
        assert (claimed.id, claimed.parts[0].text) == ("first", "val_loss 0.2")

    def test_a_digest_has_so_many_parts_and_counts_the_others(self, store: Store) -> None:
        gathered(store, MOST_PARTS + 5)
        gathered(store, 3)
        (digest,) = store.notices()
        assert (len(digest.parts), digest.more) == (MOST_PARTS, 8)
        assert digest.parts[-1].attempt == MOST_PARTS - 1

    def test_the_digest_of_a_sweep_waits_for_its_end(self, store: Store) -> None:
        gathered(store, 1, name="mine", experiment="exp")
        assert store.owe(
            Telling(gatherings=(Gathering(digest=a_digest("other", digest="o", experiment="o"), parts=()),))
        )
        assert store.close_digests() == 0
        assert store.owe(Telling(sweeps=("exp",)))
        states = {one.id: one.state for one in store.notices()}
        assert states == {"mine": NoticeState.OWED, "other": NoticeState.GATHERING}

    def test_a_run_is_told_in_which_digests_it_stands(self, store: Store) -> None:
        gathered(store, 2)
        assert store.owe(Telling(notices=(a_notice(), a_notice("of-another", run="bbbb"))))
        assert {one.id for one in store.notices("aaaa")} == {"d", "n"}
        assert {one.id for one in store.notices("bbbb")} == {"of-another"}

    def test_many_who_gather_at_once_lose_nothing(self, store: Store) -> None:
        def gather(number: int) -> None:
            one = Gathering(digest=a_digest(f"d{number}"), parts=(replace(PART, attempt=number),))
            while not store.owe(Telling(gatherings=(one,))):
                pass

        at_once([lambda n=n: gather(n) for n in range(6)])  # type: ignore[misc]
        (digest,) = store.notices()
        assert sorted(part.attempt for part in digest.parts) == list(range(6))


class TestMemory:
    def test_what_is_remembered_is_compared_and_swapped(self, store: Store) -> None:
        new = Remembered(id="best/exp/min/loss", value=0.5, text="aaaa", marks={"a.b": 1.0, "$c": 2.0}, since=NOW)
        assert store.owe(Telling(remembered=(new,)))
        assert not store.owe(Telling(remembered=(new,), notices=(a_notice(),)))
        kept = store.remembered([new.id, "nothing"])
        assert kept == {new.id: replace(new, version=1)}
        assert store.owe(Telling(remembered=(replace(kept[new.id], value=0.4),)))
        assert not store.owe(Telling(remembered=(replace(kept[new.id], value=0.3),)))
        assert store.remembered([new.id])[new.id].value == 0.4
        assert store.notices() == []


class TestSweeps:
    def test_a_sweep_is_over_when_every_run_has_ended_and_its_mark_changes_with_what_is_added(
        self, store: Store
    ) -> None:
        assert store.sweep_standing("exp") == SweepStanding(is_over=False)
        carried_out(store, "aaaa")
        over = store.sweep_standing("exp")
        assert over.is_over
        store.add_runs([a_run("bbbb")])
        assert not store.sweep_standing("exp").is_over
        carried_out(store, "bbbb")
        assert store.sweep_standing("exp").mark != over.mark

    def test_a_paused_or_interrupted_run_has_not_ended(self, store: Store) -> None:
        carried_out(store, "aaaa", replace(LOST, state=State.PAUSED))
        assert not store.sweep_standing("exp").is_over


CONDITION = All(
    parts=(
        Some(parts=(Compared(field=Metric(name="val.loss", stat=Stat.MIN), op=Op.LESS, value=0.2),)),
        Not(part=Missing(field=Param(path=("data", "train")))),
        Compared(field=RunField.STATE, op=Op.EQUAL, value="finished"),
    )
)
RULE = Rule(
    name="nights", on=("finished", "every"), to=("me@lab.example", "slack:lab"), every_s=60.0, where=CONDITION,
    said="val_loss < 0.2", when=When.DAILY, at_minute=5, quiet=Quiet(from_minute=1320, to_minute=420),
    zone="Europe/Berlin", at_most=Rate(count=3, per_s=60.0), with_history=True, metric="m", greatest=True,
)  # fmt: skip


class TestRules:
    def test_rules_come_back_as_they_went_in_conditions_included(self, store: Store) -> None:
        book = RuleBook(scope=Scope.USER, holder="ann", rules=(RULE, replace(RULE, where=None)), source="f", by="ann")
        store.set_rules(book)
        (kept,) = store.rule_books()
        assert replace(kept, set_at=None) == book
        assert kept.set_at is not None

    def test_a_scope_has_one_book_and_none_when_it_is_empty(self, store: Store) -> None:
        everybody = RuleBook(scope=Scope.EVERYBODY, rules=(RULE,))
        store.set_rules(everybody)
        store.set_rules(RuleBook(scope=Scope.EXPERIMENT, holder="exp", rules=(RULE,)))
        store.set_rules(replace(everybody, rules=(replace(RULE, name="other"),)))
        assert [(one.scope, one.rules[0].name) for one in store.rule_books()] == [
            (Scope.EVERYBODY, "other"), (Scope.EXPERIMENT, "nights"),
        ]  # fmt: skip
        store.set_rules(RuleBook(scope=Scope.EXPERIMENT, holder="exp"))
        assert store.remove_rules(Scope.EVERYBODY, "")
        assert not store.remove_rules(Scope.EVERYBODY, "")
        assert store.rule_books() == []


class TestSilence:
    def test_a_mute_holds_until_its_time_or_until_it_is_taken_back(self, store: Store) -> None:
        run, experiment = Mute(target="aaaa", is_run=True, by="ann"), Mute(target="exp", is_run=False, by="ann")
        store.mute(run, for_s=0.0)
        store.mute(experiment)
        assert store.mutes() == [experiment]
        store.mute(experiment, for_s=3600)
        (kept,) = store.mutes()
        assert kept.until is not None
        assert store.unmute(experiment)
        assert not store.unmute(experiment)
        assert store.mutes() == []

    def test_what_waits_to_be_sent_about_it_is_muted_too(self, store: Store) -> None:
        of_run, of_other = a_notice("n", experiment="exp"), a_notice("other", run="bbbb", experiment="other")
        assert store.owe(Telling(notices=(of_run, of_other)))
        assert store.mute(Mute(target="exp", is_run=False)) == 1
        assert store.mute(Mute(target="aaaa", is_run=True)) == 0
        assert {one.id: one.state for one in store.notices()} == {"n": NoticeState.MUTED, "other": NoticeState.OWED}
