"""The store that the settings name."""

from importlib import import_module
from pathlib import Path
from urllib.parse import quote

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
    url = settings.mongo_url or places(settings.home).mongo_url
    return _with_authority(url, "tlsCAFile", settings.mongo_ca_file)


def redis_url(settings: Settings) -> str:
    """The configured Redis, else the embedded one."""
    url = settings.redis_url or places(settings.home).redis_url
    return _with_authority(url, "ssl_ca_certs", settings.redis_ca_file)


def _with_authority(url: str, name: str, file: str) -> str:
    """Both drivers take it in the URL, where whoever is handed the URL alone finds it, too."""
    if not file or f"{name}=" in url:
        return url
    before = "&" if "?" in url else "?" if "/" in url.partition("://")[2] else "/?"
    return f"{url}{before}{name}={quote(str(Path(file).expanduser().absolute()), safe='/')}"


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
