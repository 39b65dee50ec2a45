"""`labq outbox` as people use it, against a real MongoDB."""

import json
from datetime import timedelta
from typing import Any

import pytest
from outboxes import a_notice, owe

from queueing.cli.main import main
from store.deliveries import Sending
from store.mongo import MongoStore
from store.notices import Delivery, DeliveryState, Notice, NoticeState
from store.occasions import Occasion
from store.settings import Settings

ME, YOU = "me@lab.example", "you@lab.example"


def told(to: str, state: DeliveryState, said: str) -> Delivery:
    return Delivery(to=to, state=state, said=said)


@pytest.fixture
def store(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    monkeypatch.setenv("COLUMNS", "200")
    now = mongo_store.now()

    def aged(name: str, hours: int, **changes: Any) -> Notice:
        return a_notice(name, created_at=now - timedelta(hours=hours), **changes)

    owe(
        mongo_store, aged("owed-1", 1), aged("put-off-1", 3), aged("refused-1", 50, to=(ME, YOU)), aged("refused-2", 51),
        aged("sent-1", 60), aged("about-exp", 2, run="", about=Occasion.SWEEP_FINISHED),
    )  # fmt: skip
    mongo_store.record_deliveries(
        "put-off-1", "n", [told(ME, DeliveryState.DEFERRED, "451 [greylisted]")], retry_after_s=600
    )
    mongo_store.record_deliveries(
        "refused-1", "n", [told(ME, DeliveryState.SENT, "250"), told(YOU, DeliveryState.REFUSED, "550 no such user")], retry_after_s=None
    )  # fmt: skip
    mongo_store.record_deliveries("refused-2", "n", [told(ME, DeliveryState.REFUSED, "552 full")], retry_after_s=None)
    mongo_store.record_deliveries("sent-1", "n", [told(ME, DeliveryState.SENT, "250 OK")], retry_after_s=None)
    return mongo_store


def outbox(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["outbox", *arguments]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [one["id"] for one in json.loads(outbox(capsys, "--json", *arguments))["messages"]]


def test_what_is_not_sent_is_listed_with_the_servers_own_words(
    store: MongoStore, capsys: pytest.CaptureFixture[str]
) -> None:
    text = outbox(capsys)
    for there in ("3 owed, 1 sent, 2 refused", "Nobody sends: start labq notify", "451 [greylisted]", "552 full", "in 10 min",
                  f"{YOU}: refused, 550 no such user", "1 of 2 have it", "failed weather 3f9k2m7q", "sweep-finished weather",
                  "2 d"):  # fmt: skip
        assert there in text
    assert "sent-1" not in text
    row = next(line for line in text.splitlines() if "put-off-1" in line)
    assert "deferred" in row


@pytest.mark.parametrize(
    ("state", "ids"),
    [
        (None, ["owed-1", "about-exp", "put-off-1", "refused-1", "refused-2"]),
        ("owed", ["owed-1", "about-exp"]),
        ("deferred", ["put-off-1"]),
        ("refused,sent", ["refused-1", "refused-2", "sent-1"]),
        ("all", ["owed-1", "about-exp", "put-off-1", "refused-1", "refused-2", "sent-1"]),
    ],
)
def test_by_state(store: MongoStore, capsys: pytest.CaptureFixture[str], state: str | None, ids: list[str]) -> None:
    arguments = [] if state is None else ["--state", state]
    assert listed(capsys, *arguments) == ids
    assert listed(capsys, *arguments, "--limit", "1") == ids[:1]


def test_json_holds_everything(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.sending(Sending(name="h-1", host="h", pid=7, trouble="smtp.lab: 535 wrong password"))
    read = json.loads(outbox(capsys, "--json", "--state", "deferred"))
    assert read["counts"] == {"owed": 3, "refused": 2, "sent": 1}
    assert read["notifiers"][0]["trouble"] == "smtp.lab: 535 wrong password"
    (message,) = read["messages"]
    assert message["waiting"] == [ME]
    assert message["deliveries"][0]["said"] == "451 [greylisted]"
    assert message["next_try_at"] is not None


def test_who_sends_and_what_keeps_them_from_it(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.sending(Sending(name="h-1", host="h", pid=7, trouble="smtp.lab: 535 wrong password"))
    text = outbox(capsys)
    assert "labq notify runs on h, process 7, seen 0 s ago" in text
    assert "it cannot send: smtp.lab: 535 wrong password" in text
    assert "Nobody sends" not in text


def test_trying_again_by_a_unique_prefix(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "1 message to be sent again" in outbox(capsys, "retry", "put")
    assert store.notice("put-off-1").not_before is None
    assert "fits several messages: refused-1, refused-2" in outbox(capsys, "retry", "refused", code=2)
    assert "no message has an id" in outbox(capsys, "retry", "owed-1", "nobody", code=2)
    assert "sent-1: everybody has got it" in outbox(capsys, "retry", "sent-1", code=2)


def test_all_that_was_refused_at_once(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(outbox(capsys, "retry", "--refused", "--json")) == {"changed": ["refused-1", "refused-2"]}
    assert store.outbox_counts()[NoticeState.OWED] == 5
    assert "0 messages" in outbox(capsys, "retry", "--refused")


def test_dropping(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "1 message dropped" in outbox(capsys, "drop", "owed-1")
    assert store.claim_notice("n", 60.0) is not None  # about-exp, not the dropped one
    assert store.notice("owed-1").state is NoticeState.DROPPED
    assert "owed-1 is dropped: there is nothing to drop" in outbox(capsys, "drop", "owed-1", code=2)
    assert "1 message to be sent again" in outbox(capsys, "retry", "owed-1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retry"], "say which"),
        (["drop", "x", "--refused"], "say which"),
        (["list", "x"], "labq outbox retry ID"),
        (["--state", "lost"], "allowed: all, gathering, owed"),
        (["--state", ","], "allowed: all"),
        (["retry", "owed-1", "--state", "sent"], "is for listing"),
    ],
)
def test_mistakes_are_told(
    store: MongoStore, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in outbox(capsys, *arguments, code=2)


def test_an_empty_outbox(
    mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    assert outbox(capsys) == "The outbox is empty.\n"
