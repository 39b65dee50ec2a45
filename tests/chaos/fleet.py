"""The processes under fire: workers, the notifier, the servers. Who can be hit, and how they come back."""

import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType

import psutil
from lab import Lab, is_alive
from lines import Flow, Line, Network
from plan import Target

from store.errors import ServerFailed
from store.servers import mongod, redis_server
from store.servers.places import places

LEASE_S = 3.0
SETTINGS = {
    "LABQ_LEASE_S": str(LEASE_S),
    "LABQ_RENEW_S": "0.5",
    "LABQ_REPAIR_S": "0.5",
    "LABQ_LOOK_S": "1",
    "LABQ_SHIP_S": "0.2",
    "LABQ_MONGO_TIMEOUT_S": "2",
    "LABQ_REDIS_TIMEOUT_S": "1",
    "LABQ_SMTP_TIMEOUT_S": "1",
    "LABQ_NOTIFY_POLL_S": "0.5",
}
"""Everything about seven times as quick as the defaults, in the same proportions."""

LEAVE_S = 45.0
SERVERS: dict[Target, ModuleType] = {Target.REDIS: redis_server, Target.MONGOD: mongod}


@dataclass(slots=True)
class Slot:
    """A place for one `labq worker` (or the notifier): when its process dies it is started again."""

    name: str
    arguments: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    hit: bool = False
    """Its next end is our doing."""
    start_at: float = 0.0

    @property
    def is_crew(self) -> bool:
        """Several workers under one process that looks after them."""
        return "-n" in self.arguments


class Fleet:
    """A lab with workers behind lines of their own, and a notifier."""

    def __init__(self, lab: Lab, workers: int) -> None:
        self._lab, self._where = lab, places(lab.home)
        (lab.home / "tmp").mkdir()
        lab.env |= SETTINGS | {"TMPDIR": str(lab.home / "tmp")}
        self._network = Network()
        self._pool = ThreadPoolExecutor(2)
        self._returns: dict[Target, Future[None]] = {}
        self._frozen: set[Target] = set()
        self.slots = self._slots(workers)
        self.notifier = Slot("notifier", ("notify",))
        self.oddities: list[str] = []
        """Processes that ended although nobody hit them."""

    def _slots(self, workers: int) -> list[Slot]:
        """From four workers on, two of them are a crew."""
        sizes = [2, *[1] * (workers - 2)] if workers >= 4 else [1] * workers
        return [self._slot(number, size) for number, size in enumerate(sizes)]

    def _slot(self, number: int, size: int) -> Slot:
        sockets = self._where.sockets
        near = {name: sockets / f"{name}-{number}.sock" for name in ("mongo", "redis")}
        lines = (
            self._network.lay(near["mongo"], self._where.mongo_socket),
            self._network.lay(near["redis"], self._where.redis_socket),
        )
        env = {
            # Direct: the replica set would tell its own address, past the line.
            "LABQ_MONGO_URL": f"mongodb://{str(near['mongo']).replace('/', '%2F')}/?directConnection=true",
            "LABQ_REDIS_URL": f"unix://{near['redis']}?db=0",
        }
        arguments = ("worker", "-n", str(size)) if size > 1 else ("worker",)
        return Slot(f"worker-{number}", arguments, env, lines)

    # ── who can be hit ──
    def victims(self, target: Target) -> list[list[psutil.Process]]:
        """Living processes, each with those that fall with it, in a fixed order."""
        if target in SERVERS:
            return [[one] for one in SERVERS[target].running(self._where)] if self.is_up(target) else []
        if target is Target.NOTIFIER:
            return [[top] for top in _tops(self.notifier)]
        workers = self._workers()
        if target is Target.WORKER:
            crews = [_tops(slot) for slot in self.slots if slot.is_crew]
            return [[worker] for worker in workers] + [crew for crew in crews if crew]
        supervisors = [(worker, one) for worker in workers for one in _children(worker)]
        if target is Target.SUPERVISOR:
            return [[one] for _, one in supervisors]
        trees = [(worker, one, child) for worker, one in supervisors for child in _children(one) if _leads(child)]
        return [[child] if target is Target.CHILD else [worker, one, child] for worker, one, child in trees]

    def slot_of(self, process: psutil.Process) -> Slot | None:
        """The slot whose own process this is."""
        mine = [slot for slot in [*self.slots, self.notifier] if slot.process and slot.process.pid == process.pid]
        return mine[0] if mine else None

    def _workers(self) -> list[psutil.Process]:
        tops = [(slot, top) for slot in self.slots for top in _tops(slot)]
        return [worker for slot, top in tops for worker in (_children(top) if slot.is_crew else [top])]

    # ── coming and going ──
    def start(self) -> None:
        """Everybody to work."""
        for slot in [*self.slots, self.notifier]:
            slot.process = self._lab.start(*slot.arguments, **slot.env)

    def look_after(self) -> None:
        """Start again what has died, when its time has come."""
        for slot in [*self.slots, self.notifier]:
            if slot.process is not None and slot.process.poll() is not None:
                if not slot.hit:
                    self.oddities.append(f"{slot.name} ended of itself, status {slot.process.returncode}")
                slot.process = None
            if slot.process is None and time.monotonic() >= slot.start_at:
                slot.process, slot.hit = self._lab.start(*slot.arguments, **slot.env), False

    def hit(self, slot: Slot, hold_s: float) -> None:
        """Its process is about to end by our hand, and starts again so much later."""
        slot.hit, slot.start_at = True, time.monotonic() + hold_s

    def turn(self, slot: Slot, flow: Flow) -> None:
        """Cut the lines of a worker, or mend them."""
        self._network.turn(slot.lines, flow)

    def leave(self) -> None:
        """Everybody home, with one SIGTERM; who does not go is odd, and killed."""
        there = [(slot, slot.process) for slot in [*self.slots, self.notifier] if slot.process is not None]
        for _, process in there:
            process.send_signal(signal.SIGTERM)
        for slot, process in there:
            self._see_off(slot, process)

    def _see_off(self, slot: Slot, process: subprocess.Popen[bytes]) -> None:
        try:
            code = process.wait(LEAVE_S)
            if code != 0 and not slot.hit:
                self.oddities.append(f"{slot.name} left with status {code}")
        except subprocess.TimeoutExpired:
            self.oddities.append(f"{slot.name} does not leave in {LEAVE_S:.0f} s")
            process.kill()
            process.wait()

    def close(self) -> None:
        """Hang up. The lab ends what still runs."""
        self._pool.shutdown(wait=True)
        self._network.close()

    # ── servers ──
    def is_up(self, server: Target) -> bool:
        """Whether we have done it no harm that lasts."""
        coming = self._returns.get(server)
        return server not in self._frozen and (coming is None or coming.done())

    def freeze(self, server: Target) -> None:
        """It stands still until thawed."""
        self._frozen.add(server)

    def thaw(self, server: Target) -> None:
        """It goes on."""
        self._frozen.discard(server)

    def bring_back(self, server: Target, after_s: float) -> None:
        """Start it again in the background, once the old one is gone."""
        self._returns[server] = self._pool.submit(self._bring_back, SERVERS[server], after_s)

    def _bring_back(self, server: ModuleType, after_s: float) -> None:
        time.sleep(after_s)
        while True:
            with suppress(ServerFailed, psutil.Error):
                if not server.running(self._where):
                    server.start(self._where, lambda _: None)
                    return
            time.sleep(0.05)

    def flush_redis(self) -> None:
        """FLUSHALL."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(2)
            connection.connect(os.fspath(self._where.redis_socket))
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(64)

    def wipe_redis(self) -> None:
        """Its data is gone."""
        shutil.rmtree(self._where.redis_data, ignore_errors=True)


def _tops(slot: Slot) -> list[psutil.Process]:
    if slot.process is None or slot.process.poll() is not None:
        return []
    with suppress(psutil.NoSuchProcess):
        return [psutil.Process(slot.process.pid)]
    return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return sorted((one for one in process.children() if is_alive(one)), key=lambda one: one.pid)
    return []


def _leads(process: psutil.Process) -> bool:
    """A child of an attempt leads a session of its own; what the supervisor asks on the side does not."""
    with suppress(OSError):
        return os.getsid(process.pid) == process.pid
    return False
