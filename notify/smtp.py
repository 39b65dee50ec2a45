"""One connection to an SMTP server through yagmail: the only file that imports it.

yagmail keeps the connection, TLS and login. The message goes out through its session rather than through its `send`:
that one would ask for a password on a terminal, sleep through hidden retries, answer a lost connection with False, and
give up everything when one of many recipients is refused.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import yagmail

from notify.password import password
from notify.replies import Reply
from store.errors import MailAway
from store.settings import Settings

_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_LAST_WORDS = frozenset({421, -1})
"""The server hangs up; what it says is no SMTP (-1, as smtplib has it), so nobody knows what it says next."""


class SessionCut(OSError):
    """Somebody outside found that it took too long."""


class SmtpSession:
    """Opened once, for one message or several. Every wait has a time-out; `cut` ends those that bytes keep alive."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._line: Any = None
        self._cut = False
        self.is_ready = False
        """The server has let us in."""
        self.has_begun_data = False
        """The server may have the message that is being sent."""
        self.messages = 0

    def open(self) -> None:
        """Connect, encrypt, log in. Raises OSError, ValueError; MailAway for what is wrong with the settings."""
        self._client = self._made()
        try:
            self._client.login()
            self._smtp.ehlo_or_helo_if_needed()
        except BaseException:
            self._drop()
            raise
        self.is_ready = True

    def offers(self, extension: str) -> bool:
        """Whether the server has said so."""
        return bool(self._smtp.has_extn(extension))

    def transact(self, sender: str, to: Sequence[str], message: bytes, *, utf8: bool = False) -> dict[str, Reply]:
        """One message: what the server says to each recipient. Raises OSError when the connection is lost."""
        self.has_begun_data = False
        try:
            return self._transact(sender, to, message, utf8)
        except BaseException:
            self._drop()
            raise

    def _transact(self, sender: str, to: Sequence[str], message: bytes, utf8: bool) -> dict[str, Reply]:
        options = [f"SIZE={len(message)}"] if self.offers("size") else []
        said = self._mail(sender, [*options, *(["SMTPUTF8"] if utf8 else [])])
        if not said.is_good:
            return self._over(dict.fromkeys(to, said))
        replies: dict[str, Reply] = {}
        for one in to:
            replies[one] = _reply(*self._smtp.rcpt(one))
            if replies[one].code in _LAST_WORDS:
                return self._over(dict.fromkeys(to, replies[one]))
        accepted = [one for one, reply in replies.items() if reply.is_good]
        if accepted:
            replies |= dict.fromkeys(accepted, self._data(message))
        return self._over(replies)

    def close(self) -> None:
        """Leave politely; the server has what it has."""
        if self._client is not None:
            with suppress(OSError):
                self._client.close()
            self._drop()

    def cut(self) -> None:
        """From another thread: end whatever it waits for."""
        self._cut = True
        with suppress(OSError, AttributeError):
            # Of the plain socket: that of TLS would first tidy up what the other thread is using.
            socket.socket.shutdown(self._line.sock, socket.SHUT_RDWR)

    def watch(self, line: Any) -> None:
        """Called before every answer of the server is read."""
        self._line = line
        if self._cut:
            raise SessionCut("given up")

    @property
    def _smtp(self) -> Any:
        return self._client.smtp

    def _mail(self, sender: str, options: list[str]) -> Reply:
        self._smtp.sock.settimeout(self._settings.smtp_timeout_s)
        return _reply(*self._smtp.mail(sender, options))

    def _data(self, message: bytes) -> Reply:
        """A server may look for viruses before it answers: giving up too early means sending all of it again."""
        self._smtp.sock.settimeout(self._settings.smtp_data_s)
        self.has_begun_data = True
        try:
            return _reply(*self._smtp.data(message))
        except OSError as error:
            if not hasattr(error, "smtp_code"):
                raise
            return _reply(error.smtp_code, getattr(error, "smtp_error", b""))

    def _over(self, replies: dict[str, Reply]) -> dict[str, Reply]:
        """Ready for the next message, if there may be one."""
        self.messages += 1
        try:
            if any(reply.code in _LAST_WORDS for reply in replies.values()):
                self._drop()
            elif not all(reply.is_good for reply in replies.values()):
                self._smtp.rset()
        except OSError:
            self._drop()  # what was said about the message counts all the same
        return replies

    def _drop(self) -> None:
        """Hang up without a word. (yagmail would say QUIT, and wait, whenever the object happens to be collected.)"""
        client, self._client = self._client, None
        if client is not None:
            client.is_closed = True
            if client.smtp is not None:
                client.smtp.close()

    @property
    def is_open(self) -> bool:
        """Whether another message may go this way."""
        return self._client is not None and not self._cut

    def _made(self) -> Any:
        chosen = self._settings
        context = _context(chosen)
        extra: dict[str, Any] = {"context": context} if chosen.smtp_tls == "tls" else {}
        return _watched(self)(
            user=chosen.smtp_user or "labq",
            password=password(chosen) if chosen.smtp_user else "",
            host=chosen.smtp_host,
            port=port(chosen),
            smtp_ssl=chosen.smtp_tls == "tls",
            # Certificates are verified: yagmail without a context would accept any.
            smtp_starttls={"context": context} if chosen.smtp_tls == "starttls" else False,
            smtp_skip_login=not chosen.smtp_user,
            soft_email_validation=False,
            timeout=chosen.smtp_timeout_s,
            local_hostname=_own_name(),
            **extra,
        )


def port(settings: Settings) -> int:
    """The one that is set, or that of the kind of encryption."""
    return settings.smtp_port or _PORTS[settings.smtp_tls]


def _watched(session: SmtpSession) -> Any:
    """yagmail's client over a connection that says what it waits for."""

    class Client(yagmail.SMTP):
        @property
        def connection(self) -> Any:
            kind: Any = super().connection

            class Line(kind):  # type: ignore[misc]
                def getreply(self) -> Any:
                    session.watch(self)
                    return super().getreply()

            return Line

    return Client


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca_file or None)
    except OSError as error:
        raise MailAway(f"smtp_ca_file {settings.smtp_ca_file}: {error}") from error


def _own_name() -> str:
    """For EHLO. Asking for the full name, as smtplib does, may hang in a name server."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _reply(code: int, said: bytes | str) -> Reply:
    return Reply(code=code, said=said.decode(errors="replace") if isinstance(said, bytes) else said)
