"""`labq top` on a real terminal (a pty), beside real workers and a server that goes away and comes back."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable

from lab import LABQ, Lab, until

from store.states import State


class Screen:
    """`labq top` in a terminal of 80 by 24, and what it has drawn so far."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(inside)
        env = {**lab.env, "TERM": "xterm-256color"}
        env.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [*LABQ, "top", "--every", "0.3", *arguments], stdin=inside, stdout=inside, stderr=inside, env=env, cwd=lab.home,
            start_new_session=True,
        )  # fmt: skip
        self._inside, self._drawn = inside, ""

    def wait_for(self, *words: str) -> None:
        def there() -> bool:
            while select.select([self._terminal], [], [], 0)[0]:
                self._drawn = (self._drawn + os.read(self._terminal, 65536).decode(errors="replace"))[-20_000:]
            return all(word in self._drawn for word in words)

        try:
            until(there, 60, f"{words}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._drawn[-4000:]}") from error

    def forget(self) -> None:
        self.wait_for()
        self._drawn = ""

    def press(self, key: bytes) -> None:
        os.write(self._terminal, key)

    def wait(self) -> int:
        deadline = time.monotonic() + 20
        while (code := self.process.poll()) is None and time.monotonic() < deadline:
            self.forget()
            time.sleep(0.02)
        assert code is not None
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert termios.tcgetattr(self._inside)[3] == self.before[3]
        os.close(self._terminal)
        os.close(self._inside)


def on_screen(lab: Lab, work: Callable[[Screen], None], *arguments: str) -> None:
    screen = Screen(lab, *arguments)
    try:
        work(screen)
    finally:
        if screen.process.poll() is None:
            screen.process.kill()
            screen.process.wait()
        else:
            screen.close()


def test_the_lab_is_shown_live_and_q_leaves(lab: Lab) -> None:
    lab.worker()
    run = lab.enqueue_steps("live", steps=3000, pause_s=0.02)
    until(lambda: lab.run(run).state is State.RUNNING, what="a running run")

    def work(screen: Screen) -> None:
        screen.wait_for("live", run.id[:8], "busy", "1 running", "/s")
        screen.press(b"x")
        lab.labq("stop", run.id)
        screen.wait_for("cancelled")
        screen.press(b"q")
        assert screen.wait() == 0

    on_screen(lab, work)


def test_ctrl_c_leaves_as_well(lab: Lab) -> None:
    def work(screen: Screen) -> None:
        screen.wait_for("labq")
        os.killpg(screen.process.pid, signal.SIGINT)
        assert screen.wait() == 0

    on_screen(lab, work)


def test_mongodb_may_go_and_come_back(lab: Lab) -> None:
    def work(screen: Screen) -> None:
        screen.wait_for("labq worker")
        lab.kill_server("mongod")
        screen.wait_for("as of", "MongoDB does not answer")
        lab.up()
        screen.forget()
        screen.wait_for("labq worker")  # said where the complaint was
        screen.press(b"q")
        assert screen.wait() == 0

    on_screen(lab, work)


def test_without_a_terminal_one_picture_is_printed(lab: Lab) -> None:
    lab.enqueue_steps("waiting")
    printed = lab.labq("top").stdout
    assert "waiting 1" in printed
    assert "\x1b" not in printed
    told = json.loads(lab.labq("top", "--json").stdout)
    assert {"queue": "default", "queued": 1, "paused": 0, "running": 0, "next": [["waiting", 1]]} in told["queues"]


def test_a_wrong_pause_is_a_mistake(lab: Lab) -> None:
    done = lab.labq("top", "--every", "0", ok=False)
    assert done.returncode == 2
    assert "0.2 to 3600" in done.stderr
