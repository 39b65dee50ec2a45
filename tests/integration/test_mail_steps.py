"""A server that refuses, hangs, dribbles, hangs up or talks nonsense, at each step."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from outboxes import a_notice, owe
from scripted_smtp import CLOSE, DRIBBLE, GARBAGE, HANG, SLOW, ScriptedSmtp

from notify.content import Content, Image
from notify.mail import SmtpSender
from notify.notifier import Notifier
from store.memory import MemoryStore
from store.notices import Delivery, DeliveryState, Notice, NoticeState
from store.settings import Settings
from store.store import Store

ME, YOU, THEM = "me@lab.example", "you@lab.example", "them@lab.example"
NAME = "3f9k2m7qabcd-1-failed"
STEP_S = 0.4


class Clock:
    """MongoDB's clock, which a test can move."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


class Lab:
    """A store that owes, a notifier, a server."""

    def __init__(self, server: ScriptedSmtp, *notices: Notice, **changes: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        owe(self.store, *(notices or (a_notice(),)))
        defaults: dict[str, Any] = {
            "smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_tls": "none", "mail_from": "labq@lab.example",
            "smtp_timeout_s": STEP_S, "smtp_data_s": 2 * STEP_S,
        }  # fmt: skip
        self.settings = Settings(**(defaults | changes))
        self.notifier = Notifier(self.store, SmtpSender(self.settings), self.settings, writing=written)

    def send(self) -> int:
        return self.notifier.send_all()

    def later(self) -> int:
        """After every pause is over; the server is asked again, however long it was to be left alone."""
        self.clock.shift += timedelta(hours=2)
        for rest in self.notifier._ways._rests.values():
            rest.until = 0.0
        return self.send()

    def notice(self, name: str = NAME) -> Notice:
        return self.store.notice(name)

    def states(self) -> dict[str, DeliveryState]:
        return {delivery.to: delivery.state for delivery in self.notice().deliveries}


def written(store: Store, notice: Notice) -> Content:
    return Content(subject=f"about {notice.id}", text="It failed.\n.\n..two dots\n", html="<p>It failed.</p>")


def test_what_a_friendly_server_gets_is_whole() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server)
        assert lab.send() == 1
        ((to, mail),) = server.messages
        assert to == (ME,)
        text = mail.get_body(("plain",))
        assert text is not None
        assert text.get_content().split() == ["It", "failed.", ".", "..two", "dots"]
        assert mail["In-Reply-To"] is None
        assert lab.notice().state is NoticeState.SENT
        assert lab.notice().deliveries[0].said == "250 OK"


@pytest.mark.parametrize("step", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("mood", [HANG, DRIBBLE, CLOSE, GARBAGE, "421 closing", "451 not now"])
def test_trouble_at_any_step_keeps_the_mail_and_ends_in_time(step: str, mood: str) -> None:
    helo = {"HELO": mood} if step == "EHLO" else {}
    with ScriptedSmtp({step: mood, **helo}) as server:
        lab = Lab(server)
        before = threading.active_count()
        started = time.monotonic()
        assert lab.send() == 0
        took_s = time.monotonic() - started
        assert took_s < lab.settings.delivery_most_s + 2 * STEP_S + 1.0
        notice = lab.notice()
        assert (notice.state, notice.tries) == (NoticeState.OWED, 1)
        assert notice.error
        assert notice.not_before is not None
        if mood[0] == "4":
            assert mood[4:] in notice.error or step == "EHLO"
        server.script.clear()
        assert lab.later() == 1
        assert lab.notice().state is NoticeState.SENT
        assert len(set(server.ids())) == 1
        deadline = time.monotonic() + 10
        while threading.active_count() > before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [thread for thread in threading.enumerate() if thread.name == "smtp"]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_refusal_for_ever_ends_it_with_the_servers_own_words(step: str) -> None:
    with ScriptedSmtp({step: "550 5.7.1 go away"}) as server:
        lab = Lab(server)
        assert lab.send() == 0
        notice = lab.notice()
        assert (notice.state, notice.error) == (NoticeState.REFUSED, "550 5.7.1 go away")
        assert lab.later() == 0
        assert server.connections == 1


@pytest.mark.parametrize("step", ["connect", "EHLO"])
def test_a_server_that_lets_nobody_in_refuses_no_message(step: str) -> None:
    with ScriptedSmtp({step: "554 no service here", "HELO": "554 no service here"}) as server:
        lab = Lab(server)
        assert lab.send() == 0
        assert lab.notice().state is NoticeState.OWED
        assert "554" in lab.notice().error


@pytest.mark.parametrize("said", ["530 5.7.0 authentication required", "550 5.4.5 daily user sending limit exceeded"])
def test_what_settings_or_tomorrow_can_mend_is_no_refusal_for_ever(said: str) -> None:
    with ScriptedSmtp({"MAIL": said}) as server:
        lab = Lab(server)
        lab.send()
        assert (lab.notice().state, lab.notice().error) == (NoticeState.OWED, said)


def test_each_recipient_gets_it_as_often_as_owed() -> None:
    script = {f"RCPT {YOU}": "550 no such user", f"RCPT {THEM}": ["450 greylisted, come back", "451 still not"]}
    with ScriptedSmtp(script) as server:
        lab = Lab(server, a_notice(to=(ME, YOU, THEM)))
        assert lab.send() == 1
        assert lab.states() == {ME: DeliveryState.SENT, YOU: DeliveryState.REFUSED, THEM: DeliveryState.DEFERRED}
        assert lab.notice().error == "550 no such user; 450 greylisted, come back"
        assert lab.later() == 0
        assert lab.later() == 1
        assert [to for to, _ in server.messages] == [(ME,), (THEM,)]
        assert len(set(server.ids())) == 1
        assert all(mail["To"] == f"{ME}, {YOU}, {THEM}" for _, mail in server.messages)
        assert lab.notice().state is NoticeState.REFUSED
        assert lab.later() == 0
        assert not [one for one in server.commands if one.startswith("rcpt") and YOU in one][1:]


def test_a_refused_message_can_be_tried_again_by_a_person() -> None:
    with ScriptedSmtp({f"RCPT {YOU}": ["550 no such user"]}) as server:
        lab = Lab(server, a_notice(to=(ME, YOU)))
        lab.send()
        assert lab.store.retry_notice(NAME)
        assert lab.send() == 1
        assert [to for to, _ in server.messages] == [(ME,), (YOU,)]
        assert lab.notice().state is NoticeState.SENT


def test_a_server_that_dies_after_it_took_the_message_gets_the_same_one_again() -> None:
    with ScriptedSmtp({"END": [CLOSE]}) as server:
        lab = Lab(server)
        assert lab.send() == 0
        assert lab.notice().state is NoticeState.OWED
        assert lab.later() == 1
        assert len(server.messages) == 2
        assert len(set(server.ids())) == 1


def test_many_messages_share_a_connection_that_is_closed_after_them() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server, *(a_notice(f"n{number:03}", run=f"r{number}") for number in range(120)))
        assert lab.send() == 120
        assert server.connections == 3
        assert server.commands.count("quit") == 3
        assert len(set(server.ids())) == 120


def test_a_shared_connection_that_the_server_has_closed_is_opened_again_at_once() -> None:
    for farewell in (CLOSE, "421 enough for one connection"):
        with ScriptedSmtp({"MAIL": ["250 OK", farewell]}) as server:
            lab = Lab(server, a_notice("n1", run="a"), a_notice("n2", run="b"))
            assert lab.send() == 2
            assert server.connections == 2
            assert [lab.notice(name).tries for name in ("n1", "n2")] == [1, 1]
            assert len(set(server.ids())) == len(server.ids()) == 2


def test_a_message_that_always_fails_keeps_no_other_from_being_sent() -> None:
    with ScriptedSmtp({"END": [CLOSE]}) as server:
        lab = Lab(server, *(a_notice(f"n{number}", run=f"r{number}") for number in range(3)))
        assert lab.send() == 2
        assert [lab.notice(f"n{number}").state for number in range(3)].count(NoticeState.OWED) == 1


def test_a_server_that_is_away_is_asked_by_one_message_only() -> None:
    with ScriptedSmtp({"connect": "554 not today"}) as server:
        lab = Lab(server, *(a_notice(f"n{number}", run=f"r{number}") for number in range(20)))
        assert lab.send() == 0
        assert server.connections == 1
        owed = lab.store.notices()
        assert all(notice.state is NoticeState.OWED and "554 not today" in notice.error for notice in owed)
        assert sorted(notice.tries for notice in owed) == [0] * 19 + [1]
        (seen,) = lab.store.notifiers(60.0)
        assert seen.trouble == ""  # it had just begun
        server.script.clear()
        lab.notifier._seen_at = -100.0
        lab.notifier._be_seen()
        (seen,) = lab.store.notifiers(60.0)
        assert "554 not today" in seen.trouble
        assert lab.later() == 20


def test_greylisting_is_waited_for_with_growing_pauses() -> None:
    with ScriptedSmtp({"RCPT": ["450 greylisted"] * 5}) as server:
        lab = Lab(server)
        pauses = []
        for _ in range(5):
            lab.later()
            notice = lab.notice()
            assert notice.not_before is not None
            pauses.append((notice.not_before - lab.clock()).total_seconds())
        assert all(0.7 * 5 * 2**n < pause_s < 1.3 * 5 * 2**n for n, pause_s in enumerate(pauses))
        assert lab.later() == 1


def test_after_days_of_not_now_a_message_is_given_up() -> None:
    with ScriptedSmtp({"RCPT": "452 mailbox full"}) as server:
        lab = Lab(server, a_notice(created_at=datetime.now(UTC) - timedelta(days=6)))
        for _ in range(9):
            lab.later()
        assert lab.notice().state is NoticeState.OWED
        lab.later()
        assert lab.notice().state is NoticeState.REFUSED
        assert lab.notice().error == "given up after 6.0 days: 452 mailbox full"


def test_a_server_that_was_away_for_days_gets_the_message_all_the_same() -> None:
    with ScriptedSmtp({"connect": "554 closed"}) as server:
        lab = Lab(server, a_notice(created_at=datetime.now(UTC) - timedelta(days=30)))
        for _ in range(15):
            lab.later()
        assert lab.notice().state is NoticeState.OWED
        server.script.clear()
        assert lab.later() == 1


def test_an_address_that_the_server_cannot_take_harms_no_other() -> None:
    odd, idn = "jürgen@lab.example", "me@labör.example"
    with ScriptedSmtp() as server:
        lab = Lab(server, a_notice(to=(odd, idn, "no address", ME)))
        assert lab.send() == 1
        assert lab.states() == {
            odd: DeliveryState.REFUSED, idn: DeliveryState.SENT, ME: DeliveryState.SENT, "no address": DeliveryState.REFUSED,
        }  # fmt: skip
        ((to, mail),) = server.messages
        assert to == ("me@xn--labr-7qa.example", ME)
        assert mail["To"] == f"me@xn--labr-7qa.example, {ME}"
        assert server.raw[0].isascii()
        assert "SMTPUTF8" in lab.notice().error


def test_with_smtputf8_an_address_of_any_alphabet_gets_it() -> None:
    odd = "jürgen@lab.example"
    with ScriptedSmtp({"EHLO": "250-scripted\r\n250 SMTPUTF8"}) as server:
        lab = Lab(server, a_notice(to=(odd, ME)))
        assert lab.send() == 1
        ((to, _),) = server.messages
        assert to == (odd, ME)
        assert "To: jürgen@lab.example, me@lab.example\r\n".encode() in server.raw[0]
        assert any("SMTPUTF8" in command for command in server.commands if command.startswith("mail"))


def test_the_mails_of_a_run_are_a_thread() -> None:
    with ScriptedSmtp() as server:
        at = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
        lab = Lab(server, *(a_notice(f"n{number}", created_at=at[number]) for number in range(3)))
        assert lab.send() == 3
        first, *later = (mail for _, mail in server.messages)
        assert first["References"] is None
        assert [mail["References"] for mail in later] == [first["Message-ID"]] * 2
        assert [mail["In-Reply-To"] for mail in later] == [first["Message-ID"]] * 2


def test_a_notice_that_somebody_else_has_taken_meanwhile_is_left_to_them() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server)

        def slow(store: Store, notice: Notice) -> Content:
            lab.clock.shift += timedelta(hours=1)  # writing took longer than the lease
            assert lab.store.claim_notice("other", 600.0) is not None
            return written(store, notice)

        lab.notifier._write = slow
        assert lab.send() == 0
        assert server.messages == []
        assert lab.notice().state is NoticeState.OWED


def test_what_another_has_delivered_meanwhile_is_not_sent_again() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server, a_notice(to=(ME, YOU)))

        def slow(store: Store, notice: Notice) -> Content:
            done = Delivery(to=ME, state=DeliveryState.SENT)
            store.record_deliveries(notice.id, "other", [done], retry_after_s=None)
            return written(store, notice)

        lab.notifier._write = slow
        assert lab.send() == 1
        assert [to for to, _ in server.messages] == [(YOU,)]


def test_a_delivery_that_takes_longer_than_the_lease_is_made_once() -> None:
    with ScriptedSmtp({"END": SLOW}) as server:
        lab = Lab(server, smtp_data_s=30.0)
        lab.notifier._lease_s = 1.5
        first = threading.Thread(target=lab.send)
        first.start()
        deadline = time.monotonic() + 10
        while not server.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        deadline = time.monotonic() + 4
        other = Notifier(lab.store, SmtpSender(lab.settings), lab.settings, writing=written)
        while time.monotonic() < deadline:
            assert other.send_all() == 0
            time.sleep(0.05)
        first.join(20)
        assert lab.notice().state is NoticeState.SENT
        assert len(server.messages) == 1


def test_one_message_that_cannot_be_written_holds_up_no_other() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server, a_notice("n1", run="a"), a_notice("n2", run="b"))

        def stumbling(store: Store, notice: Notice) -> Content:
            if notice.id == "n1":
                raise ZeroDivisionError("odd data")
            return written(store, notice)

        lab.notifier._write = stumbling
        assert lab.send() == 1
        assert "ZeroDivisionError" in lab.notice("n1").error
        assert lab.notice("n1").state is NoticeState.OWED


def test_leaving_is_possible_between_two_messages() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server, *(a_notice(f"n{number}", run=f"r{number}") for number in range(5)))
        lab.notifier._leaving = lambda: len(server.messages) >= 2
        assert lab.send() == 2


def test_a_server_that_takes_no_large_messages_gets_the_words() -> None:
    with ScriptedSmtp({"END": ["552 5.3.4 message too large"]}) as server:
        lab = Lab(server)

        def heavy(store: Store, notice: Notice) -> Content:
            image = Image(cid="c@labq", png=bytes(400_000), name="curve.png", command="labq plot 3f9k2m7q")
            return replace(written(store, notice), html='<img src="cid:c@labq">', images=(image,))

        lab.notifier._write = heavy
        assert lab.send() == 1
        ((_, mail),) = server.messages
        text = mail.get_body(("plain",))
        assert text is not None
        assert "curve.png (0.4 MB): labq plot 3f9k2m7q" in text.get_content()
        assert lab.notice().state is NoticeState.SENT


def test_what_no_library_was_expected_to_raise_keeps_no_other_from_being_sent() -> None:
    with ScriptedSmtp() as server:
        lab = Lab(server, a_notice("n1", run="a"), a_notice("n2", run="b"))

        class Stumbling(SmtpSender):
            def send(self, mail: EmailMessage, to: Sequence[str]) -> list[Delivery]:
                if str(mail["Subject"]).endswith("n1"):
                    raise AttributeError("'NoneType' object has no attribute 'x'")
                return super().send(mail, to)

        lab.notifier = Notifier(lab.store, Stumbling(lab.settings), lab.settings, writing=written)
        assert lab.send() == 1
        assert (lab.notice("n1").state, "AttributeError" in lab.notice("n1").error) == (NoticeState.OWED, True)
