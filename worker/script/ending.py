"""How a programme ended, kept beside what it left: for the day on which MongoDB is back."""

import json
from contextlib import suppress
from pathlib import Path

from store.runs import Ending
from store.states import Reason
from worker.rundir import RunDir

_FILE = "ending.json"


def write_ending(folder: RunDir, ending: Ending) -> None:
    """As far as the disk lets us."""
    said = {
        "reason": ending.reason,
        "exit_code": ending.exit_code,
        "signal": ending.signal,
        "peak_memory_bytes": ending.peak_memory_bytes,
        "message": ending.message,
    }
    with suppress(OSError):
        hidden = folder.path / f".{_FILE}"
        hidden.write_text(json.dumps(said), encoding="utf-8")
        hidden.replace(folder.path / _FILE)


def read_ending(folder: Path) -> Ending | None:
    """None: whoever watched the programme was killed, too."""
    try:
        said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return Ending(**{**said, "reason": Reason(said["reason"]) if said["reason"] else None})
    except (OSError, ValueError, TypeError, KeyError):
        return None
