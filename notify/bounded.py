"""Work that is given up when it takes too long, whatever it hangs in: a name server, a handshake, a byte at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The work was left alone; its thread ends when what it hangs in does."""


def within(limit_s: float, work: Callable[[], T], cut: Callable[[], None], name: str) -> T:
    """What `work` returns or raises, or TookTooLong. `cut` is called from outside then, to end it.

    Time-outs of sockets start anew with every byte, and Python looks up names without any.
    """
    future: Future[T] = Future()

    def carry_out() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=carry_out, name=name, daemon=True).start()
    if wait([future], timeout=limit_s).not_done:
        cut()
        raise TookTooLong
    return future.result()
