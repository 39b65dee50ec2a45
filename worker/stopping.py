"""Being asked to leave: once means "checkpoint first", again means "now".

What stops a machine says so to every process (systemd, Slurm), and each process says it to those below: the same
request arrives several times within a moment. A supervisor never guesses: SIGTERM is always the first request, however
often it comes, and the second has a signal of its own. Only a process that people talk to looks at the clock.
"""

import signal

HURRY = signal.SIGUSR2
"""From a crew to its workers, from a worker to its supervisor: do not wait for a checkpoint."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, HURRY})

_KEY_S = 0.2
_ECHO_S = 1.0


def means_hurry(number: int, since_first_s: float | None) -> bool:
    """Whether this signal is a second request. A person presses Ctrl-C twice; SIGTERM may be an echo of the first."""
    if number == HURRY:
        return True
    return since_first_s is not None and since_first_s >= (_KEY_S if number == signal.SIGINT else _ECHO_S)
