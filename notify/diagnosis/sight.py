"""What the rules read from a chart, each worked out once."""

from dataclasses import dataclass
from functools import cached_property

from notify.diagnosis.chart import Chart
from notify.diagnosis.looks import Looks, looks_of
from notify.diagnosis.names import Kind, kind_of
from notify.diagnosis.pulse import Pulse, pulse_of
from notify.diagnosis.track import Pair, Track, pair_of, track_of


@dataclass(frozen=True)
class Sight:
    """One chart as arrays."""

    chart: Chart

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What each metric is."""
        return {name: kind_of(name) for name in self.chart.series}

    @cached_property
    def tracks(self) -> dict[str, Track]:
        """Of metrics that may be judged by their course."""
        judged = ((name, one) for name, one in self.chart.series.items() if self.kinds[name] is not Kind.OTHER)
        return {name: track_of(one) for name, one in judged}

    @cached_property
    def pair(self) -> Pair:
        """What is minimised."""
        return pair_of(self.tracks, self.kinds)

    @cached_property
    def pulse(self) -> Pulse:
        """When the present attempt reported."""
        return pulse_of(self.chart)

    @cached_property
    def looks(self) -> Looks:
        """What was seen of its processes."""
        return looks_of(self.chart)

    def of_kind(self, kind: Kind) -> dict[str, Track]:
        """All tracks of one kind."""
        return {name: track for name, track in self.tracks.items() if self.kinds[name] is kind}
