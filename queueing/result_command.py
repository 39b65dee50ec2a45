"""`result = "post.py"`, or any command: what reads the figures out of what a finished command left."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

_PYTHON = re.compile(r"python[0-9.]*")


def read_result(
    said: str | list[str] | None, command: Sequence[str], folder: Path
) -> tuple[tuple[str, ...], list[str]]:
    """The command, and what is wrong with it. A file is relative to `folder`; Python files run as the command does."""
    if said is None:
        return (), []
    if isinstance(said, list):
        empty = not said or not said[0].strip()
        return tuple(said), ["result: is empty; allowed: a file, or a list as in command"] if empty else []
    path = (folder / Path(said).expanduser()).absolute()
    if not said or not path.is_file():
        return (), [f"result: there is no file {path}" if said else "result: is empty; allowed: a file, or a list"]
    if path.suffix == ".py":
        own = command[0] if command and _PYTHON.fullmatch(PurePath(command[0]).name) else "python3"
        return (own, _literal(str(path))), []
    if not os.access(path, os.X_OK):
        return (), [f"result: {path} is not executable (chmod +x), and no Python file"]
    return (_literal(str(path)),), []


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
