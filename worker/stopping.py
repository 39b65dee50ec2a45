"""Being asked to leave: once means "checkpoint first", again means "now".

What stops a machine says so to every process (systemd, Slurm), and each process says it to those below: the same
request arrives several times within a moment. A supervisor never guesses: SIGTERM is always the first request, however
often it comes, and the second has a signal of its own. Only a process that people talk to looks at the clock.

Schedulers say it with SIGUSR1 and SIGUSR2 too, and again with SIGTERM later: inside a job only Ctrl-C is a person's.
"""

import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

HURRY: int = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else signal.SIGURG
"""From a crew to its workers, from a worker to its supervisor: do not wait for a checkpoint. Nobody else sends it."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, HURRY})
HEARD_BELOW = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, HURRY)
"""What a supervisor listens to: Ctrl-C is its worker's business."""

SOFT, LAST = signal.SIGUSR1, signal.SIGTERM
"""How a worker passes it on: there may be time; or SIGKILL follows, where a scheduler said it."""

NOTICES = (signal.SIGUSR1, signal.SIGUSR2)
"""With these a scheduler says that a job's time ends."""

_KEY_S = 0.2
_ECHO_S = 1.0


def means_hurry(number: int, since_first_s: float | None, *, in_a_job: bool = False) -> bool:
    """Whether this signal is a second request. A person presses Ctrl-C twice; SIGTERM may be an echo of the first.

    A scheduler says it as often as it likes: a warning, the end of a grace, the time limit.
    """
    if number == HURRY:
        return True
    if number in (signal.SIGUSR1, signal.SIGUSR2) or (in_a_job and number != signal.SIGINT):
        return False
    return since_first_s is not None and since_first_s >= (_KEY_S if number == signal.SIGINT else _ECHO_S)


def passed_on(number: int) -> int:
    """The signal that says to those below what this one said to us, unless it means hurry."""
    return LAST if number in (signal.SIGTERM, signal.SIGUSR2) else SOFT


@contextmanager
def held(signals: Collection[int]) -> Iterator[None]:
    """They wait until the block is left; for whoever is started in it, until that process has `heard` them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        heard(signals)


def heard(signals: Collection[int]) -> None:
    """Those that have waited come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


class Asked:
    """What a process that people and schedulers talk to was asked, and what it says to those below."""

    def __init__(self, *, in_a_job: bool) -> None:
        self._in_a_job = in_a_job
        self.at: float | None = None
        """When it was first asked to leave, on the monotonic clock."""
        self._by: int | None = None

    @property
    def by_scheduler(self) -> bool:
        """Whether the first to ask was a scheduler whose time for the job ends."""
        return self._by in NOTICES

    def hear(self, number: int, now: float) -> int:
        """The signal for those below."""
        since_s = None if self.at is None else now - self.at
        self.at = now if self.at is None else self.at
        self._by = self._by or number
        return HURRY if means_hurry(number, since_s, in_a_job=self._in_a_job) else passed_on(number)


def _ignored(_number: int, _frame: object) -> None:
    """A Ctrl-C is the worker's business."""


def _to_nobody() -> None:
    """Between two attempts."""


class Requests:
    """What a supervisor's process was asked by signals. It stays asked, whichever of its attempts hears of it."""

    def __init__(self) -> None:
        self.leave = False
        self.hurry = False
        self.first_at: dict[int, float] = {}
        """When each signal came first, on the monotonic clock."""
        self._tell: Callable[[], None] = _to_nobody
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def listen(self, tell: Callable[[], None]) -> None:
        """Signals held back since the last attempt arrive now: `tell` is called in the main thread, for each."""
        self._tell = tell
        signal.signal(signal.SIGINT, _ignored)  # SIG_IGN would be passed on to the child
        for number in HEARD_BELOW:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if self.leave:
            tell()

    def hold(self) -> None:
        """The attempt is over: from here on they wait for the next one, or for `waiting`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        self._tell = _to_nobody

    def waiting(self) -> bool:
        """Whether this process has been asked to leave, heard or not."""
        return self.leave or bool(STOP_SIGNALS & signal.sigpending())

    def _on_signal(self, number: int, _frame: object) -> None:
        """However often: checkpoint and requeue. In a hurry: now."""
        self.leave = True
        self.first_at.setdefault(number, time.monotonic())
        self.hurry = self.hurry or number == HURRY
        self._tell()

    # ── waking whoever waits on `descriptor` ──
    @property
    def descriptor(self) -> int:
        """Readable after a signal or a `wake`."""
        return self._wake_out.fileno()

    def wake(self) -> None:
        """From any thread."""
        try:
            self._wake_in.send(b"!")
        except BlockingIOError:
            pass  # enough wakes are waiting already

    def listen_for(self, patience_s: float) -> None:
        """Until somebody asks us to leave, or as long as that."""
        deadline = time.monotonic() + patience_s
        while not self.leave and (left_s := deadline - time.monotonic()) > 0:
            select.select([self._wake_out], [], [], left_s)
            self.forget_wakes()

    def forget_wakes(self) -> None:
        """They have done their work."""
        try:
            while self._wake_out.recv(64):
                pass
        except BlockingIOError:
            pass
