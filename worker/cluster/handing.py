"""What a worker on another machine must know of this one's settings."""

import re
import sys
from dataclasses import fields
from pathlib import Path
from shlex import split
from typing import Any

from store.errors import UserError
from store.settings import SECRETS, Settings, mask_url

_NOT_THERE = re.compile("smtp_|mail_|notify_|slurm_|sge_|allocation_|modules|setup_lines|node_labq|hosts$|ssh|remote_")
"""Settings of those who send mail and of those who submit."""


def handed_over(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Variables for the script, and those that hold a password and travel in the environment of the submission."""
    default = Settings()
    plain: dict[str, str] = {"LABQ_HOME": str(settings.home)}
    secret: dict[str, str] = {}
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if value == getattr(default, field.name) or field.name == "home" or _NOT_THERE.match(field.name):
            continue
        is_secret = field.name in SECRETS or (field.name.endswith("_url") and mask_url(value) != value)
        (secret if is_secret else plain)[f"LABQ_{field.name.upper()}"] = _text(value)
    return plain, secret


def labq_command(settings: Settings) -> tuple[str, ...]:
    """How labq starts on the nodes. Raises UserError."""
    try:
        chosen = split(settings.node_labq)
    except ValueError as error:
        raise UserError(f"node_labq is {settings.node_labq!r}: {error}") from error
    return tuple(chosen) or (sys.executable, "-P", "-m", "queueing.cli.main")


def logs_folder(settings: Settings) -> Path:
    """Where jobs write what labq does not catch."""
    return settings.home / "allocations"


def make_logs_folder(settings: Settings) -> None:
    """Raises UserError."""
    folder = logs_folder(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another place: LABQ_HOME") from error


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
