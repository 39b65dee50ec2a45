"""The connection: timeouts on everything, one retry at most, driver errors wrapped at this border."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from dns.exception import DNSException
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, PyMongoError, WTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from store.errors import BadSettings, StoreFailed, StoreUnavailable
from store.settings import mask_url

Document = dict[str, Any]
Session = ClientSession
P = ParamSpec("P")
T = TypeVar("T")

AWAY_CODES = frozenset({24, 50, 89, 91, 112, 189, 251, 262, 10107, 11600, 11602, 13435, 13436})
"""Server codes that mean "not now": time-outs, a conflict that lasts, shutdown, stepping down, not primary."""


def connect(url: str, timeout_s: float) -> MongoClient[Document]:
    """A client whose every operation, retries included, ends within `timeout_s` seconds."""
    timeout_ms = int(timeout_s * 1000)
    try:
        return MongoClient(
            url,
            appname="labq",
            tz_aware=True,
            tzinfo=UTC,
            timeoutMS=timeout_ms,
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
            socketTimeoutMS=timeout_ms,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            retryWrites=True,
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        if isinstance(error.__cause__ or error.__context__, DNSException | OSError):
            raise StoreUnavailable(f"MongoDB's name cannot be looked up: {error}") from error
        raise BadSettings(f"mongo_url {mask_url(url)!r}: {error}") from error


class Connected:
    """What every part of the store holds: client, database, and the longest wait."""

    def __init__(self, client: MongoClient[Document], database: Database[Document], timeout_s: float) -> None:
        self.client = client
        self.database: Database[Document] = database.with_options(
            codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        self.timeout_s = timeout_s

    def close(self) -> None:
        """Give connections back."""
        self.client.close()

    def now(self) -> datetime:
        """The server's clock."""
        with driver_errors():
            reply: Document = self.client.admin.command("hello")
            now: datetime = reply["localTime"]
            return now.replace(tzinfo=UTC)

    def version(self) -> str:
        """The server's own version."""
        with driver_errors():
            return f"MongoDB {self.client.admin.command('buildInfo')['version']}"

    def in_transaction(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, again after a conflict, within the longest wait."""
        with pymongo.timeout(self.timeout_s), self.client.start_session() as session:
            return session.with_transaction(work)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Driver exceptions become StoreUnavailable or StoreFailed."""
    try:
        yield
    except PyMongoError as error:
        raise _wrapped(error) from error
    except (BSONError, OverflowError, UnicodeError) as error:
        raise StoreFailed(f"MongoDB cannot hold this: {error}") from error


def guarded(method: Callable[P, T]) -> Callable[P, T]:
    """`driver_errors` around a method."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with driver_errors():
            return method(*args, **kwargs)

    return call


def _wrapped(error: PyMongoError) -> Exception:
    if error.timeout or isinstance(error, ConnectionFailure | WTimeoutError) or _code(error) in AWAY_CODES:
        return StoreUnavailable(f"MongoDB does not answer: {_first_sentence(error)}")
    return StoreFailed(f"MongoDB refused: {error}")


def _code(error: PyMongoError) -> int | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _first_sentence(error: PyMongoError) -> str:
    return str(error).split(", Timeout:")[0].split("(configured timeouts")[0].strip()
