"""Chat targets through Apprise to a real HTTP server: taking, refusing, slow, away."""

import base64
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from outboxes import a_notice, owe
from scripted_smtp import ScriptedSmtp

from notify.chat import ChatSender
from notify.content import Content, Image
from notify.mail import SmtpSender
from notify.notifier import Notifier
from store.errors import ChatAway
from store.memory import MemoryStore
from store.notices import DeliveryState, Notice, NoticeState
from store.occasions import Occasion
from store.settings import Settings
from store.store import Store

pytest.importorskip("apprise")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
CONTENT = Content(
    subject="[labq] weather 3f9k2m7q failed",
    text="[labq] weather 3f9k2m7q failed\n\nCause  ValueError: <bad> & odd\n" + "line\n" * 100,
    html="<p>x</p>",
    images=(Image(cid="curve@labq", png=PNG, name="curve.png"),),
)
TOKEN = "s3cr3tT0k3nOfTheLab"


class Hook:
    """A webhook. `status`: what it answers; `delay_s`; `requests`: paths, headers and bodies."""

    def __init__(self) -> None:
        self.status, self.delay_s, self.said = 200, 0.0, b"{}"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                time.sleep(hook.delay_s)
                hook.requests.append((self.path, dict(self.headers), body))
                status = hook.status
                if callable(status):
                    status = status(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(hook.said)))
                self.end_headers()
                self.wfile.write(hook.said)

            do_PUT = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> "Hook":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/{TOKEN}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as started:
        yield started


def settings(url: str, **changes: Any) -> Settings:
    return Settings(notify_targets={"hook:lab": url}, chat_timeout_s=2.0, **changes)


def test_the_same_content_arrives_shortened_with_its_picture(hook: Hook) -> None:
    done = ChatSender(settings(hook.url())).send(CONTENT, Occasion.FAILED, "hook:lab")
    assert done.state is DeliveryState.SENT
    ((path, _, body),) = hook.requests
    told = json.loads(body)
    assert path == f"/{TOKEN}"
    assert told["title"] == "[labq] weather 3f9k2m7q failed"
    assert told["type"] == "failure"
    assert told["message"].startswith("Cause  ValueError: <bad> & odd\nline")
    assert told["message"].endswith("…")
    assert len(told["message"]) < 300
    (picture,) = told["attachments"]
    assert picture["filename"] == "curve.png"
    assert base64.b64decode(picture["base64"]) == PNG


def test_ntfy_gets_it_too(hook: Hook) -> None:
    url = f"ntfy://127.0.0.1:{hook.port}/lab-topic"
    assert ChatSender(settings(url)).send(CONTENT, Occasion.FINISHED, "hook:lab").state is DeliveryState.SENT
    assert any(b"ValueError" in body or "lab-topic" in path for path, _, body in hook.requests)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_a_service_refuses_is_refused_without_a_token_in_the_words(hook: Hook, status: int) -> None:
    hook.status = status
    done = ChatSender(settings(hook.url())).send(CONTENT, Occasion.FAILED, "hook:lab")
    assert done.state is DeliveryState.REFUSED
    assert f"error={status}" in done.said
    assert TOKEN not in done.said


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_later(hook: Hook, status: int) -> None:
    hook.status = status
    with pytest.raises(ChatAway, match=f"error={status}"):
        ChatSender(settings(hook.url())).send(CONTENT, Occasion.FAILED, "hook:lab")


def test_a_picture_that_is_too_large_is_left_out(hook: Hook) -> None:
    hook.status = lambda body: 413 if b"base64" in body else 200  # type: ignore[assignment]
    done = ChatSender(settings(hook.url())).send(CONTENT, Occasion.FAILED, "hook:lab")
    assert done.state is DeliveryState.SENT
    assert json.loads(hook.requests[-1][2])["attachments"] == []


def test_a_service_that_is_away_or_slow_is_given_up_in_time(hook: Hook) -> None:
    with Hook() as gone:
        pass
    started = time.monotonic()
    with pytest.raises(ChatAway, match="lab: "):
        ChatSender(settings(gone.url())).send(CONTENT, Occasion.FAILED, "hook:lab")
    hook.delay_s = 30.0
    with pytest.raises(ChatAway):
        ChatSender(Settings(notify_targets={"hook:lab": hook.url()}, chat_timeout_s=0.5)).send(
            CONTENT, Occasion.FAILED, "hook:lab"
        )
    assert time.monotonic() - started < 15


def test_tokens_may_lie_in_a_file_or_a_variable(hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text(hook.url() + "\n")
    monkeypatch.setenv("LAB_CHAT_URL", hook.url())
    for named in (f"file:{tmp_path}/url", "env:LAB_CHAT_URL"):
        assert ChatSender(settings(named)).send(CONTENT, Occasion.FAILED, "hook:lab").state is DeliveryState.SENT
    assert len(hook.requests) == 2


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("file:/nowhere/url", "/nowhere/url cannot be read"),
        ("env:NOBODY_SET_THIS", "NOBODY_SET_THIS is not set"),
        ("nosuchservice://x", "no URL that Apprise understands"),
    ],
)
def test_a_target_that_leads_nowhere_keeps_the_message(named: str, words: str) -> None:
    with pytest.raises(ChatAway, match=words):
        ChatSender(settings(named)).send(CONTENT, Occasion.FAILED, "hook:lab")
    with pytest.raises(ChatAway, match="there are: hook:lab"):
        ChatSender(settings(named)).send(CONTENT, Occasion.FAILED, "slack:lab")


def test_without_the_library_one_clear_line(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChatAway, match=r"pip install 'labq\[chat\]'"):
        ChatSender(settings(hook.url())).send(CONTENT, Occasion.FAILED, "hook:lab")


def written(store: Store, notice: Notice) -> Content:
    return CONTENT


def test_mail_and_chat_of_one_notice_are_delivered_each_by_itself(hook: Hook) -> None:
    hook.status = 503
    store = MemoryStore()
    owe(store, a_notice(to=("me@lab.example", "hook:lab")), a_notice("other", run="r", to=("hook:lab",)))
    with ScriptedSmtp() as server:
        chosen = settings(
            hook.url(), smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none", mail_from="labq@lab.example"
        )
        notifier = Notifier(store, SmtpSender(chosen), chosen, writing=written)
        assert notifier.send_all() == 1
        assert len(hook.requests) == 1  # the other one does not ask a service that was away a moment ago
        first = store.notice("3f9k2m7qabcd-1-failed")
        assert {one.to: one.state for one in first.deliveries} == {
            "me@lab.example": DeliveryState.SENT, "hook:lab": DeliveryState.DEFERRED
        }  # fmt: skip
        assert first.state is NoticeState.OWED
        hook.status = 200
        for rest in notifier._ways._rests.values():
            rest.until = 0.0
        for notice in store.notices():
            store.retry_notice(notice.id)
        assert notifier.send_all() == 2
        assert len(server.messages) == 1
        assert all(notice.state is NoticeState.SENT for notice in store.notices())
