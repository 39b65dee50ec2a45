"""`labq worker` that kills itself, and its supervisor, with SIGKILL at a chosen write of the round that acts on findings.

python deadly_worker.py METHOD before|after [options of labq worker]
"""

import os
import signal
import sys
from typing import Any

from queueing.cli.main import main
from store.mongo import MongoStore


def arm(method: str, when: str) -> None:
    real = getattr(MongoStore, method)

    def deadly(self: MongoStore, *given: Any, **more: Any) -> Any:
        if when == "before":
            die()
        real(self, *given, **more)
        return die()

    setattr(MongoStore, method, deadly)


def die() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    sys.argv = ["labq", "worker", *sys.argv[3:]]
    sys.exit(main())
