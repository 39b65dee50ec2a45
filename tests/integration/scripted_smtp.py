"""An SMTP server whose answer to each step is written down: refusals, silence, one byte at a time, nonsense, a hang-up.

Steps: connect, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, END (after the message), RSET, QUIT; `RCPT you@lab.example` is
one recipient. A list is used up, one answer each time; then, and without a word about a step, the server is friendly.
"""

import email
import email.policy
import re
import socket
import threading
import time
from email.message import EmailMessage
from typing import Any

HANG, DRIBBLE, CLOSE, GARBAGE, SLOW = "<hang>", "<dribble>", "<close>", "<garbage>", "<slow>"
"""SLOW: five seconds, then friendly."""
_FRIENDLY = {
    "connect": "220 scripted", "EHLO": "250-scripted\r\n250-SIZE 20000000\r\n250 8BITMIME", "DATA": "354 go on", "QUIT": "221 bye",
    "AUTH": "235 welcome",
}  # fmt: skip


class _Gone(Exception):
    """This connection is over."""


class ScriptedSmtp:
    """`messages`: what it took, with the recipients it had accepted."""

    def __init__(self, script: dict[str, Any] | None = None) -> None:
        self.script = script or {}
        self.messages: list[tuple[tuple[str, ...], EmailMessage]] = []
        self.raw: list[bytes] = []
        self.connections = 0
        self.commands: list[str] = []
        self._open: list[socket.socket] = []
        self._closing = False

    def __enter__(self) -> "ScriptedSmtp":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._acceptor.join(5)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for _, mail in self.messages]

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                self._answer(connection, "connect")
                self._talk(connection, lines)
        except (_Gone, OSError, ValueError):
            pass

    def _talk(self, connection: socket.socket, lines: Any) -> None:
        accepted: list[str] = []
        while line := lines.readline():
            command = line.decode(errors="replace").strip()
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            if verb == "RCPT":
                address = re.sub(r".*<(.*)>.*", r"\1", command)
                if self._answer(connection, f"RCPT {address}", "RCPT").startswith("2"):
                    accepted.append(address)
                continue
            if verb == "MAIL":
                accepted = []
            said = self._answer(connection, verb)
            if verb == "DATA" and said.startswith("354"):
                self._message(connection, lines, tuple(accepted))
            if verb == "QUIT":
                return

    def _message(self, connection: socket.socket, lines: Any, accepted: tuple[str, ...]) -> None:
        body: list[bytes] = []
        while (line := lines.readline()) != b".\r\n":
            if not line:
                raise _Gone
            body.append(line.removeprefix(b"."))
        answer = self._next("END")
        took = answer in (None, CLOSE, HANG, DRIBBLE, SLOW) or str(answer).startswith("2")
        if took:
            self.raw.append(b"".join(body))
            parsed = email.message_from_bytes(self.raw[-1], policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            self.messages.append((accepted, parsed))
        self._say(connection, answer or "250 OK")

    def _answer(self, connection: socket.socket, *steps: str) -> str:
        answer = next((found for step in steps if (found := self._next(step)) is not None), None)
        said = str(answer or _FRIENDLY.get(steps[0], "250 OK"))
        self._say(connection, said)
        return said

    def _next(self, step: str) -> Any:
        answers = self.script.get(step)
        if isinstance(answers, list):
            return answers.pop(0) if answers else None
        return answers

    def _say(self, connection: socket.socket, said: str) -> None:
        if said == CLOSE:
            connection.shutdown(socket.SHUT_RDWR)
            raise _Gone
        if said == SLOW:
            time.sleep(5.0)
            said = "250 OK"
        if said in (HANG, DRIBBLE):
            self._for_ever(connection, said)
        connection.sendall(b"\x00\xffwhat?\r\n" if said == GARBAGE else said.encode() + b"\r\n")

    def _for_ever(self, connection: socket.socket, how: str) -> None:
        """Until the other side has had enough, a minute at most."""
        deadline = time.monotonic() + 60
        connection.settimeout(0.1)
        while time.monotonic() < deadline and not self._closing:
            if how == DRIBBLE:
                connection.sendall(b"2")
            try:
                if connection.recv(4096) == b"":
                    break
            except TimeoutError:
                continue
        raise _Gone
