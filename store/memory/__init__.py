"""The in-memory twin of the MongoDB store: the same promises, for tests and for reading what they are."""

from store.memory.allocations import Allocations
from store.memory.crew import Crew
from store.memory.deliveries import Deliveries
from store.memory.diagnoses import Diagnoses
from store.memory.glances import Glances
from store.memory.imports import Imports
from store.memory.outbox import Outbox
from store.memory.overview import Overview
from store.memory.people import People
from store.memory.rules import Rules
from store.memory.stopping import Stopping
from store.memory.telling import Tellings
from store.memory.upkeep import Upkeep


class MemoryStore(
    Overview,
    Upkeep,
    Stopping,
    Glances,
    Diagnoses,
    Imports,
    People,
    Crew,
    Allocations,
    Tellings,
    Rules,
    Outbox,
    Deliveries,
):
    """`store.store.Store` in one process: one mixin per concern, one lock."""
