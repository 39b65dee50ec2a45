"""Several notifiers as processes over MongoDB, killed in the middle; MongoDB away around a delivery."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from outboxes import a_notice, owe
from scripted_smtp import ScriptedSmtp

from notify.content import Content
from notify.mail import SmtpSender
from notify.notifier import Notifier
from store.errors import ServerFailed, StoreUnavailable
from store.memory import MemoryStore
from store.mongo import MongoStore, open_store
from store.notices import DeliveryState, Notice, NoticeState
from store.runs import Run, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.store import Store

LABQ = Path(sys.executable).with_name("labq")


def until(look: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not look():
        assert time.monotonic() < deadline, "never"
        time.sleep(0.02)


def environment(servers: Settings, store: MongoStore, server: ScriptedSmtp) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LABQ_")},
        "LABQ_HOME": str(servers.home), "LABQ_MONGO_DATABASE": store.database.name,
        "LABQ_SMTP_HOST": "127.0.0.1", "LABQ_SMTP_PORT": str(server.port), "LABQ_SMTP_TLS": "none",
        "LABQ_MAIL_FROM": "labq@lab.example", "LABQ_NOTIFY_POLL_S": "0.2", "LABQ_SMTP_TIMEOUT_S": "5",
    }  # fmt: skip


@contextmanager
def notifier(env: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(folder / "notifier.log", "ab") as log:
        process = subprocess.Popen([LABQ, "notify"], env=env, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def a_run(store: Store) -> None:
    run = Run(
        id="3f9k2m7qabcd", key="k", experiment="weather", params={}, task=Task(command=("true",), workdir="/"),
        queued_at=datetime.now(UTC),
    )  # fmt: skip
    store.add_runs([run])


def end_lease(store: MongoStore, killed: int) -> None:
    """As if a minute had passed since the notifier of this process was killed."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    store.database["outbox"].update_many(
        {"lease.owner": {"$regex": f"-{killed}-"}}, {"$set": {"lease.until": long_ago}}
    )


def test_two_notifiers_and_a_kill_in_the_middle_of_200_messages(
    servers: Settings, mongo_store: MongoStore, tmp_path: Path
) -> None:
    a_run(mongo_store)
    owe(mongo_store, *(a_notice(f"n{number:03}") for number in range(200)))
    with ScriptedSmtp() as server:
        env = environment(servers, mongo_store, server)
        with notifier(env, tmp_path) as first, notifier(env, tmp_path) as second:
            until(lambda: len(mongo_store.notifiers(60.0)) == 2)
            until(lambda: len(server.messages) >= 60)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            end_lease(mongo_store, first.pid)
            until(lambda: mongo_store.outbox_counts() == {NoticeState.SENT: 200})
            second.send_signal(signal.SIGTERM)
            assert second.wait(40) == 0
    times = Counter(server.ids())
    assert len(times) == 200
    assert sum(times.values()) <= 201  # what the killed one had in hand may come twice, under one Message-ID
    assert [one.pid for one in mongo_store.notifiers(600.0)] == [first.pid]  # the other one has said good-bye


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_notifier_killed_around_data_leaves_the_message_to_the_next(
    servers: Settings, mongo_store: MongoStore, tmp_path: Path, moment: str
) -> None:
    a_run(mongo_store)
    owe(mongo_store, a_notice())
    step = "DATA" if moment == "before" else "END"
    with ScriptedSmtp({step: ["<hang>"]}) as server:
        env = environment(servers, mongo_store, server)
        with notifier(env, tmp_path) as first:
            until(lambda: "data" in server.commands and (moment == "before" or bool(server.messages)))
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        assert mongo_store.notice("3f9k2m7qabcd-1-failed").state is NoticeState.OWED
        end_lease(mongo_store, first.pid)
        with notifier(env, tmp_path):
            until(lambda: mongo_store.notice("3f9k2m7qabcd-1-failed").state is NoticeState.SENT)
    assert len(server.messages) == (1 if moment == "before" else 2)
    assert len(set(server.ids())) == 1


ASKS = ("claim_notice", "record_deliveries", "renew_notice", "sending", "sends_no_more", "thread_root")


class Away(MemoryStore):
    """A store whose server can be away, as a whole."""

    is_away = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in ASKS and super().__getattribute__("is_away"):
            raise StoreUnavailable("MongoDB does not answer")
        return found


def written(store: Store, notice: Notice) -> Content:
    return Content(subject="s", text="t\n")


def test_what_was_delivered_while_mongodb_went_away_is_remembered_and_recorded() -> None:
    store = Away()
    owe(store, a_notice())
    with ScriptedSmtp() as server:
        chosen = Settings(smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", mail_from="labq@lab.example",
                          mongo_timeout_s=0.1, notify_poll_s=0.1)  # fmt: skip

        class Sender(SmtpSender):
            def send(self, *arguments: Any) -> Any:
                done = super().send(*arguments)
                store.is_away = True  # between the server's word and the record of it
                return done

        notifier = Notifier(store, Sender(chosen), chosen, writing=written)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                notifier.send_all()
        store.is_away = False
        assert store.notices()[0].state is NoticeState.OWED
        notifier.send_all()
        (notice,) = store.notices()
        assert notice.state is NoticeState.SENT
        assert notice.deliveries[0].state is DeliveryState.SENT
        assert len(server.messages) == 1


def test_after_an_outage_others_may_record_before_anybody_claims() -> None:
    store = Away()
    owe(store, a_notice())
    with ScriptedSmtp() as server:
        chosen = Settings(smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", mail_from="labq@lab.example",
                          mongo_timeout_s=0.3, notify_poll_s=0.1)  # fmt: skip
        notifier = Notifier(store, SmtpSender(chosen), chosen, writing=written)
        store.is_away = True
        with pytest.raises(StoreUnavailable):
            notifier.send_all()
        store.is_away = False
        began = time.monotonic()
        assert notifier.send_all() == 0
        until(lambda: notifier.send_all() == 1)
        assert time.monotonic() - began >= 0.45


def test_a_notifier_that_leaves_waits_for_mongodb_to_record_what_it_has_delivered() -> None:
    store = Away()
    owe(store, a_notice())
    with ScriptedSmtp() as server:
        chosen = Settings(smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", mail_from="labq@lab.example")

        class Sender(SmtpSender):
            def send(self, *arguments: Any) -> Any:
                done = super().send(*arguments)
                store.is_away = True
                return done

        notifier = Notifier(store, Sender(chosen), chosen, writing=written)
        with pytest.raises(StoreUnavailable):
            notifier.send_all()
        notifier.leave(patience_s=0.3)
        assert store.notices()[0].state is NoticeState.OWED
        store.is_away = False
        notifier.leave(patience_s=5.0)
        assert store.notices()[0].state is NoticeState.SENT


def test_mongodb_stopped_for_real_between_data_and_the_record(tmp_path: Path) -> None:
    """A mongod of its own, frozen while the message is delivered and thawed later."""
    home = Path(tempfile.mkdtemp(prefix="labq-away-"))
    own = Settings(home=home)
    try:
        lifecycle.up(own)
    except ServerFailed as error:
        shutil.rmtree(home, ignore_errors=True)
        pytest.skip(str(error))
    mongod = int((places(home).mongo_data / "mongod.lock").read_text())
    try:
        store = open_store(places(home).mongo_url, "labq", 1.0)
        owe(store, a_notice())
        with ScriptedSmtp() as server:
            chosen = Settings(smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", mail_from="labq@lab.example",
                              mongo_timeout_s=1.0, notify_poll_s=0.1)  # fmt: skip

            class Sender(SmtpSender):
                def send(self, *arguments: Any) -> Any:
                    done = super().send(*arguments)
                    os.kill(mongod, signal.SIGSTOP)
                    return done

            notifier = Notifier(store, Sender(chosen), chosen, writing=written)
            with pytest.raises(StoreUnavailable):
                notifier.send_all()
            with pytest.raises(StoreUnavailable):
                notifier.send_all()
            os.kill(mongod, signal.SIGCONT)

            def recorded() -> bool:
                try:
                    notifier.send_all()
                    return store.notice("3f9k2m7qabcd-1-failed").state is NoticeState.SENT
                except StoreUnavailable:
                    return False

            until(recorded)
            assert len(server.messages) == 1
        store.close()
    finally:
        os.kill(mongod, signal.SIGCONT)
        lifecycle.down(own)
        shutil.rmtree(home)
