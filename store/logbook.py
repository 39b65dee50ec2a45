"""Log lines: an event name and fields. `12:03:04 claimed run=3f9k2m attempt=2`"""

import logging
import sys

_LOGGER = logging.getLogger("labq")


def open_logbook(*, quiet: bool = False) -> None:
    """Send log lines to stderr; a quiet one keeps warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    _LOGGER.handlers = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.WARNING if quiet else logging.INFO)


def say(event: str, **fields: object) -> None:
    """Something happened."""
    _LOGGER.info("%s%s", event, _written(fields))


def warn(event: str, **fields: object) -> None:
    """Something happened that somebody should look at."""
    _LOGGER.warning("%s%s", event, _written(fields))


def _written(fields: dict[str, object]) -> str:
    shown = {key: str(value).replace("\n", " ") for key, value in fields.items() if value is not None}
    return "".join(f' {key}="{text}"' if " " in text else f" {key}={text}" for key, text in shown.items())
