"""The folder of a run that is being carried out on this machine, as those who report to it see it."""

import fcntl
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from store.errors import UserError

STARTED = "started-by"
"""In the folder of a run that `labq send --start` began: the process whose end is the run's."""
FINISH = "finish"
"""The exit code, once the script has said that it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFolder:
    """`run`: its id, or what was given of it."""

    run: str
    path: Path

    @property
    def events(self) -> Path:
        """Lines of JSON."""
        return self.path / "events.jsonl"

    @property
    def output(self) -> Path:
        """The log."""
        return self.path / "output.log"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are published."""
        return self.path / "checkpoints"

    @property
    def is_started(self) -> bool:
        """Whether the run ends when its script says so."""
        return (self.path / STARTED).exists()

    def is_held(self) -> bool:
        """Whether somebody stores what is written here."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False


def folder_here(asked: str | None, environ: Mapping[str, str]) -> ScriptFolder | None:
    """Of the run that was asked for, else of the one around us. None: it is over. Raises UserError."""
    inside, run = environ.get("LABQ_DIR"), environ.get("LABQ_RUN")
    if inside and run and (asked is None or run.startswith(asked)):
        found = ScriptFolder(run=run, path=Path(inside))
        return found if found.is_held() else None
    wanted = asked or run
    if not wanted:
        raise UserError(
            "labq send: there is no run here; run the script under labq exec, or begin one: "
            "export LABQ_RUN=$(labq send --start --name EXP)"
        )
    if not re.fullmatch(r"[0-9a-z]{1,12}", wanted):
        raise UserError(f"{wanted[:80]!r} is no run's id")
    return _on_this_machine(wanted)


def _on_this_machine(wanted: str) -> ScriptFolder | None:
    from store.settings import load

    home, host = load().settings.home, socket.gethostname()
    paths = [path for place in ("scripts", "runs") for path in (home / place / host).glob(f"{wanted}*-*-*")]
    held = [one for one in (ScriptFolder(run=path.name.split("-")[0], path=path) for path in paths) if one.is_held()]
    if len({one.run for one in held}) > 1:
        raise UserError(f"{wanted!r} fits several runs: {', '.join(sorted({one.run for one in held}))}")
    return held[0] if held else None
