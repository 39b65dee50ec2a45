"""Where a chat target leads: its URL from the settings, or from a file or a variable, so that tokens lie elsewhere."""

import os
import socket
from pathlib import Path

from store.errors import ChatAway
from store.settings import Settings


def url_of(target: str, settings: Settings) -> str:
    """Raises ChatAway: settings, files and variables can be mended, and another notifier may have them."""
    named = settings.notify_targets.get(target)
    if named is None:
        there = ", ".join(sorted(settings.notify_targets)) or "none"
        raise ChatAway(f"notify_targets has no {target!r} on {socket.gethostname()}; there are: {there}")
    if named.startswith("file:"):
        return _from_file(target, Path(named.removeprefix("file:")).expanduser())
    if named.startswith("env:"):
        variable = named.removeprefix("env:")
        if not os.environ.get(variable):
            raise ChatAway(f"notify_targets.{target}: the variable {variable} is not set on {socket.gethostname()}")
        return os.environ[variable].strip()
    return named


def _from_file(target: str, file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ChatAway(f"notify_targets.{target}: {file} cannot be read: {error}") from error
    if not lines:
        raise ChatAway(f"notify_targets.{target}: {file} is empty")
    return lines[0]
