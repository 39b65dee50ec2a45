"""A terminal with a page in it: keys go in, and what stands on the screen is read as a person would."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte
from lab import LABQ, PATIENCE, Lab, until


class Terminal:
    """A verb of labq in a terminal (a pty) whose screen is kept by pyte."""

    def __init__(self, lab: Lab, *arguments: str, columns: int = 100, lines: int = 36, **env: str) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._outside, self._inside = pty.openpty()
        self._set_size()
        self.raw = b""
        self.before = termios.tcgetattr(self._inside)
        whole = {**lab.env, "TERM": "xterm-256color", **env}
        for name in ("COLUMNS", "LINES"):
            whole.pop(name, None)
        self.process = subprocess.Popen(
            [*LABQ, *arguments], stdin=self._inside, stdout=self._inside, stderr=self._inside, env=whole, cwd=lab.home,
            start_new_session=True,
        )  # fmt: skip

    @property
    def text(self) -> str:
        """What stands there now."""
        while select.select([self._outside], [], [], 0)[0]:
            given = os.read(self._outside, 65536)
            self.raw = (self.raw + given)[-200_000:]
            self._stream.feed(given)
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait_for(self, *words: str, without: tuple[str, ...] = (), timeout_s: float = 60.0) -> str:
        def there() -> str:
            text = self.text
            return text if all(word in text for word in words) and not any(word in text for word in without) else ""

        try:
            return until(there, timeout_s, f"{words} without {without}")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.text}") from error

    def press(self, keys: bytes) -> None:
        os.write(self._outside, keys)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._set_size()
        os.killpg(self.process.pid, signal.SIGWINCH)

    def wait(self, timeout_s: float = 20.0) -> int:
        """The exit code; whatever is drawn meanwhile is read, for a full terminal would stop the page."""
        deadline = time.monotonic() + timeout_s * PATIENCE
        while (code := self.process.poll()) is None and time.monotonic() < deadline:
            assert self.text is not None
            time.sleep(0.02)
        assert code is not None, self.text
        return code

    def is_as_before(self) -> bool:
        """Line mode and echo are back, the first screen is, and the cursor can be seen."""
        assert self.text is not None
        lines_back = termios.tcgetattr(self._inside)[3] == self.before[3]
        return lines_back and self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h") and (
            self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        )  # fmt: skip

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._outside)
        os.close(self._inside)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(self._outside, termios.TIOCSWINSZ, size)
