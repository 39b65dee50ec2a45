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
        yield self.chart(moments[-1] + 0.01, State.FAILED if self.told["stopped"] == "diverged" else State.RUNNING)

    def share(self, chart: Chart) -> float:
        """Of its length that had passed at this look."""
        return (chart.now - BEGIN).total_seconds() / self.moments[-1]


@functools.cache
def history(path: Path) -> History:
    return History(path.name.removesuffix(".json.gz"), json.loads(gzip.decompress(path.read_bytes())))


def histories(corpus: str, prefix: str = "") -> list[Path]:
    return sorted((FOLDER / corpus).glob(f"{prefix}*.json.gz"))


def chart_of(state: State = State.RUNNING, every_s: float = 10.0, silent_s: float = 1.0, **metrics: Any) -> Chart:
    """A chart of metrics given as lists, a point every so many seconds and step 1, 2, …"""
    longest = max((len(values) for values in metrics.values()), default=0)
    series = {
        name: Series(
            name=name,
            steps=tuple(range(1, len(values) + 1)),
            times=tuple(BEGIN.timestamp() + every_s * (i + 1) for i in range(len(values))),
            values=tuple(map(float, values)),
        )
        for name, values in metrics.items()
    }
    now = BEGIN + timedelta(seconds=every_s * longest + silent_s)
    return Chart(state=state, attempt=1, now=now, started_at=BEGIN, params={"learning_rate": 0.01}, series=series)


def samples_of(
    count: int,
    every_s: float = 15.0,
    memory: Any = lambda i: 1e9,
    free: Any = lambda i: 1e11,
    cpu: Any = lambda i: 10.0 * i,
    busy: Any = None,
) -> tuple[Sample, ...]:
    """Looks whose figures are functions of their number; the first one stands at BEGIN."""
    return tuple(
        Sample(
            run="r", attempt=1, host="node1", cpu_s=float(cpu(i)), memory_bytes=int(memory(i)), read_bytes=0,
            written_bytes=0, disk_free_bytes=int(free(i)), at=BEGIN + timedelta(seconds=every_s * i),
            gpus=() if busy is None else (GpuSample(index=0, busy=busy(i)),),
        )
        for i in range(count)
    )  # fmt: skip
