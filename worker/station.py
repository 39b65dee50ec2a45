"""What a supervisor's process keeps from one attempt to the next."""

from dataclasses import dataclass

from notify.looking.looker import Looker
from queueing.doorbell import Doorbell
from store.settings import Settings
from store.store import Store
from store.workers import Worker
from worker.packages import Packages
from worker.quick_start import Proven
from worker.rounds import Rounds
from worker.stopping import Requests
from worker.term import Term
from worker.tickets import Tickets


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
