"""From the run directory to MongoDB: events, output, checkpoints.

The files are the spool: while MongoDB is away they grow, and the same shipment is offered again until it is accepted
or the attempt is superseded. Offsets stored in the same transaction make a repeated shipment harmless.
"""

import re
import shutil
import threading
import time
from collections.abc import Callable
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
from worker.rundir import RunDir

Mark = tuple[str, int, int]
"""Name, inode, time of the rename."""

MOST_BYTES = 1 << 20
"""Events or output per shipment: a transaction of a few thousand points takes some ten milliseconds."""


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


class Shipper:
    """Ships every `pause_s` seconds in a thread of its own; `finish` ships the rest."""

    def __init__(
        self, store: Store, run: Run, folder: RunDir, *, pause_s: float, keep: int, superseded: Callable[[], None]
    ) -> None:
        self._store, self._run, self._folder = store, run, folder
        self._pause_s, self._keep, self._superseded = pause_s, keep, superseded
        self._reader = EventReader()
        self._position = _Position(summary=dict(run.summary))
        self._cargo: _Cargo | None = None
        self._announced: list[Announced] = []  # those that wait to be published, oldest first
        self._published: set[Mark] = set()
        self._told: set[str] = set()
        self._artifacts: list[str] = []
        self.said = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

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
        unannounced = self._unannounced()
        written = self._written()  # no further: a child that writes on without a pause would keep us from publishing
        while self._next_cargo(written, final=final):
            self._ship_cargo()
        if not self._announced and unannounced is not None:
            step, line = _step_in(unannounced), self._reader.lines
            self._announced = [Announced(name=unannounced.name, step=step, line=line)]
            self._told.add(unannounced.name)
        self._publish()
        self._keep_artifacts()

    def _written(self) -> _Written:
        return _Written(events_bytes=_size(self._folder.events), output_bytes=_size(self._folder.output))

    def _next_cargo(self, written: _Written, *, final: bool) -> bool:
        """Whether there is something to ship: what MongoDB has not accepted yet comes first."""
        self._cargo = self._cargo or self._load(written, final=final)
        return self._cargo is not None

    def _ship_cargo(self) -> None:
        assert self._cargo is not None
        self._store.ship(self._run.id, self._run.attempt, self._cargo.shipment, self._cargo.summary)
        self._accepted(self._cargo)
        self._cargo = None

    def _load(self, written: _Written, *, final: bool) -> _Cargo | None:
        events = _read(self._folder.events, self._position.events_bytes, written.events_bytes)
        events = _whole_lines(events, final=final)
        output = _read(self._folder.output, self._position.output_bytes, written.output_bytes)
        if not events and not output:
            return None
        batch = self._reader.read(events, time.time())
        for broken in batch.broken:
            warn("event-not-understood", run=self._run.id, attempt=self._run.attempt, problem=broken)
        shipment = Shipment(
            events_from=self._position.events_bytes,
            events_to=self._position.events_bytes + len(events),
            lines_to=self._reader.lines,
            points=batch.points,
            output_from=self._position.output_bytes,
            output=output,
            progress=batch.progress,
            remark=batch.stop or (batch.broken[-1] if batch.broken else None),
        )
        return _Cargo(shipment, summarize(self._position.summary, batch.points), batch)

    def _accepted(self, cargo: _Cargo) -> None:
        self._position = _Position(cargo.shipment.events_to, cargo.shipment.output_to, cargo.summary)
        self.said = cargo.batch.stop or self.said
        self._artifacts += cargo.batch.artifacts
        self._told.update(announced.name for announced in cargo.batch.checkpoints)
        self._announced = worth_publishing([*self._announced, *cargo.batch.checkpoints])

    def _publish(self) -> None:
        """Upload what waits; a best checkpoint that a newer one follows comes first, so that the pointer ends right."""
        while self._announced:
            announced = self._announced.pop(0)
            try:
                self._publish_one(announced)
            except StoreUnavailable:
                self._announced.insert(0, announced)
                raise

    def _publish_one(self, announced: Announced) -> None:
        path = self._folder.checkpoints / announced.name
        try:
            mark, before = _mark(path), self._visible()
            if mark in self._published:
                return
            stored = self._store.publish_checkpoint(self._described(announced, path), path, self._keep)
        except OSError as error:
            self._warn("checkpoint-not-readable", name=announced.name, error=error)
            return
        self._published.add(mark)
        say("checkpoint", run=self._run.id, attempt=self._run.attempt, step=stored.step, size_bytes=stored.size_bytes)
        waiting = {one.name for one in self._announced}
        self._forget_local([old for old in before if old != mark and old[0] in self._told - waiting])

    def _described(self, announced: Announced, path: Path) -> Checkpoint:
        return Checkpoint(
            id="",
            run=self._run.id,
            attempt=self._run.attempt,
            step=announced.step,
            line=announced.line,
            name=announced.name,
            is_dir=path.is_dir(),
            size_bytes=0,
            sha256="",
            created_at=datetime.now(UTC),
            best=announced.best,
        )

    def _forget_local(self, marks: list[Mark]) -> None:
        """Copies that MongoDB has a newer one of: those that were announced before it, and are still what they were."""
        for mark in marks:
            path = self._folder.checkpoints / mark[0]
            with suppress(OSError):
                if _mark(path) == mark:
                    _remove(path)

    def _unannounced(self) -> Path | None:
        """The newest file that was published by rename and that no event line has announced, yet or ever.

        Looked up before the events are read, so that every line written before the rename is shipped before it.
        """
        fresh = [mark for mark in self._visible() if mark not in self._published]
        newest = max(fresh, key=lambda mark: mark[2], default=None)
        return self._folder.checkpoints / newest[0] if newest else None

    def _visible(self) -> list[Mark]:
        """Published files and folders; a script may remove them at any moment, and links are none of ours."""
        marks = []
        with suppress(OSError):
            for path in list(self._folder.checkpoints.iterdir()):
                with suppress(OSError):
                    if not path.name.startswith(".") and not path.is_symlink():
                        marks.append(_mark(path))
        return marks

    def _warn(self, event: str, **fields: object) -> None:
        warn(event, run=self._run.id, attempt=self._run.attempt, **fields)

    def _keep_artifacts(self) -> None:
        while self._artifacts:
            path = Path(self._artifacts[0])
            try:
                self._store.add_artifact(self._run.id, self._run.attempt, path)
            except (OSError, ValueError) as error:
                self._warn("artifact-not-kept", path=path, error=error)
            del self._artifacts[0]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


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


def _mark(path: Path) -> Mark:
    """A published file, told apart from a later one of the same name: the rename stamps its inode. Raises OSError."""
    found = path.lstat()
    return path.name, found.st_ino, found.st_ctime_ns


def _step_in(path: Path) -> int:
    """The last number in a name such as `model-1200.pt`; 0 when there is none that can be a step."""
    numbers = re.findall(r"[0-9]+", path.stem)
    return int(numbers[-1]) if numbers and len(numbers[-1]) <= 18 else 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
