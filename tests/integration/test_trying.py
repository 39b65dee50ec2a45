"""`labq notify --test`: one message of each kind, through whatever way is set up."""

import email
import email.policy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from smtp_server import MailServer

from queueing.cli.main import main
from store.occasions import Occasion

ME = "me@lab.example"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABQ_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer(tmp_path) as started:
        monkeypatch.setenv("LABQ_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("LABQ_SMTP_PORT", str(started.port))
        monkeypatch.setenv("LABQ_SMTP_TLS", "none")
        yield started


def test_without_a_server_one_file_of_each_kind_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "--test", ME, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["messages"]
    assert {one["about"] for one in told} == {one.value for one in Occasion}
    assert {(one["to"], one["state"]) for one in told} == {(ME, "sent")}
    files = list((tmp_path / "home" / "mail").glob("*.eml"))
    mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert len(mails) == len(Occasion)
    assert all(mail["Subject"].strip().startswith("[labq] ") and mail["To"] == ME for mail in mails)


def test_a_server_gets_one_of_each_kind_with_ids_of_their_own_each_time(server: MailServer) -> None:
    assert main(["notify", "--test", ME]) == 0
    assert main(["notify", "--test", ME]) == 0
    assert len({str(message["Message-ID"]) for message in server.messages}) == 2 * len(Occasion)


def test_a_refusal_is_told_after_the_first_message(server: MailServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.mode = "reject"
    assert main(["notify", "--test", ME]) == 1
    assert "refused: " in capsys.readouterr().out
    assert server.messages == []


def test_what_is_no_address_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "--test", "me"]) == 2
    assert "neither an e-mail address" in capsys.readouterr().err
