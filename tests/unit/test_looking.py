"""Rounds of the diagnosis over the store in memory: who is looked at, when, and what comes of a look that fails."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notify.diagnosis.chart import Chart
from notify.looking import look
from notify.looking.due import LONGEST_PAUSE_S, chosen, is_due, pause
from notify.looking.look import look_now
from notify.looking.looker import Looker
from notify.looking.round import look_around
from store.errors import StoreUnavailable
from store.findings import Disease, Finding, Severity
from store.glimpses import Glimpse, LastLook
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.runs import Ending, Run, Shipped, Task
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SICK = Finding(disease=Disease.DIVERGENCE, severity=Severity.SEVERE, evidence="loss 3 → 80", advice="Lower the rate.")


def glimpse(age_s: float = 3600.0, lines: int = 5, *, state: State = State.RUNNING, shipped: int = 1) -> Glimpse:
    return Glimpse(
        id="aaaa", experiment="exp", state=state, attempt=1, started_at=NOW - timedelta(seconds=age_s),
        shipped=Shipped(attempt=shipped, events_lines=lines),
    )  # fmt: skip


def seen(ago_s: float, lines: int = 5, *, attempt: int = 1, over: bool = False) -> LastLook:
    return LastLook(attempt=attempt, lines=lines, looked_at=NOW - timedelta(seconds=ago_s), over=over)


def due(one: Glimpse, last: LastLook | None) -> bool:
    from dataclasses import replace

    return is_due(replace(one, last_look=last), NOW, 30.0)


class TestDue:
    def test_a_run_that_has_reported_is_looked_at_when_the_pause_is_over(self) -> None:
        assert due(glimpse(age_s=60), seen(31, lines=4))
        assert not due(glimpse(age_s=60), seen(29, lines=4))

    def test_a_quiet_run_is_looked_at_less_often(self) -> None:
        assert not due(glimpse(age_s=60), seen(100))
        assert due(glimpse(age_s=60), seen(130))

    def test_an_old_run_is_looked_at_less_often_but_not_for_ever(self) -> None:
        assert not due(glimpse(age_s=36_000), seen(200, lines=4))
        assert due(glimpse(age_s=1e7), seen(LONGEST_PAUSE_S + 1, lines=4))
        assert pause(30.0, 3600.0) == pytest.approx(66.0)
        assert pause(1000.0, 1e9) == 1000.0

    def test_a_run_nobody_has_seen_is_looked_at_once_it_has_reported_or_gone_on_for_a_while(self) -> None:
        assert due(glimpse(age_s=1), None)
        assert not due(glimpse(age_s=20, lines=0), None)
        assert due(glimpse(age_s=31, lines=0), None)
        assert due(glimpse(age_s=1), seen(1, attempt=0))

    def test_between_claim_and_begin_nobody_looks(self) -> None:
        assert not due(glimpse(shipped=0), None)

    def test_one_that_has_ended_is_looked_at_once(self) -> None:
        ended = glimpse(state=State.FAILED)
        assert due(ended, seen(1))
        assert due(ended, None)
        assert not due(ended, seen(1000, over=True))

    def test_endings_come_first_then_whom_nobody_has_seen_for_longest(self) -> None:
        from dataclasses import replace

        late, later = (replace(glimpse(60), id=name, last_look=seen(ago, 4)) for name, ago in (("b", 40), ("c", 50)))
        ended = replace(glimpse(60, state=State.FINISHED), id="a")
        assert [one.id for one in chosen([late, later, ended], NOW, 30.0)] == ["a", "c", "b"]


class Lab:
    """A store whose clock is ours, and a rule that finds `sick` runs sick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sick = NOW, set[str]()
        self.store = MemoryStore(lambda: self.now)
        self.charts: list[Chart] = []
        self.stumble: Callable[[Chart], Any] = lambda chart: None
        monkeypatch.setattr(look, "diagnose", self.diagnose)

    def diagnose(self, chart: Chart) -> tuple[Finding, ...]:
        self.charts.append(chart)
        self.stumble(chart)
        return (SICK,) if chart.params["name"] in self.sick else ()

    def run(self, name: str) -> Run:
        task = Task(command=("true",), workdir="/")
        self.store.add_runs([
            Run(id=name, key=name, experiment="exp", params={"name": name}, task=task, queued_at=NOW, index=len(name))
        ])  # fmt: skip
        run = self.store.claim(Worker(name="w", host="h", pid=1), 1e6)
        assert run is not None
        return self.store.begin(run.id, run.attempt, None, {})

    def report(self, name: str, value: float, step: int) -> None:
        run = self.store.run(name)
        line, time = run.shipped.events_lines + 1, self.now.timestamp()
        points = (Point(name="loss", step=step, time=time, value=value, line=line, index=line - 1),)
        size = run.shipped.events_bytes
        shipment = Shipment(
            events_from=size, events_to=size + 1, lines_to=line, segments=segments(points), output_from=0
        )
        self.store.ship(name, run.attempt, shipment, summarize(run.summary, segments(points)))

    def pass_by(self, seconds: float = 40.0) -> int:
        """A round after so much time; how many looks were made."""
        self.now += timedelta(seconds=seconds)
        due = chosen(self.store.glimpses(100), self.now, 30.0)
        return look_around(self.store, due, self.now, lambda: False).looked if due else 0

    def events(self, name: str) -> list[str]:
        return [event.event for event in self.store.events(name) if event.event == "finding"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(monkeypatch)


class TestRound:
    def test_what_is_found_is_kept_and_told_once(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.sick.add("aaaa")
        for step in range(3):
            lab.report("aaaa", 1.0, step)
            assert lab.pass_by() == 1
        kept = lab.store.diagnoses(["aaaa"])["aaaa"]
        assert [one.disease for one in kept.standing] == [Disease.DIVERGENCE]
        assert (kept.lines, kept.over, kept.looked_at) == (3, False, lab.now)
        assert lab.events("aaaa") == ["finding"]

    def test_what_is_over_and_comes_back_is_told_again(self, lab: Lab) -> None:
        lab.run("aaaa")
        for step, sick in enumerate([True, False, True]):
            lab.sick = {"aaaa"} if sick else set()
            lab.report("aaaa", 1.0, step)
            lab.pass_by()
        assert lab.events("aaaa") == ["finding", "finding"]

    def test_a_run_that_ends_gets_one_last_look(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.report("aaaa", 1.0, 0)
        lab.pass_by()
        lab.report("aaaa", 80.0, 1)
        lab.sick.add("aaaa")
        lab.store.settle("aaaa", 1, Settlement(state=State.FAILED, ending=Ending(exit_code=1)))
        assert lab.pass_by(1) == 1
        assert lab.store.diagnoses(["aaaa"])["aaaa"].over
        assert lab.charts[-1].series["loss"].values == (1.0, 80.0)
        assert lab.charts[-1].now == lab.now - timedelta(seconds=1)
        assert lab.events("aaaa") == ["finding"]
        assert lab.pass_by(1000) == 0

    def test_a_run_that_stumbles_loses_its_own_look_only(self, lab: Lab) -> None:
        for name in ("aaaa", "bb", "c"):
            lab.run(name)
            lab.report(name, 1.0, 0)
        lab.sick |= {"bb", "c"}

        def stumble(chart: Chart) -> None:
            if chart.params["name"] == "aaaa":
                raise ZeroDivisionError

        lab.stumble = stumble
        assert lab.pass_by() == 3
        assert (lab.events("aaaa"), lab.events("bb"), lab.events("c")) == ([], ["finding"], ["finding"])
        assert lab.pass_by(1) == 0

    def test_findings_outlive_a_look_that_stumbles(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.sick.add("aaaa")
        lab.report("aaaa", 1.0, 0)
        lab.pass_by()
        lab.report("aaaa", 1.0, 1)

        def stumble(chart: Chart) -> None:
            raise RuntimeError

        lab.stumble = stumble
        lab.pass_by()
        assert len(lab.store.diagnoses(["aaaa"])["aaaa"].standing) == 1

    def test_a_new_attempt_begins_without_the_findings_of_the_last(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.sick.add("aaaa")
        lab.report("aaaa", 1.0, 0)
        lab.pass_by()
        lab.store.settle("aaaa", 1, Settlement(state=State.QUEUED))
        lab.store.claim(Worker(name="w", host="h", pid=1), 1e6)
        lab.store.begin("aaaa", 2, None, {})
        lab.sick.clear()
        lab.report("aaaa", 1.0, 0)
        lab.pass_by()
        assert lab.store.diagnoses(["aaaa"])["aaaa"].findings == ()

    def test_the_last_event_is_seen_also_where_a_line_has_no_time(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.report("aaaa", 1.0, 0)
        reported_at = lab.now
        lab.pass_by()
        assert lab.charts[-1].last_event_at == reported_at
        shipped = lab.store.run("aaaa").shipped
        silent = Shipment(events_from=shipped.events_bytes, events_to=9, lines_to=2, output_from=0)  # progress
        lab.store.ship("aaaa", 1, silent, lab.store.run("aaaa").summary)
        before = lab.now
        lab.pass_by()
        assert lab.charts[-1].last_event_at == before
        lab.pass_by(1000)
        assert lab.charts[-1].last_event_at == before

    def test_siblings_are_those_that_do_the_same(self, lab: Lab) -> None:
        for name, steps in (("aaaa", 100), ("bb", 200), ("c", 300)):
            lab.run(name)
            for step in (0, steps):
                lab.report(name, 1.0, step)
        lab.pass_by(100)
        siblings = {chart.params["name"]: chart.siblings for chart in lab.charts}
        assert (siblings["c"].count, siblings["c"].steps_per_s, siblings["c"].interval_s) == (2, 1.5, 50.0)

    def test_a_look_now_keeps_nothing(self, lab: Lab) -> None:
        run = lab.run("aaaa")
        lab.sick.add("aaaa")
        assert [one.disease for one in look_now(lab.store, run).standing] == [Disease.DIVERGENCE]
        assert lab.store.diagnoses(["aaaa"]) == {}


class TestTurns:
    def looker(self, **changes: Any) -> Looker:
        return Looker(Settings(diagnose_s=0.001, **changes), "me")

    def test_only_one_looks_at_a_time(self, lab: Lab) -> None:
        lab.run("aaaa")
        lab.report("aaaa", 1.0, 0)
        lab.store.lock("diagnosis", "another", 1000.0, 0.0)
        self.looker().turn(lab.store, 5.0)
        assert lab.charts == []
        lab.now += timedelta(seconds=1001)
        self.looker().turn(lab.store, 5.0)
        assert len(lab.charts) == 1

    def test_a_store_that_is_away_ends_nobody(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> None:
            raise StoreUnavailable("gone")

        lab.run("aaaa")
        for name in ("lock", "glimpses", "diagnoses", "put_looks"):
            with monkeypatch.context() as patch:
                patch.setattr(lab.store, name, away)
                self.looker().turn(lab.store, 5.0)

    def test_looks_that_are_left_when_time_is_over_come_next(self, lab: Lab) -> None:
        names = [f"run-{'x' * number}" for number in range(5)]
        for name in names:
            lab.run(name)
            lab.report(name, 1.0, 0)
        looker, looked = self.looker(), 0
        for _ in names:
            looker.turn(lab.store, -1.0)
            assert len(lab.charts) == looked + 1
            looked = len(lab.charts)
        assert {chart.params["name"] for chart in lab.charts} == set(names)


def test_extremes_of_a_series_that_was_read_in_part_are_put_back() -> None:
    from notify.looking.gather import with_extremes
    from store.metrics import Series, extended

    draw = random.Random(1)
    values = [draw.random() for _ in range(1000)]
    values[333], values[444] = 5.0, -5.0
    summary = extended(None, list(range(1000)), values)
    assert summary is not None
    part = [*range(0, 900, 100), *range(900, 1000)]
    found = with_extremes(
        Series(name="x", steps=tuple(part), times=tuple(map(float, part)), values=tuple(values[i] for i in part)),
        summary,
    )
    assert dict(zip(found.steps, found.values, strict=True))[333] == 5.0
    assert dict(zip(found.steps, found.values, strict=True))[444] == -5.0
    assert list(found.steps) == sorted(found.steps)
    assert list(found.times) == sorted(found.times)
