"""What the outbox promises to those who send and to those who look, over both stores."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TypeVar

import pytest
from outboxes import a_notice, owe

from store.deliveries import Sending, Standing, standing, waiting
from store.errors import AmbiguousId, NoSuchNotice
from store.memory import MemoryStore
from store.notices import Delivery, DeliveryState, Notice, NoticeState
from store.store import Store

LONG_S, SHORT_S = 300.0, 0.7
ME, YOU, THEM = "me@lab.example", "you@lab.example", "slack:lab"
T = TypeVar("T")


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("never")


def sent(*to: str) -> list[Delivery]:
    return [Delivery(to=one, state=DeliveryState.SENT, said="250 OK") for one in to]


def refused(to: str, said: str = "550 no such user") -> Delivery:
    return Delivery(to=to, state=DeliveryState.REFUSED, said=said)


def deferred(to: str, said: str = "451 later") -> Delivery:
    return Delivery(to=to, state=DeliveryState.DEFERRED, said=said)


def states(notice: Notice) -> dict[str, DeliveryState]:
    return {delivery.to: delivery.state for delivery in notice.deliveries}


class TestClaims:
    def test_a_notice_has_one_sender_at_a_time_and_none_is_lost(self, store: Store) -> None:
        owe(store, a_notice())
        notice = store.claim_notice("n1", SHORT_S)
        assert notice is not None
        assert store.claim_notice("n2", SHORT_S) is None
        taken_over = until(lambda: store.claim_notice("n2", LONG_S))
        assert taken_over.id == notice.id
        assert store.renew_notice(notice.id, "n1", LONG_S) is None
        assert store.record_deliveries(notice.id, "n2", [deferred(ME)], retry_after_s=0.0)
        retried = until(lambda: store.claim_notice("n3", LONG_S))
        assert (retried.tries, retried.error) == (3, "451 later")
        assert store.record_deliveries(notice.id, "n3", sent(ME), retry_after_s=None)
        assert store.claim_notice("n4", LONG_S) is None
        kept = store.notice(notice.id)
        assert (kept.state, kept.error) == (NoticeState.SENT, "")
        assert kept.sent_at is not None

    def test_a_renewed_lease_lasts_and_shows_what_others_have_recorded(self, store: Store) -> None:
        owe(store, a_notice(to=(ME, YOU)))
        store.claim_notice("n1", SHORT_S)
        renewed = store.renew_notice("3f9k2m7qabcd-1-failed", "n1", LONG_S)
        assert renewed is not None
        time.sleep(2 * SHORT_S)
        assert store.claim_notice("n2", LONG_S) is None
        store.record_deliveries(renewed.id, "n0", sent(YOU), retry_after_s=None)
        again = store.renew_notice(renewed.id, "n1", LONG_S)
        assert again is not None
        assert waiting(again) == (ME,)

    def test_what_was_delivered_is_recorded_whoever_holds_the_notice(self, store: Store) -> None:
        owe(store, a_notice())
        store.claim_notice("n1", SHORT_S)
        until(lambda: store.claim_notice("n2", LONG_S))
        assert store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", sent(ME), retry_after_s=None)
        assert store.renew_notice("3f9k2m7qabcd-1-failed", "n2", LONG_S) is None

    def test_a_pause_is_kept_and_a_try_that_was_none_is_not_counted(self, store: Store) -> None:
        owe(store, a_notice())
        store.claim_notice("n1", LONG_S)
        kept = store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", [deferred(ME)], retry_after_s=600.0, tried=False)
        assert kept is not None
        assert kept.tries == 0
        assert kept.not_before is not None
        assert 590 < (kept.not_before - store.now()).total_seconds() <= 601
        assert store.claim_notice("n1", LONG_S) is None

    def test_nothing_is_recorded_about_a_notice_that_is_not_there(self, store: Store) -> None:
        assert store.record_deliveries("nobody", "n1", sent(ME), retry_after_s=None) is None
        assert store.renew_notice("nobody", "n1", LONG_S) is None
        assert not store.retry_notice("nobody")
        assert not store.drop_notice("nobody")


class TestRecipients:
    def test_each_recipient_has_a_record_and_only_the_rest_waits(self, store: Store) -> None:
        owe(store, a_notice(to=(ME, YOU, THEM)))
        store.claim_notice("n1", LONG_S)
        some = store.record_deliveries(
            "3f9k2m7qabcd-1-failed", "n1", [*sent(ME), refused(YOU), deferred(THEM)], retry_after_s=0.0
        )
        assert some is not None
        assert (some.state, waiting(some)) == (NoticeState.OWED, (THEM,))
        assert some.error == "550 no such user; 451 later"
        again = until(lambda: store.claim_notice("n1", LONG_S))
        assert states(again) == {ME: DeliveryState.SENT, YOU: DeliveryState.REFUSED, THEM: DeliveryState.DEFERRED}
        done = store.record_deliveries(again.id, "n1", sent(THEM), retry_after_s=0.0)
        assert done is not None
        assert (done.state, done.error) == (NoticeState.REFUSED, "550 no such user")
        assert store.claim_notice("n1", LONG_S) is None

    def test_a_delivery_is_never_undone_by_a_later_report(self, store: Store) -> None:
        owe(store, a_notice(to=(ME, YOU)))
        store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", sent(ME), retry_after_s=0.0)
        kept = store.record_deliveries("3f9k2m7qabcd-1-failed", "n2", [refused(ME), deferred(YOU)], retry_after_s=0.0)
        assert kept is not None
        assert states(kept) == {ME: DeliveryState.SENT, YOU: DeliveryState.DEFERRED}
        assert all(delivery.at is not None for delivery in kept.deliveries)

    def test_reports_at_the_same_time_are_all_kept(self, store: Store) -> None:
        people = tuple(f"p{number}@lab.example" for number in range(12))
        owe(store, a_notice(to=people))
        threads = [
            Thread(target=store.record_deliveries, args=("3f9k2m7qabcd-1-failed", "n", sent(one)), kwargs={"retry_after_s": 0.0})
            for one in people
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        kept = store.notice("3f9k2m7qabcd-1-failed")
        assert (kept.state, len(kept.deliveries)) == (NoticeState.SENT, len(people))


class TestPeople:
    def test_what_was_refused_can_be_tried_again_for_those_who_did_not_get_it(self, store: Store) -> None:
        owe(store, a_notice(to=(ME, YOU)))
        store.claim_notice("n1", LONG_S)
        store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", [*sent(ME), refused(YOU)], retry_after_s=None)
        assert store.retry_notice("3f9k2m7qabcd-1-failed")
        again = store.claim_notice("n2", LONG_S)
        assert again is not None
        assert (waiting(again), again.tries, again.error) == ((YOU,), 1, "")

    def test_a_deferred_notice_can_be_tried_now(self, store: Store) -> None:
        owe(store, a_notice())
        store.claim_notice("n1", LONG_S)
        store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", [deferred(ME)], retry_after_s=900.0)
        assert store.claim_notice("n1", LONG_S) is None
        assert store.retry_notice("3f9k2m7qabcd-1-failed")
        assert store.claim_notice("n1", LONG_S) is not None

    def test_what_was_delivered_is_not_sent_again(self, store: Store) -> None:
        owe(store, a_notice())
        store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", sent(ME), retry_after_s=None)
        assert not store.retry_notice("3f9k2m7qabcd-1-failed")
        assert not store.drop_notice("3f9k2m7qabcd-1-failed")

    def test_a_dropped_notice_is_not_sent_and_can_be_taken_back(self, store: Store) -> None:
        owe(store, a_notice())
        assert store.drop_notice("3f9k2m7qabcd-1-failed")
        assert not store.drop_notice("3f9k2m7qabcd-1-failed")
        assert store.claim_notice("n1", LONG_S) is None
        assert store.retry_notice("3f9k2m7qabcd-1-failed")
        assert store.claim_notice("n1", LONG_S) is not None

    def test_a_notice_that_was_dropped_while_it_was_sent_is_known_to_be_sent(self, store: Store) -> None:
        owe(store, a_notice())
        store.claim_notice("n1", LONG_S)
        assert store.drop_notice("3f9k2m7qabcd-1-failed")
        assert store.renew_notice("3f9k2m7qabcd-1-failed", "n1", LONG_S) is None
        kept = store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", sent(ME), retry_after_s=None)
        assert kept is not None
        assert kept.state is NoticeState.SENT

    def test_a_failed_try_does_not_bring_a_dropped_notice_back(self, store: Store) -> None:
        owe(store, a_notice())
        store.claim_notice("n1", LONG_S)
        store.drop_notice("3f9k2m7qabcd-1-failed")
        for delivery in (deferred(ME), refused(ME)):
            kept = store.record_deliveries("3f9k2m7qabcd-1-failed", "n1", [delivery], retry_after_s=0.0)
            assert kept is not None
            assert kept.state is NoticeState.DROPPED


class TestLooking:
    def test_a_message_is_found_by_a_unique_prefix(self, store: Store) -> None:
        owe(store, a_notice("abcd-1"), a_notice("abcd-11"), a_notice("x.y"))
        assert store.notice("abcd-1").id == "abcd-1"
        assert store.notice("x.").id == "x.y"
        with pytest.raises(AmbiguousId, match="abcd-1, abcd-11"):
            store.notice("abcd")
        for wrong in ("", "  ", "nobody", "x_y", ".*"):
            with pytest.raises(NoSuchNotice, match="labq outbox"):
                store.notice(wrong)

    def test_the_outbox_is_listed_by_state_newest_first_and_counted(self, store: Store) -> None:
        days = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 6)]
        owe(store, *(a_notice(f"n{at.day}", created_at=at) for at in days))
        store.record_deliveries("n2", "n", sent(ME), retry_after_s=None)
        store.record_deliveries("n4", "n", [refused(ME)], retry_after_s=None)
        listed = store.outbox([NoticeState.OWED, NoticeState.REFUSED], 3)
        assert [notice.id for notice in listed] == ["n5", "n4", "n3"]
        assert [notice.id for notice in store.outbox([NoticeState.SENT], 9)] == ["n2"]
        assert store.outbox_counts() == {NoticeState.OWED: 3, NoticeState.SENT: 1, NoticeState.REFUSED: 1}
        assert [standing(store.notice(name)) for name in ("n1", "n2")] == [Standing.OWED, Standing.SENT]

    def test_the_first_message_about_a_run_is_the_root_of_its_thread(self, store: Store) -> None:
        first, later = (a_notice(f"n{day}", created_at=datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2))
        other = a_notice("n0", run="other", created_at=datetime(2025, 1, 1, tzinfo=UTC))
        digests = [replace(one, id=f"d-{one.id}", run="") for one in (later, first)]
        owe(store, later, first, other, *digests)
        assert store.thread_root(later) == first
        assert store.thread_root(first) == first
        assert store.thread_root(digests[0]) == digests[1]
        assert store.thread_root(replace(first, run="", experiment="")) is None

    def test_notifiers_are_seen_and_leave(self, store: Store) -> None:
        store.sending(Sending(name="h-1", host="h", pid=1))
        store.sending(Sending(name="h-2", host="h", pid=2, trouble="535 wrong password"))
        store.sending(Sending(name="h-1", host="h", pid=1, trouble="$away"))
        seen = store.notifiers(60.0)
        assert [(one.name, one.trouble) for one in seen] == [("h-1", "$away"), ("h-2", "535 wrong password")]
        assert all(one.seen_at is not None and abs(one.seen_at - store.now()) < timedelta(minutes=1) for one in seen)
        store.sends_no_more("h-1")
        assert [one.name for one in store.notifiers(60.0)] == ["h-2"]
        until(lambda: not store.notifiers(0.001))
