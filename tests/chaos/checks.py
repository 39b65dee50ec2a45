"""What must be true afterwards, read from MongoDB alone (and from the machine, for what must not be there any more)."""

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from lab import is_alive

from store.errors import LabqError
from store.mongo import MongoStore
from store.notices import NoticeState
from store.runs import Run
from store.states import ENDED, State

VANISH_S = 3.0
"""A killed process takes a moment to be gone."""

STANDSTILL_S = 30.0
"""Ten leases. A fleet that starts or settles nothing for so long, while there is work, waits for what will not come."""

CLOCK = "clock_"
"""Metrics of the trainer that are read from the clock: no two runs have the same."""

SERVER_NAMES = frozenset({"mongod", "redis-server", "valkey-server"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    promise: str
    subject: str
    detail: str

    def plain(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


Found = Iterator[Violation]


def check_runs(store: MongoStore, pairs: Sequence[tuple[Run, Run]]) -> list[Violation]:
    """Each pair is a run that was left in peace and its twin under fire."""
    found: list[Violation] = []
    checks: list[Callable[[MongoStore, Run, Run], Found]] = [
        ended_once, same_series, same_weights, same_artifacts, whole_output, one_mail,
    ]  # fmt: skip
    for calm, stormy in pairs:
        for check in checks:
            found += check(store, calm, stormy)
    return [*found, *standstill(store, [stormy for _, stormy in pairs])]


def check_leftovers(store: MongoStore, home: Path) -> list[Violation]:
    """Nothing is left over in the database or on the machine."""
    return [*orphaned_files(store), *held_locks(store), *processes(home), *files(home)]


# ── each run ──
def ended_once(store: MongoStore, _calm: Run, run: Run) -> Found:
    """It finished, with one settle per attempt, and one of them final."""
    if run.state is not State.FINISHED:
        yield Violation(promise="finished", subject=run.id, detail=f"{run.state}, {run.reason}: {run.ending}")
    if run.lease is not None or run.wish is not None:
        yield Violation(promise="finished", subject=run.id, detail=f"still has {run.lease} {run.wish}")
    events = list(store.database["events"].find({"run": run.id, "event": {"$in": list(State)}}))
    finals = [event for event in events if event["event"] in ENDED]
    if len(finals) != 1:
        yield Violation(promise="ended once", subject=run.id, detail=f"{len(finals)} final settles in the audit")
    settles = Counter(event["attempt"] for event in events)
    odd = {n: settles[n] for n in range(1, run.attempt + 1) if settles[n] != 1}
    if odd:
        yield Violation(promise="one settle per attempt", subject=run.id, detail=f"attempts and their settles: {odd}")
    if [attempt.number for attempt in run.history] != list(range(1, run.attempt + 1)):
        yield Violation(promise="whole history", subject=run.id, detail=f"{[a.number for a in run.history]}")


def standstill(store: MongoStore, runs: Sequence[Run]) -> Found:
    """Attempts begin and end all the time."""
    mine = {"run": {"$in": [run.id for run in runs]}}
    moments = [event["at"] for event in store.database["events"].find(mine).sort("at", 1)]
    for before, after in pairwise(moments):
        if (after - before).total_seconds() > STANDSTILL_S:
            detail = f"nothing began or ended from {before:%H:%M:%S} to {after:%H:%M:%S}"
            yield Violation(promise="no standstill", subject="fleet", detail=detail)


def same_series(store: MongoStore, calm: Run, run: Run) -> Found:
    """Every series is the undisturbed run's, bit for bit."""
    names, wanted = _names(store, run), _names(store, calm)
    if names != wanted:
        yield Violation(promise="all series", subject=run.id, detail=f"{names} instead of {wanted}")
    for name in sorted(set(names) & set(wanted)):
        mine, other = store.series(run.id, name), store.series(calm.id, name)
        if mine.steps != other.steps:
            detail = f"{name}: {_difference(mine.steps, other.steps)}"
            yield Violation(promise="complete series without duplicates", subject=run.id, detail=detail)
        elif [value.hex() for value in mine.values] != [value.hex() for value in other.values]:
            first = next(s for s, a, b in zip(mine.steps, mine.values, other.values, strict=True) if a != b)
            detail = f"{name}: other values from step {first}"
            yield Violation(promise="same values", subject=run.id, detail=detail)
    for name in sorted(set(names) | set(wanted)):
        if run.summary.get(name) != calm.summary.get(name):
            detail = f"{name}: {run.summary.get(name)} instead of {calm.summary.get(name)}"
            yield Violation(promise="same summary", subject=run.id, detail=detail)


def same_weights(store: MongoStore, calm: Run, run: Run) -> Found:
    """The last checkpoint holds the undisturbed run's weights and can be fetched."""
    try:
        mine, other = (_weights(store, one) for one in (run, calm))
    except LabqError as error:
        yield Violation(promise="a checkpoint that can be fetched", subject=run.id, detail=str(error))
        return
    if mine != other:
        yield Violation(promise="same weights", subject=run.id, detail=f"{mine} instead of {other}")


def same_artifacts(store: MongoStore, calm: Run, run: Run) -> Found:
    """One of each name, with the same content."""
    mine, other = (_artifacts(store, one) for one in (run, calm))
    if mine != other:
        yield Violation(promise="same artifacts", subject=run.id, detail=f"{mine} instead of {other}")


def whole_output(store: MongoStore, _calm: Run, run: Run) -> Found:
    """No attempt's output has a hole, and the last one's is all there."""
    for attempt in range(1, run.attempt + 1):
        end = 0
        for chunk in store.log(run.id, attempt):
            if chunk.offset != end:
                detail = f"attempt {attempt}: byte {chunk.offset} follows byte {end}"
                yield Violation(promise="whole output", subject=run.id, detail=detail)
            end = chunk.offset + len(chunk.data)
        if attempt == run.attempt and end != run.shipped.output_bytes:
            detail = f"{end} bytes, shipped {run.shipped.output_bytes}"
            yield Violation(promise="whole output", subject=run.id, detail=detail)


def one_mail(store: MongoStore, _calm: Run, run: Run) -> Found:
    """Owed once, and sent."""
    notices = store.notices(run.id)
    if len(notices) != 1:
        yield Violation(promise="one mail", subject=run.id, detail=f"owed: {[notice.id for notice in notices]}")
    for notice in notices:
        if notice.state is not NoticeState.SENT:
            yield Violation(promise="sent mail", subject=run.id, detail=f"{notice}")


def _names(store: MongoStore, run: Run) -> list[str]:
    return [name for name in store.series_names(run.id) if not name.startswith(CLOCK)]


def _difference(mine: Sequence[int], other: Sequence[int]) -> str:
    missing, more = Counter(other) - Counter(mine), Counter(mine) - Counter(other)
    if not missing and not more:
        return "another order"
    return f"missing {_some(missing)}, too many {_some(more)}"


def _some(steps: Counter[int]) -> str:
    listed = sorted(steps)
    return f"{len(listed)} ({listed[0]} … {listed[-1]})" if listed else "none"


def _weights(store: MongoStore, run: Run) -> dict[str, str]:
    """Names of the files in the last checkpoint and the hash of each. (A folder is packed with its times.)"""
    if run.checkpoint is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        fetched = store.fetch_checkpoint(run.checkpoint, Path(folder))
        files = sorted(fetched.rglob("*")) if fetched.is_dir() else [fetched]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files if file.is_file()}


def _artifacts(store: MongoStore, run: Run) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        fetched = [store.fetch_artifact(one, Path(folder)).read_bytes() for one in store.artifacts(run.id)]
        names = [one.name for one in store.artifacts(run.id)]
    return [(name, hashlib.sha256(data).hexdigest()[:16]) for name, data in zip(names, fetched, strict=True)]


# ── what is left ──
def orphaned_files(store: MongoStore) -> Found:
    """GridFS files without a checkpoint, chunks without a file, uploads that nobody finished."""
    database = store.database
    kept = {document["_id"]: document["run"] for document in database["checkpoints"].find({}, {"run": 1})}
    for bucket in ("checkpoint_files", "artifacts"):
        files = {one["_id"]: one for one in database[f"{bucket}.files"].find()}
        for file_id in database[f"{bucket}.chunks"].distinct("files_id"):
            if file_id not in files:
                yield Violation(promise="no orphaned chunk", subject=bucket, detail=_upload(store, str(file_id)))
        if bucket == "checkpoint_files":
            for file_id in files.keys() - {_id for _id in files if str(_id) in kept}:
                yield Violation(promise="no orphaned file", subject=bucket, detail=_upload(store, str(file_id)))
    unfinished = [*database["uploads"].find({"_id": {"$nin": list(kept)}}), *database["artifact_uploads"].find()]
    for upload in unfinished:
        yield Violation(promise="no unfinished upload", subject=upload["run"], detail=json.dumps(upload, default=str))


def _upload(store: MongoStore, file_id: str) -> str:
    upload = store.database["uploads"].find_one({"_id": file_id})
    return f"{file_id}, upload {json.dumps(upload, default=str)}"


def held_locks(store: MongoStore) -> Found:
    """Named leases that did not end with the workers."""
    now = store.now()
    for lock in store.database["locks"].find({"until": {"$gt": now}}):
        yield Violation(promise="no lock", subject=lock["_id"], detail=f"held by {lock['owner']} until {lock['until']}")


def processes(home: Path) -> Found:
    """Nobody works for this home any more, but the servers."""
    deadline = time.monotonic() + VANISH_S
    while (left := [one for one in psutil.process_iter() if _belongs(one, home)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        detail = f"{process.pid} of {process.ppid()}: {' '.join(process.cmdline())}"
        yield Violation(promise="no process", subject=process.name(), detail=detail)


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        if process.name() in SERVER_NAMES or process.pid == psutil.Process().pid or not is_alive(process):
            return False
        return process.environ().get("LABQ_HOME") == str(home)
    except psutil.Error:
        return False


def files(home: Path) -> Found:
    """No run directory and no temporary file."""
    places: dict[str, Any] = {
        "no run directory": [path for path in home.glob("runs/*/*") if path.is_dir()],
        "no temporary file": [
            *home.glob("tmp/*"), *home.glob("mail/.*"), *home.glob("cache/*.[0-9]*"), *home.glob("cache/data/.labq-*"),
        ],
    }  # fmt: skip
    for promise, found in places.items():
        for path in found:
            yield Violation(promise=promise, subject=str(path.relative_to(home)), detail=_age(path))


def _age(path: Path) -> str:
    return f"last written {time.strftime('%H:%M:%S', time.localtime(path.lstat().st_mtime))}"


def owed(store: MongoStore) -> list[Any]:
    """Events that nobody was told of, and mails that wait to be sent."""
    return [*store.owed(1), *(notice for notice in store.notices() if notice.state is NoticeState.OWED)]
