"""What runs used of their machines: the `samples` collection, and the peaks on attempts and experiments."""

from typing import Any

from bson import ObjectId

from store.errors import Superseded
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain
from store.samples import Peaks, Sample, highest
from store.spans import KEPT, Pace, together
from store.states import State


class Samples(Connected):
    """Samples leave of themselves when their time is over (a TTL index); peaks stay with the run."""

    @guarded
    def add_sample(self, sample: Sample, peaks: Peaks, keep_s: float) -> None:
        """The peaks first: they are fenced. An upsert, because an insert cannot ask for the server's clock."""
        mine = {"_id": sample.run, "attempt": sample.attempt, "state": State.RUNNING.value}
        fields = {f"history.$[mine].peaks.{name}": value for name, value in plain(peaks).items() if value}
        run = self.database["runs"].find_one_and_update(
            mine,
            {"$max": {"history.$[mine].peaks.memory_bytes": 0, **fields}},
            array_filters=[{"mine.number": sample.attempt}],
            projection={"experiment": 1},
        )
        if run is None:
            raise Superseded(f"run {sample.run}: attempt {sample.attempt} no longer holds it")
        self._raise_peaks(run["experiment"], peaks)
        values: dict[str, Any] = {name: {"$literal": value} for name, value in plain(sample).items() if name != "at"}
        values |= {"at": "$$NOW", "expires_at": {"$add": ["$$NOW", int(keep_s * 1000)]}}
        self.database["samples"].update_one({"_id": ObjectId()}, [{"$set": values}], upsert=True)

    @guarded
    def samples(self, run_id: str) -> list[Sample]:
        """What is still kept of the run's samples, oldest first."""
        found = self.database["samples"].find({"run": run_id}, {"_id": 0}).sort([("attempt", 1), ("at", 1)])
        return [from_document(Sample, document) for document in found]

    @guarded
    def samples_in_part(self, run_id: str, attempt: int, at_most: int) -> list[Sample]:
        """The newest ones, and one out of each of as many equal stretches of the time before them."""
        mine = {"run": run_id, "attempt": attempt}
        newest = list(self.database["samples"].find(mine, {"_id": 0}).sort("at", -1).limit(at_most // 2))[::-1]
        older = self._one_of_each_stretch(mine, newest, at_most // 2) if len(newest) == at_most // 2 else []
        return [from_document(Sample, document) for document in (*older, *newest)]

    def _one_of_each_stretch(self, mine: Document, newest: list[Document], stretches: int) -> list[Document]:
        """Short windows along the index: a month of samples costs no more than an hour of them."""
        samples, end = self.database["samples"], newest[0]["at"]
        first = samples.find_one(mine, {"at": 1}, sort=[("at", 1)])
        if first is None or first["at"] >= end:
            return []
        pause = (newest[-1]["at"] - end) / (len(newest) - 1)
        stretch = max((end - first["at"]) / stretches, pause)
        begins = [first["at"] + number * stretch for number in range(stretches)]
        windows = [{"at": {"$gte": begin, "$lt": min(begin + 1.5 * pause, begin + stretch, end)}} for begin in begins]
        found = samples.find({**mine, "$or": windows}, {"_id": 0}).sort("at", 1)
        chosen: dict[int, Document] = {}
        for document in found:
            chosen.setdefault(int((document["at"] - first["at"]) / stretch), document)
        return list(chosen.values())

    @guarded
    def peaks(self, experiment: str) -> Peaks:
        """The most that any run of the experiment used."""
        found = self.database["experiments"].find_one({"_id": experiment}, {"peaks": 1})
        return from_document(Peaks, (found or {}).get("peaks") or {})

    @guarded
    def note_pace(self, experiment: str, pace: Pace) -> None:
        """Keep how fast an attempt went, and what all together say, which is what claims read.

        Of two at once one may be missing in that, until the next comes.
        """
        newest: Document = {"$each": [plain(pace)], "$slice": -KEPT}
        summary = plain(together([*self.paces(experiment), pace][-KEPT:]))
        self.database["experiments"].update_one(
            {"_id": experiment}, {"$push": {"paces": newest}, "$set": {"pace": summary}}
        )

    @guarded
    def paces(self, experiment: str) -> tuple[Pace, ...]:
        """How fast the newest attempts of the experiment's runs went."""
        found = self.database["experiments"].find_one({"_id": experiment}, {"paces": 1})
        return tuple(from_document(Pace, one) for one in (found or {}).get("paces") or [])

    def _raise_peaks(self, experiment: str, peaks: Peaks) -> None:
        """A write that changes nothing is skipped: a thousand runs of one experiment share this document."""
        if highest([known := self.peaks(experiment), peaks]) != known:
            fields: Document = {f"peaks.{name}": value for name, value in plain(peaks).items() if value}
            self.database["experiments"].update_one({"_id": experiment}, {"$max": fields})
