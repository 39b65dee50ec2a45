"""Encryption, login, where the password comes from, and what happens without."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outboxes import a_notice, owe
from scripted_smtp import ScriptedSmtp
from smtp_server import MailServer

from notify.content import Content
from notify.files import FileSender
from notify.notifier import Notifier, make_sender
from notify.password import password
from store.errors import MailAway
from store.memory import MemoryStore
from store.notices import Notice, NoticeState
from store.settings import Settings
from store.store import Store

USER, SECRET = "labq@lab.example", "s3cret"


def written(store: Store, notice: Notice) -> Content:
    return Content(subject="s", text="t\n")


def send(chosen: Settings, count: int = 1) -> tuple[int, Notice]:
    store = MemoryStore()
    owe(store, *(a_notice(f"n{number}", run=f"r{number}") for number in range(count)))
    sent = Notifier(store, make_sender(chosen), chosen, writing=written).send_all()
    return sent, store.notice("n0")


def settings(server: Any, **changes: Any) -> Settings:
    defaults: dict[str, Any] = {
        "smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_tls": "starttls", "smtp_timeout_s": 3.0, "smtp_data_s": 3.0,
        "mail_from": USER, "smtp_user": USER, "smtp_password": SECRET,
    }  # fmt: skip
    if hasattr(server, "certificate"):
        defaults["smtp_ca_file"] = str(server.certificate)
    return Settings(**(defaults | changes))


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_login_by_either_mechanism_over_either_encryption(tmp_path: Path, tls: str, mechanism: str) -> None:
    with MailServer(tmp_path, login=(USER, SECRET), tls=tls, mechanism=mechanism) as server:
        sent, notice = send(settings(server, smtp_tls=tls), count=5)
        assert (sent, notice.state) == (5, NoticeState.SENT)
        assert len(server.messages) == 5


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path, tls: str) -> None:
    with MailServer(tmp_path, tls=tls, names=("mail.elsewhere.example",)) as server:
        sent, notice = send(settings(server, smtp_tls=tls, smtp_user=""))
        assert sent == 0
        assert "certificate" in notice.error.lower()
        assert notice.state is NoticeState.OWED
        assert server.messages == []


def test_a_server_without_encryption_gets_neither_password_nor_message() -> None:
    with ScriptedSmtp() as server:
        sent, notice = send(settings(server))
        assert sent == 0
        assert "STARTTLS" in notice.error
        assert not [one for one in server.commands if one.upper().startswith(("AUTH", "MAIL"))]


def test_encryption_that_never_begins_is_given_up_in_time() -> None:
    for mood in ("<hang>", "<close>", "<garbage>", "454 not now"):
        with ScriptedSmtp({"EHLO": "250-scripted\r\n250 STARTTLS", "STARTTLS": mood}) as server:
            sent, notice = send(settings(server, smtp_timeout_s=0.4))
            assert sent == 0
            assert notice.state is NoticeState.OWED
            assert not [one for one in server.commands if one.upper().startswith(("AUTH", "MAIL"))]


def test_a_handshake_that_never_ends_is_given_up_in_time() -> None:
    with ScriptedSmtp({"connect": "<hang>"}) as server:
        sent, notice = send(settings(server, smtp_tls="tls", smtp_timeout_s=0.4))
        assert (sent, notice.state) == (0, NoticeState.OWED)


def test_a_login_that_hangs_or_is_put_off_is_given_up_in_time() -> None:
    for mood in ("<hang>", "<dribble>", "454 4.7.0 temporary authentication failure", "535 5.7.8 wrong password"):
        with ScriptedSmtp({"EHLO": "250-scripted\r\n250 AUTH PLAIN", "AUTH": mood}) as server:
            sent, notice = send(settings(server, smtp_tls="none", smtp_timeout_s=0.4, smtp_data_s=0.4))
            assert (sent, notice.state) == (0, NoticeState.OWED)
            assert mood[4:] in notice.error or mood[0] == "<"
            assert SECRET not in notice.error


def test_a_password_of_another_alphabet_is_told_and_not_shown() -> None:
    with ScriptedSmtp({"EHLO": "250-scripted\r\n250 AUTH PLAIN"}) as server:
        _, notice = send(settings(server, smtp_tls="none", smtp_password="pässwörd"))
        assert "ASCII" in notice.error
        assert "ä" not in notice.error


def test_an_unknown_host_keeps_the_mail() -> None:
    with ScriptedSmtp() as server:
        sent, notice = send(settings(server, smtp_host="mail.nobody.invalid", smtp_tls="none", smtp_timeout_s=1.0))
        assert (sent, notice.state) == (0, NoticeState.OWED)
        assert "mail.nobody.invalid" in notice.error


def test_a_name_server_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hanging(*_: Any, **__: Any) -> Any:
        released.wait(30)
        raise OSError("released")

    with ScriptedSmtp() as server:
        chosen = settings(server, smtp_tls="none", smtp_timeout_s=0.2, smtp_data_s=0.3)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", hanging)
            began = time.monotonic()
            sent, notice = send(chosen)
            assert time.monotonic() - began < chosen.delivery_most_s + 1.0
            released.set()
    assert sent == 0
    assert f"127.0.0.1:{chosen.smtp_port}: longer than 1.5 s" in notice.error


# ── where the password comes from ──


@pytest.fixture
def keyring_of_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Kept(KeyringBackend):  # type: ignore[misc]
        priority = 1
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012
        trouble: Exception | None = None

        def get_password(self, service: str, username: str) -> str | None:
            if self.trouble is not None:
                raise self.trouble
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.kept[service, username]

    before = keyring.get_keyring()
    backend = Kept()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def test_a_password_out_of_the_keyring(keyring_of_the_test: Any, tmp_path: Path) -> None:
    keyring_of_the_test.set_password("labq", USER, SECRET)
    with MailServer(tmp_path, login=(USER, SECRET), tls="starttls") as server:
        sent, _ = send(settings(server, smtp_password=""))
        assert sent == 1


def test_a_keyring_that_is_locked_or_knows_nothing_keeps_the_mail_and_never_asks(keyring_of_the_test: Any) -> None:
    from keyring.errors import KeyringLocked

    with pytest.raises(MailAway, match=r"keyring set labq labq@lab.example"):
        password(Settings(smtp_user=USER))
    keyring_of_the_test.trouble = KeyringLocked("locked")
    with pytest.raises(MailAway, match="LABQ_SMTP_PASSWORD"):
        password(Settings(smtp_user=USER))


def test_without_any_password_nobody_is_asked_on_a_terminal(tmp_path: Path) -> None:
    code = (
        "from notify.mail import SmtpSender\nfrom notify.envelope import envelope\nfrom datetime import datetime, UTC\n"
        "from notify.content import Content\nfrom store.notices import Notice\nfrom store.occasions import Occasion\n"
        "from store.settings import Settings\n"
        "n = Notice(id='a', about=Occasion.FAILED, to=('a@b',))\n"
        "m = envelope(n, Content(subject='s', text='t'), 'a@b', datetime.now(UTC))\n"
        "SmtpSender(Settings(smtp_host='127.0.0.1', smtp_port=1, smtp_user='a@b')).send(m, ['a@b'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"", capture_output=True, timeout=60, env={"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "PATH": "/usr/bin"}, check=False
    )  # fmt: skip
    assert b"no password for smtp_user a@b" in done.stderr
    assert b"Password" not in done.stdout


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("\n", "empty"), (None, "cannot be read")])
def test_a_password_file_that_has_none(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "password"
    if text is not None:
        file.write_text(text)
    with pytest.raises(MailAway, match=words):
        password(Settings(smtp_user=USER, smtp_password_file=str(file)))


def test_a_certificate_authority_that_is_not_there_is_named() -> None:
    with ScriptedSmtp() as server:
        _, notice = send(settings(server, smtp_ca_file="/nowhere/ca.pem"))
        assert "smtp_ca_file /nowhere/ca.pem" in notice.error


# ── files ──


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "labq-test", folder], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("only root may mount a small file system (Linux)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_full_disk_keeps_the_mail_and_leaves_no_half_of_it(tiny_disk: Path) -> None:
    (tiny_disk / "filler").write_bytes(bytes(4096))
    store = MemoryStore()
    owe(store, a_notice())
    chosen = Settings(mail_dir=str(tiny_disk))

    def long(store: Store, notice: Notice) -> Content:
        return Content(subject="s", text="t" * 50_000)

    notifier = Notifier(store, FileSender(tiny_disk), chosen, writing=long)
    assert notifier.send_all() == 0
    (notice,) = store.notices()
    assert (notice.state, "No space left" in notice.error) == (NoticeState.OWED, True)
    assert [file.name for file in tiny_disk.iterdir()] == ["filler"]


def test_a_read_only_disk_keeps_the_mail(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    store = MemoryStore()
    owe(store, a_notice())
    notifier = Notifier(store, FileSender(tiny_disk), Settings(mail_dir=str(tiny_disk)), writing=written)
    assert notifier.send_all() == 0
    assert "Read-only file system" in store.notices()[0].error
