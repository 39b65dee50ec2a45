"""The store in MongoDB. Nothing outside this package and `store.servers` imports the driver."""

from store.mongo.allocations import Allocations
from store.mongo.client import connect
from store.mongo.crew import Crew
from store.mongo.damage import Damaged
from store.mongo.deliveries import Deliveries
from store.mongo.diagnoses import Diagnoses
from store.mongo.excerpts import Excerpts
from store.mongo.glances import Glances
from store.mongo.imports import Imports
from store.mongo.outbox import Outbox
from store.mongo.overview import Overview
from store.mongo.people import People
from store.mongo.reports import Reports
from store.mongo.rows import Rows
from store.mongo.rules import Rules
from store.mongo.schema import ensure_schema
from store.mongo.stopping import StoppingRules
from store.mongo.studies import Studies
from store.mongo.telling import Tellings
from store.mongo.views import Views


class MongoStore(
    People,
    Rows,
    Damaged,
    Crew,
    Allocations,
    Diagnoses,
    Excerpts,
    Outbox,
    Deliveries,
    Tellings,
    Rules,
    Overview,
    Glances,
    Views,
    StoppingRules,
    Studies,
    Reports,
    Imports,
):
    """`store.store.Store` in MongoDB: one mixin per concern, one connection."""


def open_store(url: str, database: str, timeout_s: float) -> MongoStore:
    """Connect, create what is missing (indexes, validators), and return the store. Raises StoreUnavailable."""
    client = connect(url, timeout_s)
    store = MongoStore(client, client[database], timeout_s)
    ensure_schema(store.database)
    return store
