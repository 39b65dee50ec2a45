"""What stopping rules read and remember."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from store.courses import Afoot, Asked, Course, Reached, Track, Until, Watched
from store.experiments import Experiment
from store.memory.runs import Runs
from store.memory.shared import is_held
from store.metrics import Point
from store.runs import Run
from store.states import State


class Stopping(Runs):
    """Courses, tracks, rungs."""

    def ruled(self) -> list[Experiment]:
        """The experiments that have rules."""
        return sorted((one for one in self._experiments.values() if one.stopping), key=lambda one: one.name)

    def set_stopping(self, experiment: str, stopping: dict[str, Any] | None) -> bool:
        """Other rules for an experiment, or none."""
        known = self._experiments.get(experiment)
        if known is not None:
            self._experiments[experiment] = replace(known, stopping=stopping)
        return known is not None

    def watched(self, experiments: Sequence[str], unread: int) -> list[Watched]:
        """Runs that are running or wait at a rung, and some that are unread."""
        runs = [run for run in self._runs.values() if run.experiment in experiments]
        present = [run for run in runs if run.state is State.RUNNING or is_held(run)]
        others = [run for run in runs if run.judged.unread and run not in present]
        return [_watched(run) for run in (*present, *others[:unread])]

    def afoot(self, experiment: str) -> Afoot:
        """What of the experiment may still report."""
        counts = self.counts(experiment)
        return Afoot(queued=counts.get(State.QUEUED, 0) > 0, running=counts.get(State.RUNNING, 0))

    def courses(self, run_ids: Sequence[str]) -> dict[str, Course]:
        """How far the rules have read these runs."""
        return {run_id: self._courses[run_id] for run_id in run_ids if run_id in self._courses}

    def save_courses(self, courses: Sequence[Course]) -> set[str]:
        """Keep those that nobody else has saved since."""
        with self._lock:
            known = {course.id: self._courses[course.id].version for course in courses if course.id in self._courses}
            mine = [course for course in courses if known.get(course.id, 0) == course.version]
            self._courses.update({course.id: replace(course, version=course.version + 1) for course in mine})
            return {course.id for course in mine}

    def tracks(self, asked: Sequence[Asked]) -> dict[str, tuple[Track, ...]]:
        """The points asked for."""
        pairs = {one.run: zip(one.names, one.counts, strict=True) for one in asked}
        return {one.run: tuple(self._track(one, *pair) for pair in pairs[one.run]) for one in asked}

    def _track(self, asked: Asked, name: str, count: int) -> Track:
        found = [p for made_by, p in self._points[asked.run] if made_by == asked.attempt and p.name == name]
        new = [(asked.attempt, p) for p in found[count:] if p.line <= asked.to_line]
        return replace(_as_track(new), times=())

    def whole_tracks(self, run_id: str, names: Sequence[str]) -> tuple[Track, ...]:
        """All points of these series."""
        return tuple(_as_track([pair for pair in self._points[run_id] if pair[1].name == name]) for name in names)

    def reach(self, reached: Sequence[Reached], anew: Sequence[str] = ()) -> None:
        """Record with which values rungs were reached."""
        with self._lock:
            for key in [key for key in self._rungs if key[0] in anew]:
                del self._rungs[key]
            self._rungs.update({(one.run, one.at): one for one in reached})

    def reached(self, experiment: str, at: float) -> dict[str, float]:
        """The values of all runs that have reached this rung."""
        found = (one for one in self._rungs.values() if one.experiment == experiment and one.at == at)
        return {one.run: one.value for one in found}

    def fallen(self, experiment: str) -> dict[str, tuple[float, float]]:
        """The highest rungs of stopped runs."""
        rulings = {run_id: course.ruling for run_id, course in self._courses.items() if course.experiment == experiment}
        stopped = {run_id for run_id, ruling in rulings.items() if ruling is not None and not ruling.hold}
        found = sorted((one for one in self._rungs.values() if one.run in stopped), key=lambda one: one.at)
        return {one.run: (one.at, one.value) for one in found}

    def mark_read(self, runs: Sequence[tuple[str, int]]) -> None:
        """The rules have seen everything of these attempts."""
        with self._lock:
            for run_id, attempt in runs:
                run = self._runs[run_id]
                if run.attempt == attempt:
                    self._put(replace(run, judged=replace(run.judged, unread=False)))


def _watched(run: Run) -> Watched:
    until = Until(attempt=run.checkpoint.attempt, line=run.checkpoint.line) if run.checkpoint else None
    return Watched(
        id=run.id,
        experiment=run.experiment,
        state=run.state,
        attempt=run.attempt,
        wish=run.wish,
        shipped=run.shipped,
        checkpoint=until,
        judged=run.judged,
    )


def _as_track(points: Sequence[tuple[int, Point]]) -> Track:
    return Track(
        attempts=tuple(attempt for attempt, _ in points),
        lines=tuple(point.line for _, point in points),
        steps=tuple(point.step for _, point in points),
        times=tuple(point.time for _, point in points),
        values=tuple(point.value for _, point in points),
    )
