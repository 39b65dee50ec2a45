"""Tickets in a real Redis."""

import time
import uuid
from collections.abc import Iterator

import pytest

from queueing.doorbell import Doorbell, TicketWorker
from queueing.repair import ring_missing
from store.connect import redis_url
from store.errors import BadSettings, DoorbellUnavailable
from store.memory import MemoryStore
from store.settings import Settings


@pytest.fixture
def bell(servers: Settings) -> Iterator[Doorbell]:
    made = Doorbell(redis_url(servers), 2.0)
    yield made
    made.close()


@pytest.fixture
def worker(servers: Settings) -> Iterator[TicketWorker]:
    made = TicketWorker(redis_url(servers), 2.0, f"q{uuid.uuid4().hex[:8]}", "w", 1.0)
    yield made
    made.leave()


def queue_of(worker: TicketWorker) -> str:
    return worker.queues[0].name.removeprefix("labq-")


def test_a_ring_wakes_a_worker_once(bell: Doorbell, worker: TicketWorker) -> None:
    bell.ring([("run1", 0, queue_of(worker))])
    assert worker.wait_for_ticket(1.0) == "run1-0"
    assert worker.wait_for_ticket(0.0) is None


@pytest.mark.prompt
def test_a_waiting_worker_hears_the_ring_at_once(bell: Doorbell, worker: TicketWorker) -> None:
    started = time.monotonic()
    assert worker.wait_for_ticket(1.0) is None
    assert 0.5 < time.monotonic() - started < 2.5


def test_ringing_twice_is_harmless(bell: Doorbell, worker: TicketWorker) -> None:
    bell.ring([("run1", 0, queue_of(worker))] * 2)
    assert worker.wait_for_ticket(0.0) == "run1-0"
    worker.wait_for_ticket(0.0)
    assert worker.wait_for_ticket(0.0) is None


def test_missing_tickets_are_found(bell: Doorbell, worker: TicketWorker) -> None:
    queue = queue_of(worker)
    tickets = [(f"run{uuid.uuid4().hex[:6]}", i, queue) for i in range(5)]
    bell.ring(tickets[:3])
    assert bell.missing(tickets) == tickets[3:]
    worker.wait_for_ticket(0.0)
    assert bell.missing(tickets) == [tickets[0], *tickets[3:]]


def test_nothing_remains_in_redis_of_an_answered_ticket(bell: Doorbell, worker: TicketWorker) -> None:
    ticket = (f"run{uuid.uuid4().hex[:6]}", 0, queue_of(worker))
    bell.ring([ticket])
    worker.wait_for_ticket(0.0)
    keys = [key.decode() for key in worker.connection.keys("*")]
    assert not [key for key in keys if ticket[0] in key]
    assert worker.connection.llen(worker.queues[0].intermediate_queue_key) == 0


def test_a_ticket_can_run_nothing(bell: Doorbell, worker: TicketWorker) -> None:
    from queueing.doorbell import TicketJob

    queue = worker.queues[0]
    queue.enqueue_call("subprocess.getoutput", args=("id",))
    (job_id,) = queue.job_ids
    job = TicketJob.fetch(job_id, connection=worker.connection, serializer=worker.serializer)
    with pytest.raises(PermissionError, match="labq worker"):
        job.perform()


@pytest.mark.prompt
def test_a_server_that_is_not_there_is_said_in_time() -> None:
    bell = Doorbell("redis://127.0.0.1:1/0", 0.5)
    started = time.monotonic()
    with pytest.raises(DoorbellUnavailable):
        bell.ring([("r", 0, "q")])
    assert time.monotonic() - started < 2
    assert ring_missing(MemoryStore(), bell) == 0


def test_a_bad_address_is_a_users_mistake() -> None:
    with pytest.raises(BadSettings, match="redis_url 'redis://x:\\*\\*\\*\\*"):
        Doorbell("redis://x:y@h:port/", 1.0)
