"""Without an SMTP server: messages as .eml files, which every mail programme opens."""

import os
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

from store.errors import MailDeferred


class FileSender:
    """Writes whole files only: a reader never sees half a message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage) -> str:
        """Returns where the message lies. The name is fixed by the Message-ID: sent twice, it is one file."""
        name = str(mail["Message-ID"]).strip("<>").split("@")[0]
        target = self._folder / f"{name}.eml"
        hidden = self._folder / f".{name}.{os.getpid()}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            hidden.write_bytes(mail.as_bytes())
            hidden.replace(target)
        except OSError as error:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            raise MailDeferred(f"{target} cannot be written: {error.strerror}") from error
        return str(target)
