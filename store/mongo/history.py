"""What a run reported: points in buckets, output in chunks."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

from bson.binary import Binary
from pymongo import UpdateOne

from store.metrics import BUCKET_POINTS, LogChunk, Point, Series, Shipment, extended
from store.mongo.client import Connected, Document, Session, guarded
from store.runs import Checkpoint, MetricSummary

_ARRAYS = ("line", "step", "time", "value")
LOG_CHUNK_BYTES = 256 * 1024


class History(Connected):
    """The `metrics` and `logs` collections."""

    @guarded
    def series_names(self, run_id: str) -> list[str]:
        """Names of the run's metrics, sorted."""
        return sorted(self.database["metrics"].distinct("name", {"run": run_id}))

    @guarded
    def series(self, run_id: str, name: str) -> Series:
        """The whole history of one metric."""
        order = [("attempt", 1), ("bucket", 1)]
        buckets = list(self.database["metrics"].find({"run": run_id, "name": name}).sort(order))
        steps, times, values = (
            tuple(chain.from_iterable(bucket[array] for bucket in buckets)) for array in ("step", "time", "value")
        )
        return Series(name=name, steps=steps, times=times, values=values)

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

    def _add_points(self, run_id: str, attempt: int, points: Sequence[Point], session: Session) -> None:
        buckets: dict[tuple[str, int], list[Point]] = defaultdict(list)
        for point in points:
            buckets[point.name, point.index // BUCKET_POINTS].append(point)
        if buckets:
            writes = [_push(run_id, attempt, name, number, group) for (name, number), group in buckets.items()]
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

    def _drop_points_after(self, run_id: str, checkpoint: Checkpoint | None, session: Session) -> int:
        """Remove what was reported after the checkpoint; return how many buckets were touched."""
        metrics = self.database["metrics"]
        if checkpoint is None:
            return metrics.delete_many({"run": run_id}, session=session).deleted_count
        later = {"run": run_id, "attempt": {"$gt": checkpoint.attempt}}
        touched = metrics.delete_many(later, session=session).deleted_count
        same = {"run": run_id, "attempt": checkpoint.attempt, "line": {"$gt": checkpoint.line}}
        for bucket in list(metrics.find(same, session=session)):
            touched += 1
            kept = bisect_right(bucket["line"], checkpoint.line)
            if kept == 0:
                metrics.delete_one({"_id": bucket["_id"]}, session=session)
            else:
                cut = {array: bucket[array][:kept] for array in _ARRAYS}
                metrics.update_one({"_id": bucket["_id"]}, {"$set": cut}, session=session)
        return touched


def _push(run_id: str, attempt: int, name: str, number: int, points: list[Point]) -> UpdateOne:
    match: Document = {"run": run_id, "name": name, "attempt": attempt, "bucket": number}
    arrays = {
        "line": [point.line for point in points],
        "step": [point.step for point in points],
        "time": [point.time for point in points],
        "value": [point.value for point in points],
    }
    return UpdateOne(match, {"$push": {key: {"$each": values} for key, values in arrays.items()}}, upsert=True)
