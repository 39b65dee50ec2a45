"""Recorded histories, and the charts that a look at any moment of them would have shown."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from notify.diagnosis import Chart, Siblings, thinned
from store.findings import Disease
from store.metrics import Series
from store.samples import GpuSample, Sample
from store.states import State

FOLDER = Path(__file__).parents[1] / "data" / "histories"
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class History:
    """One recorded run; `told` is its file's content."""

    name: str
    told: dict[str, Any]

    @property
    def must(self) -> frozenset[Disease]:
        return frozenset(map(Disease, self.told["must"]))

    @property
    def may(self) -> frozenset[Disease]:
        return frozenset(map(Disease, self.told["may"]))

    @functools.cached_property
    def moments(self) -> list[float]:
        """Seconds since the begin at which something was reported or seen."""
        times = {t for group in self.told["groups"] for t in group["times"]}
        return sorted(times | set(self.told.get("samples", {}).get("at", [])))

    def chart(self, at_s: float, state: State = State.RUNNING) -> Chart:
        """What was known so many seconds after the begin, events of that very moment left out."""
        series = {}
        for group in self.told["groups"]:
            count = int(np.searchsorted(group["times"], at_s, side="left"))
            times = tuple(BEGIN.timestamp() + t for t in group["times"][:count])
            steps = tuple(group["steps"][:count])
            for name, values in group["values"].items():
                one = Series(name=name, steps=steps, times=times, values=tuple(float(v) for v in values[:count]))
                series |= {name: thinned(one)} if count else {}
        last = max((one.times[-1] for one in series.values()), default=None)
        return Chart(
            state=state,
            attempt=1,
            now=BEGIN + timedelta(seconds=at_s),
            started_at=BEGIN,
            params=self.told["params"],
            series=series,
            samples=self._samples(at_s),
            output=self.told["output"] if at_s >= self.moments[-1] else "",
            siblings=Siblings(),
            last_event_at=None if last is None else datetime.fromtimestamp(last, UTC),
            memory_limit_bytes=self.told.get("memory_limit_bytes"),
        )

    def _samples(self, at_s: float) -> tuple[Sample, ...]:
        told = self.told.get("samples")
        if told is None:
            return ()
        count = int(np.searchsorted(told["at"], at_s, side="left"))
        gpus = told["gpus"] or [[]] * count
        return tuple(
            Sample(
                run="r", attempt=1, host="node1", cpu_s=told["cpu_s"][i], memory_bytes=told["memory_bytes"][i],
                read_bytes=told["read_bytes"][i], written_bytes=told["written_bytes"][i],
                disk_free_bytes=told["disk_free_bytes"][i], at=BEGIN + timedelta(seconds=told["at"][i]),
                gpus=tuple(GpuSample(index=k, busy=busy, memory_bytes=held) for k, (busy, held) in enumerate(gpus[i])),
            )
            for i in range(count)
        )  # fmt: skip

    def prefixes(self, count: int) -> Iterator[Chart]:
        """Looks at so many moments, each just before the next report, and one at the end."""
        moments = self.moments
        for k in np.unique(np.linspace(min(2, len(moments) - 1), len(moments) - 1, count).astype(int)):
            yield self.chart(moments[k])
        yield self.chart(moments[-1] + 0.01)

    def share(self, chart: Chart) -> float:
        """Of its length that had passed at this look."""
        return (chart.now - BEGIN).total_seconds() / self.moments[-1]


@functools.cache
def history(path: Path) -> History:
    return History(path.name.removesuffix(".json.gz"), json.loads(gzip.decompress(path.read_bytes())))


def histories(corpus: str, prefix: str = "") -> list[Path]:
    return sorted((FOLDER / corpus).glob(f"{prefix}*.json.gz"))
