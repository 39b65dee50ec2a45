"""Without an SMTP server: messages as .eml files, which every mail programme opens."""

import os
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

from notify.envelope import as_bytes
from store.errors import MailAway
from store.notices import Delivery, DeliveryState


class FileSender:
    """Writes whole files only: a reader never sees half a message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage, to: Sequence[str]) -> list[Delivery]:
        """The name is fixed by the Message-ID: sent twice, it is one file. Raises MailAway."""
        name = str(mail["Message-ID"]).strip("<>").split("@")[0]
        target = self._folder / f"{name}.eml"
        hidden = self._folder / f".{name}.{os.getpid()}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            hidden.write_bytes(as_bytes(mail, utf8=True))
            hidden.replace(target)
        except OSError as error:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            raise MailAway(f"{target} cannot be written: {error.strerror}") from error
        return [Delivery(to=one, state=DeliveryState.SENT, said=str(target)) for one in to]

    def close(self) -> None:
        """Nothing is kept open."""
