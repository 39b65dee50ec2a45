"""Tickets of runs that have been claimed: the worker above has taken one, whichever it was, and we claim many."""

from queueing.doorbell import Doorbell, Ticket
from store.errors import DoorbellUnavailable
from store.runs import Run


class Tickets:
    """What is left of them wakes idle workers for nothing, so it goes. When Redis is away, it stays: that is all."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._answered: list[Ticket] = []
        self._away = False

    def claimed(self, run: Run) -> None:
        """Its ticket was written for the attempt before."""
        if not self._away:
            self._answered.append((run.id, run.attempt - 1, run.queue))

    def drop(self) -> None:
        """Those of the runs claimed so far. For a single one the worker above has taken a ticket."""
        if len(self._answered) < 2:
            return
        answered, self._answered = self._answered, []
        try:
            self._doorbell.take_back(answered)
        except DoorbellUnavailable:
            self._away = True
