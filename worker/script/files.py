"""Files that a programme leaves, by patterns: each is announced as if the programme had done it."""

import json
from collections.abc import Iterator, Sequence
from glob import iglob
from pathlib import Path

from store.logbook import warn
from worker.launch import Launch

MOST = 1000


def keep_files(launch: Launch, patterns: Sequence[str]) -> None:
    """Raises nothing: the programme has ended, and its ending counts."""
    found = list(dict.fromkeys(str(file) for pattern in patterns for file in _matching(launch.workdir, pattern)))
    if len(found) > MOST:
        warn("too-many-files", found=len(found), kept=MOST)
    lines = "".join(f"{json.dumps({'_artifact': file})}\n" for file in found[:MOST])
    try:
        with open(launch.env["LABQ_EVENTS"], "a", encoding="utf-8") as events:
            events.write(f"\n{lines}")  # a line that was cut short must not swallow ours
    except OSError as error:
        warn("files-not-kept", error=error)


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    matching = [folder / name for name in sorted(iglob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207 - may be absolute
    files = [path for path in matching if path.is_file()]
    if not files:
        warn("no-file-fits", pattern=pattern, folder=folder)
    yield from files
