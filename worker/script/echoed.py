"""A child whose words appear where its user looks for them, too: the terminal, slurm-12.out, a pipe."""

import os
import selectors
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.logbook import warn
from worker.child import Child, Streams
from worker.launch import Launch
from worker.script.files import keep_files
from worker.script.shared import Shared
from worker.threads import start

_BLOCK = 1 << 16
_LAST_S = 5.0


class EchoedChild(Child):
    """stdin is ours; stdout and stderr go to `output` and, each by itself, to ours."""

    def __init__(
        self,
        launch: Launch,
        output: Path,
        enter: Callable[[], None],
        starter: Sequence[str],
        /,
        *,
        shared: Shared,
        patterns: Sequence[str] = (),
    ) -> None:
        """`patterns`: of files that are kept with the run when it has ended, from its folder on."""
        self._shared, self._patterns, self._launch = shared, patterns, launch
        self._echo = Echo(output)
        super().__init__(launch, output, enter, starter)
        shared.start()
        self._echo.start()

    @contextmanager
    def _streams(self, _output: Path, _answer: Path | None, /) -> Iterator[Streams]:
        """One pipe for both where both of ours are the same: their order is kept."""
        heard = self._echo.add(1)
        complained = heard if _are_same(1, 2) else self._echo.add(2)
        try:
            yield None, heard, complained
        except BaseException:
            self._echo.close()
            raise
        finally:
            for descriptor in {heard, complained}:
                os.close(descriptor)

    def poll(self) -> int | None:
        """As ever; the code is what `labq exec` ends with."""
        code = super().poll()
        if code is not None:
            self._shared.end(code)
        return code

    def terminate(self) -> None:
        """Whoever pressed Ctrl-C means the programme to hear it as if labq were not there."""
        if not self._shared.pressed:
            super().terminate()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGINT)

    def ended(self) -> None:
        """Nobody writes any more: the rest is in the pipes."""
        self._echo.finish()
        if self._patterns:
            keep_files(self._launch, self._patterns)


class Echo:
    """Copies what comes out of pipes to a file and to descriptors of ours, in a thread."""

    def __init__(self, output: Path) -> None:
        """Raises OSError."""
        self._sink: int | None = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._pipes = selectors.DefaultSelector()
        self._deaf: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="echo", daemon=True)

    def add(self, to: int) -> int:
        """The end to write to; what comes out of the other goes to `to`, too."""
        out, into = os.pipe()
        os.set_blocking(out, False)
        self._pipes.register(out, selectors.EVENT_READ, to)
        return into

    def start(self) -> None:
        """Raises OSError."""
        start(self._thread)

    def finish(self) -> None:
        """Copy what is left; whoever still holds a pipe open is not waited for."""
        self._over.set()
        self._thread.join(_LAST_S)
        if not self._thread.is_alive():
            self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        for key in list(self._pipes.get_map().values()):
            self._forget(key.fd)
        self._pipes.close()
        if self._sink is not None:
            os.close(self._sink)

    def _work(self) -> None:
        while self._pipes.get_map():
            over = self._over.is_set()
            ready = self._pipes.select(0 if over else 0.2)
            for key, _ in ready:
                self._copy(key.fd, key.data)
            if over and not ready:
                return

    def _copy(self, pipe: int, to: int) -> None:
        try:
            data = os.read(pipe, _BLOCK)
        except BlockingIOError:
            return
        if not data:
            self._forget(pipe)
            return
        self._keep(data)
        if to not in self._deaf:
            self._tell(to, data)

    def _forget(self, pipe: int) -> None:
        self._pipes.unregister(pipe)
        os.close(pipe)

    def _keep(self, data: bytes) -> None:
        """A full disk costs the log, not the programme."""
        try:
            while data and self._sink is not None:
                data = data[os.write(self._sink, data) :]
        except OSError as error:
            if self._sink is not None:
                warn("output-not-kept", error=error)
                os.close(self._sink)
                self._sink = None

    def _tell(self, to: int, data: bytes) -> None:
        """A terminal that was closed, a pipe that nobody reads: the log goes on without."""
        try:
            while data:
                data = data[os.write(to, data) :]
        except BlockingIOError:
            os.set_blocking(to, True)
            self._tell(to, data)
        except OSError:
            self._deaf.add(to)


def _are_same(one: int, other: int) -> bool:
    try:
        first, second = os.fstat(one), os.fstat(other)
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
