"""The folder that a script publishes its checkpoints in: what lies there, and what is held fast until it is stored."""

import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from store.files import open_regular
from worker.events import Announced

Mark = tuple[str, int, int]
"""Name, inode, time of the rename."""

_OPEN_FILES = Path("/dev/fd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A checkpoint and the line that announced it. A file is open: whatever takes its name, we read what it was."""

    announced: Announced
    mark: Mark
    place: Path
    file: BinaryIO | None = None

    def path(self) -> Path:
        """Where its content can be read from its beginning."""
        if self.file is None:
            return self.place
        self.file.seek(0)
        return _OPEN_FILES / str(self.file.fileno())

    def is_unchanged(self) -> bool:
        """A folder cannot be held: it may have been replaced."""
        return self.file is not None or _mark_at(self.place) == self.mark

    def close(self) -> None:
        """Let go."""
        if self.file is not None:
            self.file.close()


def look(folder: Path) -> dict[str, Mark]:
    """Published files, folders and links by name. Hidden ones, pipes and names that are no UTF-8 are none of ours."""
    with suppress(OSError):
        marks = [_mark_at(path) for path in list(folder.iterdir()) if not path.name.startswith(".")]
        return {mark[0]: mark for mark in marks if mark is not None}
    return {}


def hold(folder: Path, announced: Announced, seen: Mapping[str, Mark]) -> Held | None:
    """Hold what lies under the announced name, if it is still what was seen there before the line was read.

    Otherwise it was replaced meanwhile: what lies there now has a line of its own, to come.
    """
    place = folder / announced.name
    if announced.name not in seen:
        return None
    file = None
    if _OPEN_FILES.is_dir() and not place.is_dir():
        with suppress(OSError):  # whoever reads it says so
            file = open_regular(place)
    held = Held(announced=announced, mark=seen[announced.name], place=place, file=file)
    if _mark_at(place) == held.mark:
        return held
    held.close()
    return None


def newest_file(marks: Mapping[str, Mark], folder: Path) -> str | None:
    """The name of what was published last, links left aside."""
    own = [mark for mark in marks.values() if not (folder / mark[0]).is_symlink()]
    newest = max(own, key=lambda mark: mark[2], default=None)
    return newest[0] if newest else None


def forget(folder: Path, mark: Mark) -> None:
    """Remove it, if it is still what it was."""
    path = folder / mark[0]
    if _mark_at(path) == mark:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _mark_at(path: Path) -> Mark | None:
    """A published file, told apart from a later one of the same name: the rename stamps its inode."""
    try:
        found = path.lstat()
        path.name.encode()
    except (OSError, UnicodeError):
        return None  # gone, or of a name that MongoDB cannot hold
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return (path.name, found.st_ino, found.st_ctime_ns) if any(kind(found.st_mode) for kind in kinds) else None
