"""What a supervisor's process keeps from one attempt to the next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from notify.looking.looker import Looker
from queueing.doorbell import Doorbell
from store.settings import Settings
from store.store import Store
from store.workers import Worker
from worker.child import Child
from worker.gpus import Gpu
from worker.launch import Launch
from worker.packages import Packages
from worker.quick_start import Proven
from worker.rounds import Rounds
from worker.stopping import Requests
from worker.term import Term
from worker.tickets import Tickets


class MakeChild(Protocol):
    """Starts the command, as `Child` does."""

    def __call__(self, launch: Launch, output: Path, enter: Callable[[], None], starter: Sequence[str], /) -> Child: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnScript:
    """What is different for a run inside somebody's own script: nobody else may carry it out.

    So it begins without a look at this machine, goes on however long MongoDB is away, and what could not be stored
    stays. `patience_s`: how long to wait for MongoDB at the end. `root`: the process above all that is looked at.
    `gpus`: those that were given to the script.
    """

    runs_dir: Path
    make_child: MakeChild
    patience_s: Callable[[], float]
    root: int | None = None
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Connections, the worker as others know it, and what was asked and done so far."""

    store: Store
    doorbell: Doorbell
    settings: Settings
    worker: Worker
    requests: Requests
    repairs: Rounds
    looker: Looker
    presence: Rounds
    tickets: Tickets
    packages: Packages
    proven: Proven
    term: Term
    own: OwnScript | None = None
