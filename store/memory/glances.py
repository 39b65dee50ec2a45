"""What a live page reads of one experiment."""

from collections import defaultdict
from collections.abc import Sequence

from store.glances import Beyond, Pulse, Stroke, extremes
from store.memory.runs import Runs
from store.memory.shared import light
from store.metrics import BUCKET_POINTS, Point
from store.ordering import age
from store.runs import Run
from store.states import State


class Glances(Runs):
    """Reads of `labq watch`."""

    def pulses(self, experiment: str, of_each_state: int) -> list[Pulse]:
        """Of each state the newest runs."""
        mine = sorted((run for run in self._runs.values() if run.experiment == experiment), key=age, reverse=True)
        chosen = [[run for run in mine if run.state is state][:of_each_state] for state in State]
        return [_pulse(run) for some in chosen for run in some]

    def light_runs(self, run_ids: Sequence[str]) -> list[Run]:
        """Without provenance, of their history the last line only."""
        return [light(self._runs[run_id]) for run_id in run_ids if run_id in self._runs]

    def strokes(self, name: str, wanted: Sequence[Beyond], at_most: int) -> list[Stroke]:
        """By bucket, as they are stored."""
        ordered = sorted(wanted, key=lambda one: (one.grain, one.run))
        return [stroke for one in ordered for stroke in self._strokes_of(name, one)][:at_most]

    def _strokes_of(self, name: str, wanted: Beyond) -> list[Stroke]:
        buckets: dict[tuple[int, int], list[Point]] = defaultdict(list)
        for attempt, point in self._points[wanted.run]:
            if point.name == name:
                buckets[attempt, point.index // BUCKET_POINTS].append(point)
        begin = (wanted.attempt, wanted.points // BUCKET_POINTS)
        return [_stroke(wanted, *place, buckets[place]) for place in sorted(buckets) if place >= begin]


def _pulse(run: Run) -> Pulse:
    lines = run.shipped.events_lines if run.shipped.attempt == run.attempt else 0
    return Pulse(id=run.id, state=run.state, attempt=run.attempt, lines=lines, ended_at=run.ended_at, wish=run.wish)


def _stroke(wanted: Beyond, attempt: int, bucket: int, points: Sequence[Point]) -> Stroke:
    begins = bucket * BUCKET_POINTS
    new = points[max(0, wanted.points - begins) if attempt == wanted.attempt else 0 :]
    kept = [new[at] for at in extremes([point.value for point in new], min(wanted.grain, BUCKET_POINTS))]
    return Stroke(
        run=wanted.run,
        attempt=attempt,
        points=begins + len(points),
        steps=tuple(point.step for point in kept),
        times=tuple(point.time for point in kept),
        values=tuple(point.value for point in kept),
    )
