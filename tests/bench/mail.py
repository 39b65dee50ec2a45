"""How long a hundred messages take over one shared connection and over one each; STARTTLS and login, on this machine.

.venv/bin/python tests/bench/mail.py [DELAY_MS]     one JSON object; DELAY_MS: added to each answer of the server
"""

import json
import logging
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from outboxes import a_notice
from scripted_smtp import ScriptedSmtp
from smtp_server import MailServer

import notify.mail
from notify.content import Content, Image
from notify.envelope import envelope
from store.settings import Settings

COUNT = 100
CONTENT = Content(
    subject="s", text="t\n" * 50, html="<p>t</p>", images=(Image(cid="c@labq", png=bytes(range(256)) * 160),)
)


def sent_in_s(settings: Settings, per_connection: int) -> float:
    notify.mail.MOST_MESSAGES = per_connection
    sender = notify.mail.SmtpSender(settings)
    mails = [envelope(a_notice(f"n{i}"), CONTENT, "labq@lab.example", datetime.now(UTC)) for i in range(COUNT)]
    began = time.perf_counter()
    for mail in mails:
        sender.send(mail, ["me@lab.example"])
    sender.close()
    return time.perf_counter() - began


def encrypted() -> dict[str, float]:
    login = ("me@lab.example", "s3cret")
    with (
        tempfile.TemporaryDirectory() as folder,
        MailServer(Path(folder), login=login, tls="starttls") as server,
    ):
        settings = Settings(
            smtp_host="localhost", smtp_port=server.port, smtp_user=login[0], smtp_password=login[1],
            smtp_ca_file=str(server.certificate),
        )  # fmt: skip
        return {name: round(sent_in_s(settings, most), 2) for name, most in (("shared", 50), ("one_each", 1))}


def far_away(delay_s: float) -> dict[str, float]:
    """Without encryption, but with the way to the server and back at each answer."""

    class Far(ScriptedSmtp):
        def _say(self, connection: object, said: str) -> None:
            time.sleep(delay_s)
            super()._say(connection, said)  # type: ignore[arg-type]

    with Far() as server:
        settings = Settings(smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="none")
        return {name: round(sent_in_s(settings, most), 2) for name, most in (("shared", 50), ("one_each", 1))}


if __name__ == "__main__":
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    delay_ms = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    told = {
        "messages": COUNT,
        "starttls_login_s": encrypted(),
        f"answers_{delay_ms:g}_ms_late_s": far_away(delay_ms / 1000),
    }
    print(json.dumps(told))
