"""From the run directory to MongoDB: events, output, checkpoints.

The files are the spool: while MongoDB is away they grow, and the same shipment is offered again until it is accepted
or the attempt is superseded. Offsets stored in the same transaction make a repeated shipment harmless.
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from store.errors import LabqError, StoreUnavailable, Superseded
from store.logbook import say, warn
from store.metrics import Shipment, summarize
from store.runs import Checkpoint, MetricSummary, Run
from store.store import Store
from worker.events import Announced, Batch, EventReader, worth_publishing
from worker.pacing import Pacing
from worker.published import Held, Mark, forget, hold, look, newest_file
from worker.rundir import RunDir
from worker.server_clock import ServerClock
from worker.threads import start

_DOUBT_NS = 1_000_000_000
"""How long a file that has taken the name of an announced one is waited for to be announced itself."""

MOST_BYTES = 4 << 20
"""Events or output per shipment: whoever is behind sends some 50,000 points in one transaction of 50 ms, a third sooner
in all than in four."""


@dataclass(slots=True)
class _Cargo:
    """A shipment that MongoDB has not accepted yet, and what follows once it has."""

    shipment: Shipment
    summary: dict[str, MetricSummary]
    batch: Batch


@dataclass(slots=True)
class _Position:
    """What has been accepted so far."""

    events_bytes: int = 0
    output_bytes: int = 0
    summary: dict[str, MetricSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """How long the child's files were when we looked."""

    events_bytes: int
    output_bytes: int
    events_at_ns: int


class Shipper:
    """Ships every `pause_s` seconds in a thread of its own; `finish` ships the rest."""

    def __init__(
        self,
        store: Store,
        run: Run,
        folder: RunDir,
        *,
        pause_s: float,
        keep: int,
        clock: ServerClock,
        superseded: Callable[[], None],
        pacing: Pacing,
    ) -> None:
        self._store, self._run, self._folder = store, run, folder
        self._pause_s, self._keep, self._clock, self._superseded = pause_s, keep, clock, superseded
        self._pacing = pacing
        self._reader = EventReader(reached=max((one.last_step for one in run.summary.values()), default=-1))
        self._position = _Position(summary=dict(run.summary))
        self._cargo: _Cargo | None = None
        self._announced: list[Announced] = []  # those that wait to be published, oldest first
        self._held: dict[str, Held] = {}
        self._published: dict[Mark, int] = {}  # with the line that was stored with it
        self._told: set[Mark] = set()
        self._replaced: set[Announced] = set()
        self._artifacts: list[str] = []
        self.said = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        start(self._thread)

    def finish(self, patience_s: float, hurry: Callable[[], bool]) -> bool:
        """Ship what is left, for `patience_s` at most; False when something is left. Raises Superseded."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self._ship_all(final=True)
                return True
            except StoreUnavailable as error:
                if time.monotonic() > deadline or hurry():
                    warn("unshipped", run=self._run.id, attempt=self._run.attempt, error=error)
                    return False
                time.sleep(min(1.0, self._pause_s))

    def _work(self) -> None:
        away = False
        while not self._stop.wait(self._pause_s):
            try:
                self._ship_all(final=False)
                if away:
                    say("store-is-back", run=self._run.id, attempt=self._run.attempt)
                away = False
            except Superseded:
                self._superseded()
                return
            except LabqError as error:
                if not away:
                    warn("spooling", run=self._run.id, attempt=self._run.attempt, error=error)
                away = True
            except OSError as error:
                self._warn("cannot-read-run-dir", error=error)

    def _ship_all(self, *, final: bool) -> None:
        """First the points, then the newest checkpoint: its pointer never runs ahead of what belongs to it."""
        seen = look(self._folder.checkpoints)  # before the events are read: what was logged before a rename is shipped
        written = self._written()  # no further: a child that writes on without a pause would keep us from publishing
        while self._next_cargo(written, seen, final=final):
            self._ship_cargo()
        if final:  # no line of their own will come any more for what has taken their names
            self._announced = [one for one in self._announced if one not in self._replaced]
        if not self._announced:
            self._announce_newest(seen)
        self._publish()
        self._keep_artifacts()

    def _written(self) -> _Written:
        events_bytes, events_at_ns = _size(self._folder.events)
        return _Written(
            events_bytes=events_bytes, events_at_ns=events_at_ns, output_bytes=_size(self._folder.output)[0]
        )

    def _next_cargo(self, written: _Written, seen: Mapping[str, Mark], *, final: bool) -> bool:
        """Whether there is something to ship: what MongoDB has not accepted yet comes first."""
        self._cargo = self._cargo or self._load(written, seen, final=final)
        return self._cargo is not None

    def _ship_cargo(self) -> None:
        assert self._cargo is not None
        self._store.ship(self._run.id, self._run.attempt, self._cargo.shipment, self._cargo.summary)
        self._accepted(self._cargo)
        self._cargo = None

    def _load(self, written: _Written, seen: Mapping[str, Mark], *, final: bool) -> _Cargo | None:
        read = _read(self._folder.events, self._position.events_bytes, written.events_bytes)
        events = _whole_lines(read, final=final)
        batch = self._reader.read(events, time.time(), self._clock.offset_s())
        if events:
            self._pacing.reported(len(batch.checkpoints))
        self._told.update(seen[one.name] for one in batch.checkpoints if one.name in seen)
        if self._position.events_bytes + len(read) >= written.events_bytes:
            self._set_apart_replaced([*self._announced, *batch.checkpoints], seen, written)
            self._hold([*self._announced, *batch.checkpoints], seen)
        output = _read(self._folder.output, self._position.output_bytes, written.output_bytes)
        if not events and not output:
            return None
        for broken in batch.broken:
            warn("event-not-understood", run=self._run.id, attempt=self._run.attempt, problem=broken)
        shipment = Shipment(
            events_from=self._position.events_bytes,
            events_to=self._position.events_bytes + len(events),
            lines_to=self._reader.lines,
            segments=batch.segments,
            output_from=self._position.output_bytes,
            output=output,
            progress=batch.progress,
            remark=batch.stop or (batch.broken[-1] if batch.broken else None),
        )
        return _Cargo(shipment, summarize(self._position.summary, batch.segments), batch)

    def _accepted(self, cargo: _Cargo) -> None:
        self._position = _Position(cargo.shipment.events_to, cargo.shipment.output_to, cargo.summary)
        self.said = cargo.batch.stop or self.said
        self._artifacts += cargo.batch.artifacts
        self._announced = worth_publishing([*self._announced, *cargo.batch.checkpoints])

    # ── checkpoints ──
    def _set_apart_replaced(self, announced: list[Announced], seen: Mapping[str, Mark], written: _Written) -> None:
        """Lines whose file another has replaced that has no line yet.

        Under a name that was announced before, a file renamed into place when further lines had been written, and
        after the last of them, is not that of the newest line. The file system's clock ticks every few milliseconds,
        so a file of the same tick is doubtful; it is waited for, for a second.
        """
        self._replaced = set()
        names = Counter(one.name for one in announced)
        for one in worth_publishing(announced):
            used_before = names[one.name] > 1 or any(
                mark[0] == one.name for mark in self._told | self._published.keys()
            )
            mark = seen.get(one.name)
            if mark is None or not used_before or one.line >= self._reader.lines or mark in self._published:
                continue
            if mark[2] >= written.events_at_ns and time.time_ns() - mark[2] < _DOUBT_NS:
                self._replaced.add(one)

    def _hold(self, announced: list[Announced], seen: Mapping[str, Mark]) -> None:
        """Every line up to our look has been read: what lies under a name is what its newest line announced."""
        for one in worth_publishing(announced):
            if one in self._replaced:
                continue
            held = self._held.get(one.name)
            if held is not None and held.announced == one:
                continue
            if (held := hold(self._folder.checkpoints, one, seen)) is not None:
                self._let_go(one.name)
                self._held[one.name] = held

    def _let_go(self, name: str) -> None:
        if (held := self._held.pop(name, None)) is not None:
            held.close()

    def _announce_newest(self, seen: Mapping[str, Mark]) -> None:
        """What was published by rename and no line has announced, yet or ever, counts with the position it has now."""
        newest_at = max((mark[2] for mark in self._published), default=0)
        known = self._published.keys() | self._told
        fresh = {name: mark for name, mark in seen.items() if mark[2] >= newest_at and mark not in known}
        name = newest_file(fresh, self._folder.checkpoints)
        if name is None:
            return
        found = Announced(name=name, step=_step_in(Path(name)), line=self._reader.lines)
        self._hold([found], seen)
        if name in self._held:  # else it was replaced this moment; the next round finds its successor
            self._announced = [found]
            self._told.add(seen[name])

    def _publish(self) -> None:
        """Upload what waits; a best checkpoint that a newer one follows comes first, so that the pointer ends right."""
        for announced in list(self._announced):
            if self._publish_one(announced):
                self._announced.remove(announced)
        for name in self._held.keys() - {one.name for one in self._announced}:
            self._let_go(name)

    def _publish_one(self, announced: Announced) -> bool:
        """Whether it is done with: stored, or lost."""
        held = self._held.get(announced.name)
        if held is None or held.announced != announced:
            return self._is_lost(announced)
        if self._published.get(held.mark, -1) >= announced.line:
            return True
        if not held.is_unchanged():
            self._let_go(announced.name)
            return False
        began = time.monotonic()
        try:
            stored = self._store.publish_checkpoint(self._described(announced, held), held.path(), self._keep)
        except OSError as error:
            self._warn("checkpoint-not-readable", name=announced.name, error=error)
            return True
        self._pacing.stored(time.monotonic() - began)
        self._published[held.mark] = announced.line
        self._say("checkpoint", step=stored.step, size_bytes=stored.size_bytes)
        self._forget_local(held.mark)
        return True

    def _is_lost(self, announced: Announced) -> bool:
        """Gone. Else it came, or was replaced, after our look: the next one tells."""
        if announced.name in look(self._folder.checkpoints):
            return False
        self._warn("checkpoint-not-readable", name=announced.name, error="there is no such file or folder")
        return True

    def _described(self, announced: Announced, held: Held) -> Checkpoint:
        return Checkpoint(
            id="",
            run=self._run.id,
            attempt=self._run.attempt,
            step=announced.step,
            line=announced.line,
            name=announced.name,
            is_dir=held.place.is_dir(),
            size_bytes=0,
            sha256="",
            created_at=datetime.now(UTC),
            best=announced.best,
        )

    def _forget_local(self, stored: Mark) -> None:
        """Copies that MongoDB has a newer one of: those that were announced before it, and are still what they were."""
        waiting = {one.name for one in self._announced}
        for mark in [mark for mark in self._told if mark != stored and mark[0] not in waiting]:
            self._told.remove(mark)
            with suppress(OSError):
                forget(self._folder.checkpoints, mark)

    def _say(self, event: str, **fields: object) -> None:
        say(event, run=self._run.id, attempt=self._run.attempt, **fields)

    def _warn(self, event: str, **fields: object) -> None:
        warn(event, run=self._run.id, attempt=self._run.attempt, **fields)

    def _keep_artifacts(self) -> None:
        while self._artifacts:
            path = Path(self._run.task.workdir, self._artifacts[0])
            try:
                self._store.add_artifact(self._run.id, self._run.attempt, path, self._source(path))
            except (OSError, ValueError) as error:
                self._warn("artifact-not-kept", path=path, error=error)
            del self._artifacts[0]

    def _source(self, path: Path) -> str:
        """The same in every attempt, though each has a run directory of its own."""
        real, own = os.path.realpath(path), os.path.realpath(self._folder.path)
        return os.path.relpath(real, own) if real.startswith(own + os.sep) else real


def _size(path: Path) -> tuple[int, int]:
    """Bytes, and when the last of them was written, in ns."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _read(path: Path, offset: int, end: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(max(0, min(MOST_BYTES, end - offset)))
    except FileNotFoundError:
        return b""


def _whole_lines(data: bytes, *, final: bool) -> bytes:
    """Up to the last newline: a line still being written waits, unless nobody writes any more."""
    if final and len(data) < MOST_BYTES:
        return data
    end = data.rfind(b"\n") + 1
    return data[:end] if end or len(data) < MOST_BYTES else data


def _step_in(path: Path) -> int:
    """The last number in a name such as `model-1200.pt`; 0 when there is none that can be a step."""
    numbers = re.findall(r"[0-9]+", path.stem)
    return int(numbers[-1]) if numbers and len(numbers[-1]) <= 18 else 0
