"""Redis and RQ: the doorbell. The only file that imports either.

A ticket says "look", nothing else: a worker that is woken claims the best eligible run in MongoDB, not the one on the
ticket. So duplicate, stale, replayed and lost tickets are harmless, and no function named in Redis is ever run.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer

from store.errors import BadSettings, DoorbellUnavailable
from store.settings import mask_url

LOOK = "queueing.doorbell.look"
"""The one function a ticket may name."""

TICKET_TTL_S = 3600
"""A ticket lost between Redis' list and a worker is rung again once its hash has expired; idle workers look sooner."""

SILENT_S = 10.0
"""How long a Redis that has not answered is not asked again."""

_CHUNK = 1000
_PREFIX = "labq-"
_WORKERS, _WORKER = "rq:workers:", "rq:worker:"

Ticket = tuple[str, int, str]
"""(run, attempt, queue)"""


class TicketJob(Job):
    """A job that cannot be made to run anything: whoever executes it is told to start `labq worker`."""

    def perform(self) -> Any:
        """Refuse, whatever function the ticket names."""
        raise PermissionError(f"ticket {self.id} names {self.func_name!r}; tickets are answered by: labq worker")


def look() -> None:
    """What a ticket names. `labq worker` never calls it."""
    raise PermissionError("tickets are answered by: labq worker")


class Doorbell:
    """Rings for runs, and tells which tickets are still there.

    A Redis that has not answered is left alone for a while: waiting for it in every round of repair, and at the end of
    every run, would cost more than the ringing is worth. `away`: it has not answered a moment ago.
    """

    def __init__(self, url: str, timeout_s: float, *, away: bool = False) -> None:
        self._redis = _connect(url, timeout_s)
        self._silent_until = time.monotonic() + SILENT_S if away else 0.0

    def close(self) -> None:
        """Give connections back."""
        self._redis.close()

    def ring(self, tickets: Iterable[Ticket]) -> None:
        """One ticket per run, in pipelines of a thousand. Raises DoorbellUnavailable."""
        by_queue: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in tickets:
            by_queue[ticket[2]].append(ticket)
        with self._answered():
            for name, waiting in by_queue.items():
                queue = _queue(name, self._redis)
                for start in range(0, len(waiting), _CHUNK):
                    queue.enqueue_many([_data(*ticket) for ticket in waiting[start : start + _CHUNK]])

    def rouse(self, queue: str, count: int) -> None:
        """Wake up to `count` idle workers of a queue, for no run in particular. Raises DoorbellUnavailable."""
        self.ring([(f"rouse-{uuid.uuid4().hex[:12]}", number, queue) for number in range(count)])

    def tell(self, channels: Iterable[str]) -> None:
        """Say on these channels that there is news in MongoDB. Raises DoorbellUnavailable."""
        with self._answered(), self._redis.pipeline(transaction=False) as pipeline:
            for channel in channels:
                pipeline.publish(channel, "news")
            pipeline.execute()

    def take_back(self, tickets: list[Ticket]) -> None:
        """Forget tickets of runs that have been claimed. Raises DoorbellUnavailable."""
        if not tickets:
            return
        with self._answered(), self._redis.pipeline(transaction=False) as pipeline:
            for run, attempt, name in tickets:
                pipeline.lrem(_queue(name, self._redis).key, 1, ticket_id(run, attempt))
                pipeline.delete(Job.key_for(ticket_id(run, attempt)))
            pipeline.execute()

    def missing(self, tickets: list[Ticket]) -> list[Ticket]:
        """Those of the tickets that Redis does not hold."""
        with self._answered(), self._redis.pipeline(transaction=False) as pipeline:
            for run, attempt, _ in tickets:
                pipeline.exists(Job.key_for(ticket_id(run, attempt)))
            held: list[int] = pipeline.execute()
        return [ticket for ticket, there in zip(tickets, held, strict=True) if not there]

    @contextmanager
    def _answered(self) -> Iterator[None]:
        if time.monotonic() < self._silent_until:
            raise DoorbellUnavailable("Redis has not answered a moment ago")
        try:
            with redis_errors():
                yield
        except DoorbellUnavailable:
            self._silent_until = time.monotonic() + SILENT_S
            raise

    # ── damage ──
    def tickets(self) -> Iterator[list[tuple[str, str]]]:
        """(queue, ticket) of all that wait, a thousand at a time. Raises DoorbellUnavailable."""
        for name in self._queue_names():
            start = 0
            while page := self._listed(_queue(name, self._redis).key, start):
                yield [(name, ticket) for ticket in page]
                start += _CHUNK

    def popped(self) -> list[tuple[str, str]]:
        """(queue, ticket) of those on the way to a worker, which takes a millisecond. Raises DoorbellUnavailable."""
        keys = {name: _queue(name, self._redis).intermediate_queue_key for name in self._queue_names()}
        return [(name, ticket) for name, key in keys.items() for ticket in self._listed(key, 0)]

    def drop(self, queue: str, ticket: str) -> bool:
        """Forget a ticket, wherever it is; whoever needs one rings again. Raises DoorbellUnavailable."""
        there = _queue(queue, self._redis)
        with redis_errors(), self._redis.pipeline() as pipeline:
            pipeline.lrem(there.key, 0, ticket)
            pipeline.lrem(there.intermediate_queue_key, 0, ticket)
            pipeline.delete(Job.key_for(ticket))
            return any(pipeline.execute())

    def expired_registrations(self) -> list[tuple[str, str]]:
        """(queue, worker) registered with RQ and not heard of. Raises DoorbellUnavailable."""
        found = []
        with redis_errors():
            for registry in self._redis.scan_iter(match=f"{_WORKERS}{_PREFIX}*", count=_CHUNK):
                queue = _text(registry).removeprefix(_WORKERS).removeprefix(_PREFIX)
                keys = [_text(key) for key in self._redis.smembers(registry)]
                found += [(queue, key.removeprefix(_WORKER)) for key in keys if not self._redis.exists(key)]
        return found

    def unregister(self, queue: str, worker: str) -> bool:
        """Take it off RQ's lists, unless it is heard of again. Raises DoorbellUnavailable."""
        with redis_errors():
            if self._redis.exists(_WORKER + worker):
                return False
            self._redis.srem("rq:workers", _WORKER + worker)
            return bool(self._redis.srem(f"{_WORKERS}{_PREFIX}{queue}", _WORKER + worker))

    def _queue_names(self) -> list[str]:
        with redis_errors():
            names = sorted(queue.name for queue in Queue.all(connection=self._redis))
        return [name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX)]

    def _listed(self, key: str, start: int) -> list[str]:
        with redis_errors():
            return [_text(ticket) for ticket in self._redis.lrange(key, start, start + _CHUNK - 1)]

    def version(self) -> str:
        """Redis' own version. Raises DoorbellUnavailable."""
        with redis_errors():
            info: dict[str, Any] = self._redis.info("server")
        name = info.get("server_name", "redis")
        return f"{name} {info.get(f'{name}_version', info['redis_version'])}"


class Listener:
    """Subscribed to channels. Raises DoorbellUnavailable."""

    def __init__(self, url: str, timeout_s: float, channels: Sequence[str]) -> None:
        self._redis = _connect(url, timeout_s)
        self._subscribed = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        with redis_errors():
            self._subscribed.subscribe(*channels)

    def heard(self, patience_s: float) -> bool:
        """Whether something was said within that time."""
        deadline = time.monotonic() + patience_s
        with redis_errors():
            while (left_s := deadline - time.monotonic()) > 0:
                if self._subscribed.get_message(timeout=left_s) is not None:
                    return True
        return False

    def close(self) -> None:
        """Give the connection back."""
        with suppress(RedisError, OSError):
            self._subscribed.close()
        self._redis.close()


def run_channel(run_id: str) -> str:
    """Where news of a run are told."""
    return f"labq-run-{run_id}"


def worker_channel(name: str) -> str:
    """Where news of a worker, or of every worker of a host, are told."""
    return f"labq-worker-{name}"


class TicketWorker(Worker):
    """RQ's worker for registration, heartbeat and the reliable pop (BLMOVE of one queue); it executes no job itself."""

    def __init__(self, url: str, timeout_s: float, queue: str, name: str, wait_s: float) -> None:
        ttl_s = max(1, round(wait_s)) + 15  # RQ waits for a ticket 15 s less than this
        connection = _connect(url, timeout_s)
        # Longer than the longest wait for a ticket. Everything else is answered at once, or not at all.
        self._patient = _connect(url, max(1, round(wait_s)) + timeout_s)
        with redis_errors():
            super().__init__(
                [_queue(queue, connection)],
                name=f"{name}-{uuid.uuid4().hex[:6]}",
                connection=connection,
                worker_ttl=ttl_s,
                job_class=TicketJob,
                serializer=JSONSerializer,
            )
            self.register_birth()  # type: ignore[no-untyped-call]

    @property
    def connection_timeout(self) -> int:
        """RQ would raise our time-out to this: every command of its would then wait as long as for a ticket."""
        return 0

    def wait_for_ticket(self, wait_s: float) -> str | None:
        """The id of a popped ticket, or None when none came in time. Raises DoorbellUnavailable."""
        timeout = None if wait_s <= 0 else max(1, round(wait_s))
        with redis_errors():
            self.heartbeat()
            try:
                popped = Queue.dequeue_any(
                    self.queues, timeout, connection=self._patient, job_class=TicketJob, serializer=JSONSerializer
                )
            except DequeueTimeout:
                return None
            except (RedisError, OSError):
                raise
            except Exception:  # noqa: BLE001 - whatever somebody wrote into Redis: a broken ticket says "look" like any other
                return None
            if popped is None:
                return None
            job, queue = popped
            self._drop(job, queue)
            return str(job.id)

    def leave(self) -> None:
        """Unregister, if Redis is there."""
        try:
            with redis_errors():
                self.register_death()  # type: ignore[no-untyped-call]
        except DoorbellUnavailable:
            pass
        self.connection.close()
        self._patient.close()

    def _drop(self, job: Job, queue: Queue) -> None:
        """The pop was the message: what RQ remembers of it goes at once."""
        with self.connection.pipeline() as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.delete(job.key)
            pipeline.execute()


@contextmanager
def redis_errors() -> Iterator[None]:
    """Driver exceptions become DoorbellUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise DoorbellUnavailable(f"Redis does not answer: {error}") from error


def _connect(url: str, timeout_s: float) -> Redis:
    """No retries: redis-py nests ten of them by default, which turns one ping at a black hole into minutes."""
    try:
        return Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
    except ValueError as error:
        raise BadSettings(f"redis_url {mask_url(url)!r}: {error}") from error


def _queue(name: str, connection: Redis) -> Queue:
    return Queue(f"{_PREFIX}{name}", connection=connection, job_class=TicketJob, serializer=JSONSerializer)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def ticket_id(run: str, attempt: int) -> str:
    """What its ticket is called."""
    return f"{run}-{attempt}"


def _data(run: str, attempt: int, _queue_name: str) -> Any:
    """No time-out, no result, no retry: RQ's defaults for all three lose or repeat long work."""
    return Queue.prepare_data(
        LOOK,
        args=(run, attempt),
        timeout=-1,
        result_ttl=0,
        failure_ttl=60,
        ttl=TICKET_TTL_S,
        description=f"run {run}",
        job_id=ticket_id(run, attempt),
    )
