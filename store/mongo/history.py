"""What a run reported: points in buckets, output in chunks."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from bson.binary import Binary
from pymongo import InsertOne, UpdateOne

from store.metrics import BUCKET_POINTS, EVERY_AXIS, Axis, Curve, LogChunk, Segment, Series, Shipment, extended
from store.mongo.arrays import tables
from store.mongo.client import Connected, Document, Session, guarded
from store.runs import Checkpoint, MetricSummary

_ARRAYS = ("line", "step", "time", "value")
LOG_CHUNK_BYTES = 256 * 1024
_BUCKETS_AT_ONCE = 200
_BATCH = 25
"""Buckets that come at once. In answers of megabytes each takes twice the time: for them memory is asked for anew."""


class History(Connected):
    """The `metrics` and `logs` collections."""

    @guarded
    def series_names(self, run_id: str) -> list[str]:
        """Names of the run's metrics, sorted."""
        return sorted(self.database["metrics"].distinct("name", {"run": run_id}))

    @guarded
    def series(self, run_id: str, name: str) -> Series:
        """The whole history of one metric."""
        found = self.curve(run_id, name)
        steps, times, values = (tuple(array.tolist()) for array in (found.steps, found.times, found.values))
        return Series(name=name, steps=steps, times=times, values=values)

    @guarded
    def curve(self, run_id: str, name: str, axes: Collection[Axis] = EVERY_AXIS) -> Curve:
        """The buckets as they come over the wire, read by NumPy. What is not asked for is not sent either."""
        import numpy as np

        order = [("attempt", 1), ("bucket", 1)]
        wanted = {"_id": 0, "value": 1, **{axis.value: 1 for axis in axes}}
        found: Any = self.database["metrics"].find_raw_batches({"run": run_id, "name": name}, wanted, batch_size=_BATCH)
        parts = [part for batch in found.sort(order) for part in tables(batch)]

        def column(array: str, kind: Any) -> Any:
            pieces = [np.empty(0, kind), *(part[array] for part in parts if array in part)]
            return np.concatenate(pieces, dtype=kind, casting="unsafe")

        return Curve(
            name=name,
            steps=column("step", np.int64),
            times=column("time", np.float64),
            values=column("value", np.float64),
        )

    @guarded
    def log(self, run_id: str, attempt: int, from_offset: int = 0) -> list[LogChunk]:
        """The attempt's output from an offset on, in order."""
        match = {"run": run_id, "attempt": attempt, "offset": {"$gte": from_offset}}
        found = self.database["logs"].find(match).sort("offset", 1)
        return [LogChunk(attempt=attempt, offset=d["offset"], data=bytes(d["data"])) for d in found]

    @guarded
    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:
        """The last bytes of the attempt's output."""
        newest_first: list[bytes] = []
        size = 0
        for document in self.database["logs"].find({"run": run_id, "attempt": attempt}).sort("offset", -1):
            newest_first.append(bytes(document["data"]))
            size += len(newest_first[-1])
            if size >= max_bytes:
                break
        return b"".join(reversed(newest_first))[-max_bytes:]

    def _summary(self, run_id: str) -> dict[str, MetricSummary]:
        """From the stored buckets, one at a time."""
        summaries: dict[str, MetricSummary | None] = {}
        wanted = {"name": 1, "step": 1, "value": 1}
        order = [("name", 1), ("attempt", 1), ("bucket", 1)]
        for bucket in self.database["metrics"].find({"run": run_id}, wanted).sort(order):
            name = bucket["name"]
            summaries[name] = extended(summaries.get(name), bucket["step"], bucket["value"])
        return {name: summary for name, summary in summaries.items() if summary is not None}

    def _add_points(self, run_id: str, attempt: int, segments: Sequence[Segment], session: Session) -> None:
        """A bucket that begins here is inserted whole: half the work of adding to one that may be there."""
        key = {"run": run_id, "attempt": attempt}
        writes = [write for segment in segments for write in _writes(key, segment)]
        if writes:
            self.database["metrics"].bulk_write(writes, ordered=False, session=session)

    def _add_output(self, run_id: str, attempt: int, shipment: Shipment, session: Session) -> None:
        pieces = range(0, len(shipment.output), LOG_CHUNK_BYTES)
        documents = [
            {
                "run": run_id,
                "attempt": attempt,
                "offset": shipment.output_from + start,
                "data": Binary(shipment.output[start : start + LOG_CHUNK_BYTES]),
            }
            for start in pieces
        ]
        if documents:
            self.database["logs"].insert_many(documents, session=session)

    def _drop_points_after(self, run_id: str, attempt: int, checkpoint: Checkpoint | None) -> None:
        """Remove what attempts before this one reported after the checkpoint.

        In pieces, outside any transaction: millions of points would outlast every time-out. Any attempt that follows
        goes on from the same checkpoint or a later one, so doing it twice, late or by half is harmless.
        """
        since = checkpoint.attempt if checkpoint else -1
        later = {"run": run_id, "attempt": {"$gt": since, "$lt": attempt}}
        while gone := list(self.database["metrics"].find(later, {"_id": 1}).limit(_BUCKETS_AT_ONCE)):
            self._delete(gone)
        if checkpoint is not None and checkpoint.attempt < attempt:
            same = {"run": run_id, "attempt": checkpoint.attempt}
            for name in self.database["metrics"].distinct("name", same):
                self._cut({**same, "name": name}, checkpoint.line)

    def _cut(self, series: Document, line: int) -> None:
        """Shorten one series of one attempt to that line, beginning at its end."""
        newest_first = self.database["metrics"].find(series, {"line": 1}).sort("bucket", -1)
        while newest := list(newest_first.clone().limit(_BUCKETS_AT_ONCE)):
            gone = [bucket for bucket in newest if bucket["line"][0] > line]
            self._delete(gone)
            if len(gone) < len(newest):
                self._shorten(newest[len(gone)], line)
                return

    def _shorten(self, bucket: Document, line: int) -> None:
        kept = bisect_right(bucket["line"], line)
        if kept < len(bucket["line"]):
            shorter = {array: {"$slice": [f"${array}", kept]} for array in _ARRAYS}
            self.database["metrics"].update_one({"_id": bucket["_id"]}, [{"$set": shorter}])

    def _delete(self, buckets: list[Document]) -> None:
        self.database["metrics"].delete_many({"_id": {"$in": [bucket["_id"] for bucket in buckets]}})


def _writes(key: Document, segment: Segment) -> Iterator[InsertOne[Document] | UpdateOne]:
    end = segment.index + len(segment.lines)
    first = segment.index
    while first < end:
        number = first // BUCKET_POINTS
        after = min((number + 1) * BUCKET_POINTS, end)
        bucket = {**key, "name": segment.name, "bucket": number}
        arrays = _arrays(segment, slice(first - segment.index, after - segment.index))
        if first % BUCKET_POINTS == 0:
            yield InsertOne({**bucket, **arrays})
        else:
            yield UpdateOne(bucket, {"$push": {name: {"$each": some} for name, some in arrays.items()}}, upsert=True)
        first = after


def _arrays(segment: Segment, part: slice) -> dict[str, Sequence[float]]:
    return {
        "line": segment.lines[part],
        "step": segment.steps[part],
        "time": segment.times[part],
        "value": segment.values[part],
    }
