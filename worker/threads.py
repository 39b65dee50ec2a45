"""Starting threads on a machine that may have no room for another."""

import errno
import threading


def start(thread: threading.Thread) -> None:
    """Raises OSError (EAGAIN), as a fork would: trouble of the machine, which is no fault of the run."""
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
