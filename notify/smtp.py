"""Sending through yagmail: the only file that imports it.

yagmail keeps the connection, TLS and login. The message goes out through its session rather than through its `send`:
that one would ask for a password on a terminal, sleep through hidden retries, and answer a lost connection with False.
"""

import ssl
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import yagmail

from notify.password import password
from store.errors import MailDeferred, MailRefused
from store.settings import Settings

_PORTS = {"tls": 465, "starttls": 587, "none": 25}


class SmtpSender:
    """One connection per message: a notifier idles far longer than servers keep connections open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, mail: EmailMessage) -> str:
        """Deliver to the SMTP server; return a remark, usually empty. Raises MailDeferred, MailRefused."""
        try:
            client = self._client()
            client.login()
        except (OSError, ValueError) as error:
            # A wrong password, host or certificate is mended in the settings, not in the message: keep it.
            raise MailDeferred(f"{self._settings.smtp_host}: {_said(error)}") from error
        try:
            refused = client.smtp.send_message(mail, from_addr=parseaddr(str(mail["From"]))[1])
        except OSError as error:
            raise _as_mail_error(error, self._settings.smtp_host) from error
        finally:
            _close(client)
        return f"refused for {', '.join(refused)}" if refused else ""

    def _client(self) -> Any:
        chosen = self._settings
        context = self._context()
        extra: dict[str, Any] = {"context": context} if chosen.smtp_tls == "tls" else {}
        return yagmail.SMTP(
            user=chosen.smtp_user or "labq",
            password=password(chosen) if chosen.smtp_user else "",
            host=chosen.smtp_host,
            port=chosen.smtp_port or _PORTS[chosen.smtp_tls],
            smtp_ssl=chosen.smtp_tls == "tls",
            smtp_starttls={"context": context} if chosen.smtp_tls == "starttls" else False,
            smtp_skip_login=not chosen.smtp_user,
            soft_email_validation=False,
            timeout=chosen.smtp_timeout_s,
            **extra,
        )

    def _context(self) -> ssl.SSLContext:
        """Certificates are verified: yagmail without a context would accept any."""
        try:
            return ssl.create_default_context(cafile=self._settings.smtp_ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise MailDeferred(f"smtp_ca_file {self._settings.smtp_ca_file}: {error}") from error


def _as_mail_error(error: OSError, host: str) -> Exception:
    """5xx is for ever, everything else may pass. A refusal of all recipients carries a code for each of them."""
    codes = [code for code, _ in getattr(error, "recipients", {}).values()] or [getattr(error, "smtp_code", 0)]
    text = f"{host}: {_said(error)}"
    return MailRefused(text) if all(500 <= code < 600 for code in codes) else MailDeferred(text)


def _said(error: Exception) -> str:
    recipients = getattr(error, "recipients", None)
    if recipients:
        return "; ".join(f"{who}: {code} {_text(said)}" for who, (code, said) in recipients.items())
    if hasattr(error, "smtp_code"):
        return f"{error.smtp_code} {_text(getattr(error, 'smtp_error', b''))}"
    return f"{type(error).__name__}: {error}"


def _text(said: object) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _close(client: Any) -> None:
    try:
        client.close()
    except OSError:
        pass  # the server has the message, or the error above says that it has not
