"""One lab per test module; every test brings its own workers."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Lab

from store.errors import ServerFailed


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    try:
        made = Lab()
    except ServerFailed as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def lab(shared_lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The module's lab, its servers running; the workers of a test end with it."""
    shared_lab.up()
    if getattr(request.node, "execution_count", 1) > 1:  # tried again: its runs would be there already
        shared_lab.forget()
    yield shared_lab
    for process in shared_lab.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    shared_lab.processes.clear()


@pytest.fixture(scope="module")
def undisturbed(shared_lab: Lab) -> dict[str, Any]:
    """The outcome of a run that nobody disturbed."""
    run = shared_lab.enqueue_steps("undisturbed")
    shared_lab.worker("--burst").wait()
    shared_lab.wait_until_ended(run)
    return shared_lab.outcome(run)
