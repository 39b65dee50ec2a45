"""`labq top` on a real terminal (a pty), beside real workers and a server that goes away and comes back."""

import json
import os
import signal

from lab import Lab, until
from terminal import Terminal

from store.states import State


def top(lab: Lab) -> Terminal:
    return Terminal(lab, "top", "--every", "0.3", columns=80, lines=24)


def leaves(screen: Terminal) -> bool:
    return screen.wait() == 0 and screen.is_as_before()


def test_the_lab_is_shown_live_and_q_leaves(lab: Lab) -> None:
    lab.worker()
    run = lab.enqueue_steps("live", steps=3000, pause_s=0.02)
    until(lambda: lab.run(run).state is State.RUNNING, what="a running run")

    with top(lab) as screen:
        screen.wait_for("live", run.id[:8], "busy", "1 running", "/s")
        screen.press(b"x")
        lab.labq("stop", run.id)
        screen.wait_for("cancelled")
        screen.press(b"q")
        assert leaves(screen)


def test_ctrl_c_and_sigterm_leave_as_well(lab: Lab) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with top(lab) as screen:
            screen.wait_for("labq worker")
            os.killpg(screen.process.pid, number)
            assert leaves(screen)


def test_mongodb_may_go_and_come_back(lab: Lab) -> None:
    with top(lab) as screen:
        screen.wait_for("labq worker")
        lab.kill_server("mongod")
        screen.wait_for("as of", "MongoDB does not answer")
        lab.up()
        screen.wait_for("labq worker", without=("as of",))
        screen.press(b"q")
        assert leaves(screen)


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
