"""Owed mails through a real SMTP server, in all its moods."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from outboxes import a_notice, owe
from smtp_server import MailServer

from notify.files import FileSender
from notify.mail import SmtpSender
from notify.notifier import Notifier, make_sender
from notify.password import password
from store.errors import MailAway
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.notices import NoticeState
from store.runs import Ending, Run, Task
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker


@pytest.fixture
def store() -> MemoryStore:
    """A store in which one finished run owes a mail."""
    store = MemoryStore()
    run = Run(
        id="3f9k2m7qabcd", key="k", experiment="weather", params={"lr": 0.1}, task=Task(command=("true",), workdir="/"),
        queued_at=datetime.now(UTC),
    )  # fmt: skip
    store.add_runs([run])
    store.claim(Worker(name="w", host="h", pid=1, memory_bytes=1), 60)
    store.begin(run.id, 1, None, {"host": "h"})
    points = tuple(Point(name="loss", step=i, time=0.0, value=1 / (i + 1), line=i, index=i) for i in range(9))
    shipment = Shipment(
        events_from=0, events_to=9, lines_to=9, segments=segments(points), output_from=0, output=b"last words\n"
    )
    store.ship(run.id, 1, shipment, summarize({}, segments(points)))
    store.settle(run.id, 1, Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(exit_code=1)))
    owe(store, a_notice(to=("me@lab.example", "you@lab.example")))
    return store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path) as started:
        yield started


def settings(server: MailServer, **changes: Any) -> Settings:
    defaults: dict[str, Any] = {"smtp_tls": "none", "smtp_timeout_s": 2.0, "mail_from": "labq@lab.example"}
    return Settings(smtp_host="127.0.0.1", smtp_port=server.port, **(defaults | changes))


def send(store: MemoryStore, chosen: Settings) -> int:
    return Notifier(store, make_sender(chosen), chosen).send_all()


def test_a_mail_with_curve_arrives_at_everybody(store: MemoryStore, server: MailServer) -> None:
    assert send(store, settings(server)) == 1
    (mail,) = server.messages
    assert mail["To"] == "me@lab.example, you@lab.example"
    assert mail["From"] == "labq@lab.example"
    assert mail["Subject"].startswith("[labq] weather 3f9k2m7q failed: exit code 1 after ")
    assert mail["Subject"].endswith(" (not retried)")
    assert mail["Message-ID"].startswith("<3f9k2m7qabcd-1-failed.")
    types = [part.get_content_type() for part in mail.walk()]
    assert types == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert "last words" in next(mail.walk()).get_payload(0).get_content()  # type: ignore[union-attr]
    assert store.notices()[0].state is NoticeState.SENT
    assert send(store, settings(server)) == 0
    assert len(server.messages) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_encrypted_with_login(store: MemoryStore, tmp_path: Path, tls: str) -> None:
    with MailServer(tmp_path, login=("labq@lab.example", "s3cret"), tls=tls) as server:
        secret = tmp_path / "password"
        secret.write_text("s3cret\n")
        chosen = settings(
            server, smtp_tls=tls, smtp_user="labq@lab.example", smtp_password_file=str(secret),
            smtp_ca_file=str(server.certificate),
        )  # fmt: skip
        assert send(store, chosen) == 1
        assert len(server.messages) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_of_nobody_is_not_trusted(store: MemoryStore, tmp_path: Path, tls: str) -> None:
    with MailServer(tmp_path, tls=tls) as server:
        assert send(store, settings(server, smtp_tls=tls)) == 0
        assert server.messages == []
        assert "certificate" in store.notices()[0].error.lower()
        assert store.notices()[0].state is NoticeState.OWED


def test_a_wrong_password_keeps_the_mail(store: MemoryStore, tmp_path: Path) -> None:
    with MailServer(tmp_path, login=("labq@lab.example", "s3cret"), tls="starttls") as server:
        chosen = settings(
            server, smtp_tls="starttls", smtp_user="labq@lab.example", smtp_password="wrong",
            smtp_ca_file=str(server.certificate),
        )  # fmt: skip
        assert send(store, chosen) == 0
        (notice,) = store.notices()
        assert (notice.state, notice.tries) == (NoticeState.OWED, 1)
        assert "535" in notice.error


def test_a_refused_mail_is_kept_with_its_cause(store: MemoryStore, server: MailServer) -> None:
    server.mode = "reject"
    assert send(store, settings(server)) == 0
    (notice,) = store.notices()
    assert notice.state is NoticeState.REFUSED
    assert "550 no such user" in notice.error


@pytest.mark.parametrize("mode", ["defer", "hang"])
@pytest.mark.prompt
def test_a_mail_that_cannot_go_now_goes_later(store: MemoryStore, server: MailServer, mode: str) -> None:
    server.mode = mode
    started = time.monotonic()
    assert send(store, settings(server, smtp_timeout_s=1.0, smtp_data_s=1.0)) == 0
    assert time.monotonic() - started < 10
    (notice,) = store.notices()
    assert notice.state is NoticeState.OWED
    assert notice.not_before is not None
    server.mode = "ok"
    later = MemoryStore(clock=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    later.__dict__.update({**store.__dict__, "now": later.now})
    assert send(later, settings(server)) == 1


def test_a_server_that_dies_after_data_gets_the_same_message_id_again(store: MemoryStore, server: MailServer) -> None:
    server.mode = "drop"
    send(store, settings(server))
    server.mode = "ok"
    later = MemoryStore(clock=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    later.__dict__.update({**store.__dict__, "now": later.now})
    send(later, settings(server))
    assert len(server.messages) == 2
    assert len({mail["Message-ID"] for mail in server.messages}) == 1


def test_no_server_at_all_keeps_the_mail(store: MemoryStore, tmp_path: Path) -> None:
    with MailServer(tmp_path) as server:
        pass
    assert send(store, settings(server)) == 0
    assert store.notices()[0].state is NoticeState.OWED


def test_without_a_server_mails_become_files_which_is_said_once(
    store: MemoryStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = Settings(home=tmp_path, mail_dir=str(tmp_path / "mail"))
    with caplog.at_level("INFO", logger="labq"):
        logging.getLogger("labq").propagate = True
        sender = make_sender(chosen)
        assert Notifier(store, sender, chosen).send_all() == 1
    assert isinstance(sender, FileSender)
    (file,) = (tmp_path / "mail").iterdir()
    assert file.match("3f9k2m7qabcd-1-failed.*.eml")
    assert sum("no-smtp-host" in record.message for record in caplog.records) == 1


def test_a_folder_that_cannot_be_written_keeps_the_mail(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = Settings(home=tmp_path, mail_dir=str(tmp_path / "file" / "mail"))
    assert send(store, chosen) == 0
    assert "cannot be written" in store.notices()[0].error


def test_a_missing_password_is_no_prompt_but_a_word(store: MemoryStore, server: MailServer) -> None:
    with pytest.raises(MailAway, match="LABQ_SMTP_PASSWORD"):
        password(settings(server, smtp_user="nobody@lab.example"))
    assert send(store, settings(server, smtp_user="nobody@lab.example")) == 0
    assert isinstance(make_sender(settings(server)), SmtpSender)
