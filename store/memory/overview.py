"""The whole lab at a glance, and saved views."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from store.memory.attempts import Attempts
from store.memory.shared import best_first, light
from store.runs import Run
from store.samples import Sample
from store.states import State
from store.views import View


class Overview(Attempts):
    """What `labq top` and `labq views` read."""

    def running(self, limit: int) -> list[Run]:
        """Running runs, of their history the last line only."""
        found = [light(run) for run in self._runs.values() if run.state is State.RUNNING]
        return sorted(found, key=lambda run: (run.queue, *best_first(run)))[:limit]

    def recently_ended(self, limit: int) -> list[Run]:
        """The newest endings first."""
        found = [(run.ended_at, light(run)) for run in self._runs.values() if run.ended_at is not None]
        return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)][:limit]

    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:
        """What was seen of these runs in the last seconds."""
        since = self.now() - timedelta(seconds=within_s)
        found = [sample for run in runs for sample in self.samples(run) if sample.at is not None and sample.at >= since]
        return sorted(found, key=lambda sample: sample.at or since)

    def queue_lengths(self) -> dict[tuple[State, str], int]:
        """How many runs of each state are in each queue."""
        return dict(Counter((run.state, run.queue) for run in self._runs.values()))

    def waiting_experiments(self, limit: int) -> dict[tuple[str, str], int]:
        """(queue, experiment) of the queued runs that are next."""
        found: Counter[tuple[str, str]] = Counter()
        queued = sorted((run for run in self._runs.values() if run.state is State.QUEUED), key=best_first)
        for queue in {run.queue for run in queued}:
            mine = [run for run in queued if run.queue == queue]
            found.update((queue, run.experiment) for run in mine[:limit])
        return dict(found)

    def save_view(self, view: View) -> None:
        """Keep a view under its owner and name."""
        self._views[view.owner, view.name] = replace(view, saved_at=self.now())

    def views(self, owner: str | None = None) -> list[View]:
        """Saved views, by owner and name."""
        return [view for (mine, _), view in sorted(self._views.items()) if owner in (None, mine)]

    def remove_view(self, owner: str, name: str) -> bool:
        """Forget a view."""
        return self._views.pop((owner, name), None) is not None
