"""Servers for the tests: one embedded pair per session, in a folder of its own; databases and queues per test.

A server that cannot start skips what needs it on a laptop and fails it where CI is set.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.errors import ServerFailed
from store.mongo import MongoStore, open_store
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings

NO_CLUSTER = "HERE: "
"""In the reasons of skipped tests, as in "NO SLURM HERE: not installed: slurmd"."""


LONGEST_FIRST = ("clusters", "e2e", "numeric", "integration", "contract", "chaos", "unit")
"""Rooms of tests in which one takes minutes begin first, so that no process waits for another one's at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Promptness on a machine that does other things as well is measured twice, and what is right or wrong once."""
    here = Path(__file__).parent
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.relative_to(here).parts[0]))
    for item in items:
        if item.get_closest_marker("prompt"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the trainer prepares is kept for the session, in a folder that is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_DATA_CACHE", str(tmp_path_factory.mktemp("prepared-data")))
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """Settings of a running pair of embedded servers."""
    home = Path(tempfile.mkdtemp(prefix="labq-test-"))
    settings = Settings(home=home)
    try:
        lifecycle.up(settings)
    except ServerFailed as error:
        shutil.rmtree(home, ignore_errors=True)
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield settings
    lifecycle.down(settings)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def reused_database(servers: Settings) -> Iterator[str]:
    """The name of a database that tests empty and hand on.

    One per test would cost 0.2 s each, and some hundred open files: MongoDB keeps those of a dropped collection for
    five minutes, until its limit ends it.
    """
    with _database(servers) as store:
        yield store.database.name


@pytest.fixture
def mongo_store(servers: Settings, reused_database: str) -> Iterator[MongoStore]:
    """A store on an empty database. A test that changes indexes, views or the version takes `own_mongo_store`."""
    store = open_store(places(servers.home).mongo_url, reused_database, 10.0)
    yield store
    _empty(store)
    store.close()


@pytest.fixture
def own_mongo_store(servers: Settings) -> Iterator[MongoStore]:
    """A store on a database of its own."""
    with _database(servers) as store:
        yield store


@contextmanager
def _database(servers: Settings) -> Iterator[MongoStore]:
    store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    yield store
    store.client.drop_database(store.database.name)
    store.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A cluster that could not be had is said aloud, not only among other skips."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if _has_reason(report)]
    found = [reason.removeprefix("Skipped: ") for reason in reasons if NO_CLUSTER in reason]
    for reason in sorted(set(found)):
        terminalreporter.write_line(
            f"{found.count(reason)} TESTS OF A CLUSTER WERE SKIPPED: {reason}", yellow=True, bold=True
        )


def _has_reason(report: pytest.TestReport) -> bool:
    return isinstance(report.longrepr, tuple)


def _empty(store: MongoStore) -> None:
    for name in store.database.list_collection_names(filter={"type": "collection"}):
        if not name.startswith("system."):
            store.database[name].delete_many({"_id": {"$ne": "schema"}} if name == "meta" else {})
