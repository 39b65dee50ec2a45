"""Sockets, of Unix or TCP, that lead to a server until they are cut: the network between one worker and the servers."""

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

_BLOCK_BYTES = 1 << 16

Address = tuple[str, int]


class Flow(Enum):
    """What a line does with what is put into it."""

    OPEN = auto()
    CUT = auto()
    HOLE = auto()


class Line:
    """One socket and all connections through it. Its methods run in the thread of its `Network`."""

    def __init__(self, near: Path | Address, far: Path) -> None:
        self._near, self._far = near, far
        self._flow = Flow.OPEN
        self._flows = asyncio.Event()
        self._flows.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """From here on it can be connected to."""
        if isinstance(self._near, Path):
            await asyncio.start_unix_server(self._accept, path=str(self._near))
        else:
            await asyncio.start_server(self._accept, *self._near)

    def turn(self, flow: Flow) -> None:
        """Open, cut, or swallow from now on. What a hole has swallowed comes out when it is open again."""
        self._flow = flow
        if flow is Flow.HOLE:
            self._flows.clear()
        else:
            self._flows.set()
        if flow is Flow.CUT:
            for end in self._ends:
                end.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._flows.wait()
            if self._flow is not Flow.CUT:
                await self._talk(reader, writer)
        except OSError:
            pass  # the far server is away, or somebody hung up
        finally:
            self._forget(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._far))
        self._ends.add(far_writer)
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._forget(far_writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while block := await source.read(_BLOCK_BYTES):
            await self._flows.wait()
            sink.write(block)
            await sink.drain()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._ends.discard(writer)
        with suppress(OSError, RuntimeError):
            writer.close()


class Network:
    """All lines, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def lay(self, near: Path | Address, far: Path) -> Line:
        """A new line from the socket `near` to the one at `far`."""

        async def make() -> Line:
            line = Line(near, far)
            await line.listen()
            return line

        made: Future[Line] = asyncio.run_coroutine_threadsafe(make(), self._loop)
        return made.result()

    def turn(self, lines: Iterable[Line], flow: Flow) -> None:
        """Open, cut, or swallow."""
        for line in lines:
            self._loop.call_soon_threadsafe(line.turn, flow)

    def close(self) -> None:
        """Hang up everywhere."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
