"""A real SMTP server with the moods of real ones: it accepts, refuses, defers, hangs, or dies after DATA."""

import asyncio
import datetime
import email
import email.policy
import ipaddress
import socket
import ssl
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class MailServer:
    """`mode`: ok, reject (550), defer (451), hang, drop (takes the message, then closes without a word)."""

    def __init__(
        self, folder: Path, *, login: tuple[str, str] | None = None, tls: str | None = None, mechanism: str = "",
        names: tuple[str, ...] = ("localhost",),
    ) -> None:  # fmt: skip
        """`mechanism`: the only one it lets in by (PLAIN, LOGIN). `names`: whom its certificate is for."""
        self.folder, self.login, self.tls, self.mode = folder, login, tls, "ok"
        self.mechanism, self.names = mechanism, names
        self.messages: list[Message] = []
        self.certificate = folder / "certificate.pem"

    def __enter__(self) -> "MailServer":
        context = self._context() if self.tls else None
        options: dict[str, Any] = {"hostname": "localhost"}
        if self.tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if self.login:
            options |= {"authenticator": self._check, "auth_required": True, "auth_require_tls": self.tls == "starttls"}
            options["auth_exclude_mechanism"] = [one for one in ("PLAIN", "LOGIN") if self.mechanism not in ("", one)]
        server = self

        class Plain(Controller):
            def factory(self) -> SMTP:
                return SMTP(server, **options)

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        implicit = context if self.tls == "tls" else None
        self._controller = Plain(self, hostname="127.0.0.1", port=self.port, ssl_context=implicit)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.mode == "hang":
            await asyncio.sleep(30)
        if self.mode == "reject":
            return "550 no such user"
        if self.mode == "defer":
            return "451 try again later"
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        if self.mode == "drop":
            server.transport.close()
        return "250 OK"

    def _check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self.login, handled=False)

    def _context(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in self.names]
        if "localhost" in self.names:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        key_file = self.folder / "key.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        return context
