"""Reading text files of the user."""

from __future__ import annotations

from pathlib import Path

from trainer.errors import UserMistake


def read_text(path: str) -> str:
    """The text of a UTF-8 file. Raises UserMistake when it is missing, unreadable or of another encoding."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise unreadable(path, problem) from None
    except UnicodeDecodeError as problem:
        row = problem.object[: problem.start].count(b"\n") + 1
        byte = problem.object[problem.start]
        raise UserMistake(f"{path}: row {row}: found the byte {byte:#04x}; allowed: text encoded as UTF-8") from None


def unreadable(path: str, problem: OSError) -> UserMistake:
    """What to say of a file that cannot be opened."""
    where = "" if Path(path).is_absolute() else f" (looked for in {Path.cwd()})"
    return UserMistake(f"{path}: {(problem.strerror or str(problem)).lower()}{where}")
