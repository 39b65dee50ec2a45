"""Threads that compute together, kept alive between calls: a kernel holds no lock of Python's while it runs.

They are not bound to processors: several runs on one host would all choose the same ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")
_Task = tuple[Callable[[int], object], "Future[object]"]


class Crew:
    """n threads, of which the caller's is the first. The others start when first needed and end with the process."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._process = 0
        self._queues: list[SimpleQueue[_Task]] = []

    def run(self, task: Callable[[int], Result]) -> Result:
        """task(0) here and task(1) … task(n-1) in the other threads, at once; returns what task(0) does.

        An error of any is raised here when all have ended, so a task that waits for the others must not raise alone.
        """
        if self.n == 1:
            return task(0)
        self._start()
        futures: list[Future[object]] = [Future() for _ in self._queues]
        for queue, future in zip(self._queues, futures, strict=True):
            queue.put((task, future))
        try:
            return task(0)
        finally:
            for future in futures:
                future.result()

    def _start(self) -> None:
        """Threads do not come along when a process forks: the child needs its own."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._queues = [SimpleQueue() for _ in range(1, self.n)]
        for index, queue in enumerate(self._queues, start=1):
            threading.Thread(target=_work, args=(index, queue), daemon=True, name=f"crew-{index}").start()


def _work(index: int, queue: SimpleQueue[_Task]) -> None:
    while True:
        task, future = queue.get()
        try:
            future.set_result(task(index))
        except BaseException as problem:  # noqa: BLE001  (whatever it is, it is raised where the crew was called)
            future.set_exception(problem)
        del task, future
