"""A machine that has no room for another thread."""

import errno
import threading

import pytest

from worker.threads import start


def test_a_thread_that_cannot_be_started_is_trouble_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread") as raised:
        start(threading.Thread(target=print))
    assert raised.value.errno == errno.EAGAIN
