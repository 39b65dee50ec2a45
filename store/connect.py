"""The store that the settings name."""

from importlib import import_module

from store.errors import BeingRestored, StoreUnavailable
from store.mongo import MongoStore, open_store
from store.mongo.client import connect as mongo_client
from store.mongo.codec import make_ready
from store.runs import Checkpoint, Run
from store.servers.places import places
from store.settings import Settings

_HINT = "start the embedded servers with: labq up (or set mongo_url)"


def mongo_url(settings: Settings) -> str:
    """The configured MongoDB, else the embedded one."""
    return settings.mongo_url or places(settings.home).mongo_url


def redis_url(settings: Settings) -> str:
    """The configured Redis, else the embedded one."""
    return settings.redis_url or places(settings.home).redis_url


def prepare_to_connect() -> None:
    """Work that every process forked from this one would else do again. Opens nothing, starts no thread."""
    make_ready(Run, Checkpoint)
    import_module("numpy")  # what resumes sums up the points that it keeps


def connect_as_it_is(settings: Settings, database: str = "") -> MongoStore:
    """Without a look at the schema: for those who read a database whole, or write it whole."""
    if settings.uses_embedded_mongo and not places(settings.home).mongo_socket.exists():
        raise StoreUnavailable(f"MongoDB is not running; {_HINT}")
    client = mongo_client(mongo_url(settings), settings.mongo_timeout_s)
    return MongoStore(client, client[database or settings.mongo_database], settings.mongo_timeout_s)


def connect(settings: Settings) -> MongoStore:
    """Raises StoreUnavailable with what to do about it."""
    if settings.uses_embedded_mongo and not places(settings.home).mongo_socket.exists():
        raise StoreUnavailable(f"MongoDB is not running; {_HINT}")
    try:
        return open_store(mongo_url(settings), settings.mongo_database, settings.mongo_timeout_s)
    except BeingRestored:
        raise
    except StoreUnavailable as error:
        hint = f"; {_HINT}" if settings.uses_embedded_mongo else "; check mongo_url (labq config)"
        raise StoreUnavailable(f"{error}{hint}") from error
