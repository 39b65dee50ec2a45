"""A script that labq did not start: it says itself what it does, and labq notices when it is gone.

Nothing is ever done to it: it belongs to whoever started it. To stop the run means that labq listens no more.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from queueing.script_folder import FINISH, STARTED
from worker.child import Child
from worker.launch import Launch
from worker.stopping import Requests
from worker.threads import start

GONE = "its script ended without labq send --finish"
_LOOK_S = 0.2


class Bystander(Child):
    """In place of a child. Its exit code is what `labq send --finish` said."""

    def __init__(
        self,
        launch: Launch,
        output: Path,
        _enter: Callable[[], None],
        _starter: Sequence[str],
        /,
        *,
        script: psutil.Process,
        requests: Requests,
        begun: Callable[[Launch], None],
    ) -> None:
        self.peak_memory_bytes = 0
        self.said = ""
        self._script, self._requests = script, requests
        self._finish = output.parent / FINISH
        self._code: int | None = None
        output.touch(mode=0o600)
        (output.parent / STARTED).write_text(str(script.pid))
        start(threading.Thread(target=self._look_out, name="finish", daemon=True))
        begun(launch)

    @property
    def pid(self) -> int:
        """The script's."""
        return self._script.pid

    def poll(self) -> int | None:
        """What it said, or how we were told to leave it."""
        if self._code is None:
            gone = not is_there(self._script)
            self._code = self._said_code()
            if self._code is None and gone:
                self._code, self.said = -signal.SIGTERM, GONE  # perhaps somebody has ended the whole job
        return self._code

    def terminate(self) -> None:
        """It goes on, and is not listened to any more."""
        if self.poll() is None:
            self._code = -signal.SIGTERM
        self._requests.wake()

    def kill(self) -> None:
        """The same at once."""
        self.terminate()

    def _said_code(self) -> int | None:
        try:
            return int(self._finish.read_text())
        except (OSError, ValueError):
            return None

    def _look_out(self) -> None:
        """Wake the supervisor when the script has finished."""
        while self._code is None:
            if self._finish.exists():
                self._requests.wake()
            time.sleep(_LOOK_S)


def is_there(process: psutil.Process) -> bool:
    """Also not as a zombie, and not as another process of the same number."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def script_around() -> psutil.Process:
    """The process that leads our group, which is the script in jobs, under nohup and in terminals; else our parent."""
    ancestors = psutil.Process().parents()
    group = os.getpgrp()
    leader = next((one for one in ancestors if one.pid == group), None)
    return leader or psutil.Process(os.getppid())
