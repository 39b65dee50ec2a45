"""The process that a script, a scheduler and a terminal talk to: it passes signals on, and ends as its programme."""

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from queueing.repair import release_own
from store.connect import connect, prepare_to_connect
from store.errors import AmbiguousId, ExitCode, LabqError, NoSuchRun, Unavailable
from store.logbook import say
from store.settings import Settings
from store.workers import Worker
from worker.horse import Horse, Outcome
from worker.linux import adopt_orphans
from worker.script.entering import Busy, Overruled
from worker.script.shared import Shared, as_shells_have_it
from worker.stopping import STOP_SIGNALS, Asked, held
from worker.term import Term

NOT_FOUND, NOT_EXECUTABLE = 127, 126
KEEPS_FROM_RUNNING = (Busy, Overruled, NoSuchRun, AmbiguousId)
"""All else is labq's own trouble, for which no programme waits."""


class Front:
    """Forks whoever supervises the programme; single-threaded until then, and without MongoDB."""

    def __init__(
        self, settings: Settings, worker: Worker, term: Term, shared: Shared, *, needs_store: bool = False
    ) -> None:
        """`needs_store`: nothing begins while MongoDB is away."""
        self._needs_store = needs_store
        self._settings, self._worker, self._term, self._shared = settings, worker, term, shared
        self._horse: Horse | None = None
        self.told = Asked(in_a_job=bool(term.allocation))

    def run(self, work: Callable[[], Outcome], forked: Callable[[], None] = lambda: None) -> Outcome:
        """How it ended. `work`, in another process, raises LabqError for what keeps the programme from its beginning.

        `forked` is called here once that process is there.
        """
        adopt_orphans()
        prepare_to_connect()
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a lost terminal; `nohup` says it does not matter
            signal.signal(signal.SIGHUP, self._on_signal)
        with held(STOP_SIGNALS):
            self._horse = Horse(lambda: self._guarded(work))
        forked()
        self._term.keep_asking()
        outcome = self._horse.wait()
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if outcome is Outcome.CRASHED:
            self._give_back()
        return outcome

    @property
    def was_told(self) -> bool:
        """Whether somebody has asked us to leave."""
        return self.told.at is not None

    def _guarded(self, work: Callable[[], Outcome]) -> Outcome:
        try:
            return work()
        except LabqError as error:
            print("\n".join(f"labq: {line}" for line in str(error).splitlines()), file=sys.stderr)
            if isinstance(error, KEEPS_FROM_RUNNING) or (self._needs_store and isinstance(error, Unavailable)):
                self._shared.end(error.exit_code)
            return Outcome.NOTHING

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGUSR1 and self._term.knows_better():
            say("warned", worker=self._worker.name, left_s=f"{self._term.left_s():.0f}")
            return
        below = self.told.hear(number, time.monotonic())
        if number == signal.SIGINT:
            self._shared.press()
        if self._horse is not None:
            self._horse.stop(below)

    def _give_back(self) -> None:
        """The supervisor was killed, and the programme with it."""
        with suppress(LabqError):
            store = connect(self._settings)
            release_own(store, self._worker.name)
            store.gone(self._worker.name)
            store.close()


def exit_code_of(front: Front, outcome: Outcome, shared: Shared, command: Sequence[str]) -> int:
    """That of the programme. One that labq could not even begin is begun without labq: training comes first."""
    if shared.exit_code is not None:
        return as_shells_have_it(shared.exit_code)
    if outcome is Outcome.CRASHED:
        print(
            "labq: exec: the process that watched the programme was killed, and the programme with it", file=sys.stderr
        )
        return 128 + signal.SIGKILL
    if front.was_told or shared.started or not command:
        return ExitCode.FAILED
    print("labq: exec: cannot be tracked here; the programme is begun without labq", file=sys.stderr)
    return untracked(command)


def untracked(command: Sequence[str]) -> int:
    """Become the command. Returns only when that cannot be done."""
    for number in (*STOP_SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        print(f"labq: exec: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


def cannot_begin(command: Sequence[str]) -> int | None:
    """What shells end with when there is no such programme, which is said; None: there is."""
    first = command[0]
    if shutil.which(first) is not None:
        return None
    there = "/" in first and Path(first).exists()
    print(
        f"labq: exec: {shlex.quote(first)}: {'may not be executed' if there else 'no such programme'}", file=sys.stderr
    )
    return NOT_EXECUTABLE if there else NOT_FOUND
