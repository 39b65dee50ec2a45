"""What is new of the runs that the rules watch: read by index, folded into their courses."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from queueing.stopping.course import Memory, advanced
from queueing.stopping.rules import Stopping
from store.courses import Asked, Course, Reached, Track, Watched
from store.states import State
from store.store import Store

ANEW_AT_MOST = 100
"""Runs whose whole history is read in one round: those of a new attempt, or under new rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run, its course up to date, and whether that differs from what is stored."""

    run: Watched
    course: Course
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """`seen`: runs whose points are all read. `unfinished`: others are left for the next round."""

    seen: tuple[Seen, ...]
    unfinished: bool


def read_runs(store: Store, rules: Mapping[str, Stopping], watched: Sequence[Watched], deadline: float) -> Read:
    """Read what is new and record the rungs that were reached. Done twice, or by half, it is harmless.

    Whole histories only before the deadline (of `time.monotonic`), for renewals wait meanwhile.
    """
    known = store.courses([run.id for run in watched])
    begun = [run for run in watched if run.shipped.attempt > 0 and _has_begun(run)]
    kept = [(run, known[run.id]) for run in begun if _goes_on(run, known.get(run.id), rules[run.experiment])]
    others = [run for run in begun if not _goes_on(run, known.get(run.id), rules[run.experiment])]
    anew = list(_read_anew(store, rules, others[:ANEW_AT_MOST], known, deadline))
    further = list(_read_further(store, rules, kept))
    reached = [one for _, some in (*anew, *further) for one in some]
    store.reach(reached, [seen.run.id for seen, _ in anew])
    return Read(seen=tuple(seen for seen, _ in (*anew, *further)), unfinished=len(anew) < len(others))


def _has_begun(run: Watched) -> bool:
    """Between claim and begin nobody knows yet from which checkpoint it goes on."""
    return run.state is not State.RUNNING or run.shipped.attempt == run.attempt


def _goes_on(run: Watched, course: Course | None, stopping: Stopping) -> bool:
    if course is None or course.attempt != run.shipped.attempt or course.rules != stopping.digest:
        return False
    return course.line <= run.shipped.events_lines  # else the run was deleted by hand and enqueued again


def _read_further(
    store: Store, rules: Mapping[str, Stopping], runs: Sequence[tuple[Watched, Course]]
) -> Iterator[tuple[Seen, list[Reached]]]:
    asked = [
        _asked(run, course, rules[run.experiment].series)
        for run, course in runs
        if run.shipped.events_lines > course.line and rules[run.experiment].series
    ]
    tracks = store.tracks(asked) if asked else {}
    for run, course in runs:
        found = tracks.get(run.id)
        if found is None:
            yield Seen(run=run, course=course), []
            continue
        memory, rungs = advanced(Memory(**course.memory), rules[run.experiment], found)
        counts = tuple(count + len(track.values) for count, track in zip(course.counts, found, strict=True))
        new = replace(course, line=run.shipped.events_lines, counts=counts, memory=memory.as_dict())
        yield Seen(run=run, course=new, is_new=True), _reached(run, rungs)


def _asked(run: Watched, course: Course, names: tuple[str, ...]) -> Asked:
    return Asked(
        run=run.id,
        attempt=course.attempt,
        names=names,
        counts=course.counts,
        to_line=run.shipped.events_lines,
        at_most=run.shipped.events_lines - course.line,
    )


def _read_anew(
    store: Store, rules: Mapping[str, Stopping], runs: Sequence[Watched], known: Mapping[str, Course], deadline: float
) -> Iterator[tuple[Seen, list[Reached]]]:
    for run in runs:
        if time.monotonic() > deadline:
            return
        stopping, old = rules[run.experiment], known.get(run.id)
        tracks = tuple(valid(track, run) for track in store.whole_tracks(run.id, stopping.series))
        same_rules = old is not None and old.rules == stopping.digest
        judged = Memory(**old.memory).judged if old is not None and same_rules else {}
        memory, rungs = advanced(Memory(judged=judged), stopping, tracks) if tracks else (Memory(judged=judged), [])
        course = Course(
            id=run.id,
            experiment=run.experiment,
            rules=stopping.digest,
            attempt=run.shipped.attempt,
            line=run.shipped.events_lines,
            counts=tuple(track.attempts.count(run.shipped.attempt) for track in tracks),
            memory=memory.as_dict(),
            ruling=old.ruling if old is not None and same_rules else None,
            version=old.version if old is not None else 0,
        )
        yield Seen(run=run, course=course, is_new=True), _reached(run, rungs)


def valid(track: Track, run: Watched) -> Track:
    """Without points behind the checkpoint that the attempt went on from, which are about to be dropped or made again.

    A checkpoint of this attempt means that they are dropped already: it comes after them.
    """
    newest, until = run.shipped.attempt, run.checkpoint

    def holds(attempt: int, line: int) -> bool:
        if attempt == newest:
            return line <= run.shipped.events_lines
        return until is not None and (until.attempt == newest or (attempt, line) <= (until.attempt, until.line))

    chosen = [i for i, place in enumerate(zip(track.attempts, track.lines, strict=True)) if holds(*place)]
    return Track(
        attempts=tuple(track.attempts[i] for i in chosen),
        lines=tuple(track.lines[i] for i in chosen),
        steps=tuple(track.steps[i] for i in chosen),
        times=tuple(track.times[i] for i in chosen),
        values=tuple(track.values[i] for i in chosen),
    )


def _reached(run: Watched, rungs: Sequence[tuple[float, float]]) -> list[Reached]:
    return [Reached(experiment=run.experiment, run=run.id, at=rung, value=value) for rung, value in rungs]
