"""How many places are asked for: every rule by itself, and over many rounds of a made-up cluster."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.allocations import Allocation, Phase
from store.runs import Resources
from store.schedulers import Scheduler
from store.workers import Worker
from worker.cluster.scaling import (
    FIRST_PAUSE_S,
    FULL_S,
    LONGEST_PAUSE_S,
    SETTLE_S,
    STARTING_S,
    Situation,
    decide,
    shaped,
    suffices,
)  # fmt: skip

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = Resources(cpus=1, time_s=3600.0)
PLAIN, GPU, BIG = Resources(), Resources(gpus=1), Resources(memory_bytes=64 * 10**9, cpus=4)


def situation(demands: dict[Resources, int], most: int = 20, **more: Any) -> Situation:
    return Situation(demands=demands, base=BASE, most=most, now=NOW, **more)


def place(name: str, phase: Phase = Phase.PENDING, age_s: float = 5.0, **more: Any) -> Allocation:
    since = NOW - timedelta(seconds=age_s)
    made = Allocation(
        id=f"{name}-0", submission=name, scheduler=Scheduler.SLURM, cluster="c", owner="me", queue="default",
        offers=BASE, phase=phase, scaled=True, job=name, created_at=since,
        started_at=since if phase is Phase.RUNNING else None,
    )  # fmt: skip
    return replace(made, **more)


def worker(name: str, run: str | None = None, **more: Any) -> Worker:
    return replace(Worker(name=name, host="h", pid=1, place=f"{name}-0", run=run), **more)


class TestHowMany:
    def test_an_empty_queue_wants_nothing(self) -> None:
        assert decide(situation({})).ask == ()

    def test_one_for_each_waiting_run_and_never_more_than_there_may_be(self) -> None:
        assert decide(situation({PLAIN: 5})).ask == ((BASE, 5),)
        crowded = decide(situation({PLAIN: 50}, most=3))
        assert crowded.ask == ((BASE, 3),)
        assert decide(situation({PLAIN: 50}, most=3, open_ones=[place(name) for name in "abc"])).ask == ()

    def test_waiting_and_starting_places_serve_runs_already(self) -> None:
        there = [place("a"), place("b", Phase.SUBMITTING), place("c", Phase.RUNNING)]
        assert decide(situation({PLAIN: 5}, open_ones=there)).ask == ((BASE, 2),)

    def test_a_busy_worker_serves_nobody_else_and_an_idle_one_does(self) -> None:
        there = [place("a", Phase.RUNNING), place("b", Phase.RUNNING)]
        living = [worker("a", run="xyz"), worker("b")]
        assert decide(situation({PLAIN: 5}, open_ones=there, living=living)).ask == ((BASE, 4),)

    def test_a_job_without_a_worker_counts_until_it_should_have_one(self) -> None:
        assert decide(situation({PLAIN: 1}, open_ones=[place("a", Phase.RUNNING)])).ask == ()
        silent = place("a", Phase.RUNNING, age_s=STARTING_S + 1)
        assert decide(situation({PLAIN: 1}, open_ones=[silent])).ask == ((BASE, 1),)

    def test_idle_workers_of_other_machines_are_made_use_of(self) -> None:
        elsewhere = worker("server", place="", cpus=8, memory_bytes=10**12)
        assert decide(situation({PLAIN: 3}, living=[elsewhere])).ask == ((BASE, 2),)
        assert decide(situation({GPU: 3}, living=[elsewhere])).ask == ((replace(BASE, gpus=1), 3),)


class TestWhatKind:
    def test_places_have_what_the_runs_want(self) -> None:
        asked = dict(decide(situation({PLAIN: 2, GPU: 1, BIG: 1})).ask)
        assert asked == {BASE: 2, replace(BASE, gpus=1): 1, replace(BASE, cpus=4, memory_bytes=64 * 10**9): 1}

    def test_no_kind_waits_for_another_to_be_served(self) -> None:
        asked = dict(decide(situation({PLAIN: 100, GPU: 100}, most=5)).ask)
        assert sorted(asked.values()) == [2, 3]

    def test_a_great_place_is_kept_for_the_run_that_needs_it(self) -> None:
        great = place("great", offers=replace(BASE, gpus=1))
        asked = dict(decide(situation({PLAIN: 1, GPU: 1}, open_ones=[great])).ask)
        assert asked == {BASE: 1}

    def test_a_small_run_takes_a_great_place_when_nothing_else_is_free(self) -> None:
        assert decide(situation({PLAIN: 1}, open_ones=[place("great", offers=replace(BASE, gpus=1))])).ask == ()

    def test_runs_whose_tags_these_workers_lack_are_named_and_not_asked_for(self) -> None:
        decision = decide(situation({Resources(tags=("a100",)): 2, PLAIN: 1}))
        assert decision.ask == ((BASE, 1),)
        assert decision.because == "2 runs want a tag that these workers do not have"

    def test_what_is_shaped_for_a_run_suffices_for_it(self) -> None:
        generator = random.Random(7)
        for _ in range(300):
            one, other = (
                Resources(
                    gpus=generator.randrange(3), cpus=generator.choice([None, 1, 4]),
                    memory_bytes=generator.choice([None, 10**9, 10**11]),
                )
                for _ in range(2)
            )  # fmt: skip
            assert suffices(shaped(one, other), other)


class TestHoldingBack:
    def test_a_full_cluster_is_not_asked_for_more_of_the_same(self) -> None:
        stuck = place("a", age_s=FULL_S + 1)
        decision = decide(situation({PLAIN: 5, GPU: 1}, open_ones=[stuck]))
        assert decision.ask == ((replace(BASE, gpus=1), 1),)
        assert "the cluster is full" in decision.because

    def failed(self, count: int, ago_s: float) -> list[Allocation]:
        ended = NOW - timedelta(seconds=ago_s)
        return [
            place(f"f{number}", Phase.FAILED, ended_at=ended - timedelta(hours=number), says="no such account")
            for number in range(count)
        ]

    def test_after_failures_it_waits_longer_every_time(self) -> None:
        for count in range(1, 12):
            pause_s = min(FIRST_PAUSE_S * 2 ** (count - 1), LONGEST_PAUSE_S)
            waiting = decide(situation({PLAIN: 1}, over=self.failed(count, pause_s - 1)))
            assert waiting.ask == ()
            assert "failed: no such account" in waiting.because
            assert decide(situation({PLAIN: 1}, over=self.failed(count, pause_s + 1))).ask == ((BASE, 1),)

    def test_a_place_that_was_of_use_ends_the_row_of_failures(self) -> None:
        good = place("good", Phase.ENDED, started_at=NOW - timedelta(hours=1), ended_at=NOW - timedelta(seconds=40))
        later, *earlier = self.failed(8, 35)
        assert decide(situation({PLAIN: 1}, over=[*earlier, good, later])).ask == ((BASE, 1),)

    def test_what_a_person_asked_for_in_vain_is_not_held_against_the_cluster(self) -> None:
        mistake = replace(self.failed(1, 1)[0], scaled=False)
        assert decide(situation({PLAIN: 1}, over=[mistake])).ask == ((BASE, 1),)


class TestGivingBack:
    def test_what_waits_for_nobody_is_given_back_after_a_while(self) -> None:
        old, young = place("old", age_s=SETTLE_S + 1), place("young", age_s=SETTLE_S - 1)
        assert decide(situation({}, open_ones=[old, young])).give_back == ("old-0",)
        assert decide(situation({PLAIN: 2}, open_ones=[old, young])).give_back == ()

    def test_what_a_person_asked_for_stays_and_what_works_leaves_of_itself(self) -> None:
        by_hand = place("hand", age_s=999, scaled=False)
        working = place("work", Phase.RUNNING, age_s=999)
        assert decide(situation({}, open_ones=[by_hand, working])).give_back == ()

    def test_more_than_there_may_be_now_are_given_back_the_newest_first(self) -> None:
        there = [place("a", age_s=50), place("b", age_s=45), place("c", age_s=40)]
        decision = decide(situation({PLAIN: 3}, most=1, open_ones=there))
        assert decision.give_back == ("c-0", "b-0")
        assert decision.ask == ()


@pytest.mark.parametrize("seed", range(20))
def test_a_queue_is_worked_off_and_never_with_more_places_than_there_may_be(seed: int) -> None:
    """A cluster that starts what it likes, when it likes; runs of any length; workers that leave when idle."""
    generator = random.Random(seed)
    waiting = {PLAIN: generator.randrange(30), GPU: generator.randrange(10)}
    busy: dict[str, int] = {}
    places: list[Allocation] = []
    most, names = generator.randrange(1, 6), iter(range(10**6))
    for _ in range(2000):
        living = [
            worker(one.submission, run="x" if one.id in busy else None) for one in places if one.phase is Phase.RUNNING
        ]
        decision = decide(
            Situation(demands=dict(waiting), base=BASE, most=most, now=NOW, open_ones=places, living=living)
        )
        places = [one for one in places if one.id not in decision.give_back]
        places += [place(str(next(names)), offers=shape) for shape, count in decision.ask for _ in range(count)]
        assert len(places) <= most
        after = []
        for one in places:
            if one.phase is Phase.PENDING and generator.random() < 0.5:
                one = replace(one, phase=Phase.RUNNING, started_at=NOW)
            if one.id in busy:
                busy[one.id] -= 1
                if not busy[one.id]:
                    del busy[one.id]
            elif one.phase is Phase.RUNNING:
                run = next((kind for kind in (GPU, PLAIN) if waiting[kind] and suffices(one.offers, kind)), None)
                if run is None and generator.random() < 0.3:
                    continue  # idle for long enough: it leaves
                if run is not None:
                    waiting[run] -= 1
                    busy[one.id] = generator.randrange(1, 4)
            after.append(one)
        places = after
        if not any(waiting.values()) and not places:
            return
    raise AssertionError(f"not worked off: {waiting}, {places}")


class TestJobsOfTheirOwn:
    def test_they_come_first_and_count(self) -> None:
        own = Resources(on=Scheduler.SLURM)
        decision = decide(situation({PLAIN: 5, own: 3}, most=4, own=3))
        assert (decision.own, decision.ask) == (3, ((BASE, 1),))
        assert decide(situation({own: 3}, most=2, own=3)).own == 2

    def test_they_serve_nobody_else_and_are_not_given_back(self) -> None:
        there = [place("a", age_s=999, run="aaaabbbbcccc")]
        decision = decide(situation({PLAIN: 1}, open_ones=there))
        assert (decision.ask, decision.give_back) == ((), ())  # alike, and waiting: the cluster is full
        young = [place("a", age_s=5, run="aaaabbbbcccc")]
        assert decide(situation({PLAIN: 1}, open_ones=young)).ask == ((BASE, 1),)
