"""What tables of results read: the same from both stores."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.errors import BadQuery, LabqError
from store.experiments import Experiment
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore, open_store
from store.mongo import outcomes as mongo_outcomes
from store.outcomes import outcome_of
from store.query import Metric, Order, Param, RawMongo, RunField, Stat
from store.rows import Wanted
from store.runs import Attempt, Ending, MetricSummary, Progress, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State
from store.store import RunQuery, Store
from store.workers import Worker

NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
NAN, INF = float("nan"), float("inf")
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str, **changes: Any) -> Run:
    run = Run(id=name, key=f"key-{name}", experiment="exp", params={"lr": 0.1}, task=Task(workdir="/"), queued_at=NOW)
    return replace(run, **changes)


def reported(store: Store, name: str, lines: list[dict[str, float]]) -> None:
    """A run that reported these lines; `step` is one of the keys."""
    store.add_runs([a_run(name)])
    run = store.claim(WORKER, 60)
    assert run is not None
    store.begin(name, run.attempt, None, {})
    indices: dict[str, int] = {}
    points = []
    for number, line in enumerate(lines, 1):
        for metric in (key for key in line if key != "step"):
            index = indices[metric] = indices.get(metric, -1) + 1
            points.append(
                Point(name=metric, step=int(line["step"]), time=1.0, value=line[metric], line=number, index=index)
            )
    shipment = Shipment(events_from=0, events_to=10, lines_to=len(lines), segments=segments(points), output_from=0)
    store.ship(name, run.attempt, shipment, summarize({}, segments(points)))


def test_an_outcome_is_the_small_part_of_a_run(store: Store) -> None:
    attempts = tuple(
        Attempt(number=n, worker="w", started_at=NOW, ended_at=NOW, facts={"host": f"gpu-{n}", "python": "3.11"})
        for n in (1, 2)
    )
    summary = {"loss": MetricSummary(last=NAN, last_step=9, count=9, min=-INF, min_step=3, max=INF, max_step=4)}
    run = a_run(
        "aaaa", params={"lr": 0.1, "data": {"train": "t.tsv"}, "layers": [1, 2]}, repeat=2, index=7, state=State.FAILED,
        reason=Reason.DIVERGED, attempt=2, priority=3, tags=("paper",), owner="ann", started_at=NOW, ended_at=NOW,
        progress=Progress(done=3.0, total=4.0), summary=summary, history=attempts, ending=Ending(message="nan"),
        provenance={"git": {"commit": "3f2a"}},
    )  # fmt: skip
    store.add_runs([run, a_run("bbbb", index=9, provenance={"git": None})])
    first, second = store.outcomes(RunQuery())
    assert (first.host, first.commit, first.message) == ("gpu-2", "3f2a", "nan")
    assert repr(first) == repr(outcome_of(run)), "by its text: NaN is not equal to itself"
    assert (second.host, second.commit, second.message, second.summary) == ("", "", "", {})


def test_outcomes_come_oldest_first_over_any_number_of_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_outcomes, "PAGE", 3)
    runs = [
        a_run(f"{experiment}-{day}-{index}", experiment=experiment, index=index, queued_at=NOW + timedelta(days=day))
        for experiment in ("a", "b", "c", "d") for day in (2, 0, 1) for index in (1, 0, 2, 3)
    ]  # fmt: skip
    store.add_runs(runs)
    found = list(store.outcomes(RunQuery()))
    assert sorted(one.id for one in found) == sorted(run.id for run in runs), "none twice, none missing"
    assert [(one.queued_at, one.index) for one in found] == sorted((run.queued_at, run.index) for run in runs)
    assert [one.id for one in store.outcomes(RunQuery(experiment="b", limit=2))] == [
        f"b-{day}-{index}" for day in (0, 1, 2) for index in (0, 1, 2, 3)
    ]
    assert not list(store.outcomes(RunQuery(experiment="none")))


def test_values_at_a_step_are_those_of_the_newest_point_there(store: Store) -> None:
    lines = [{"step": step, "val_loss": 1.0 / (step + 1), "loss": float(step)} for step in range(2500)]
    lines += [{"step": 2400, "loss": -1.0}, {"step": 2400, "test_loss": INF}, {"step": 9, "nan": NAN}]
    reported(store, "aaaa", lines)
    reported(store, "bbbb", [{"step": 0, "loss": 7.0}, {"step": 1, "val_loss": 1.0}])
    names = ["val_loss", "loss", "test_loss"]
    found = store.values_at({"aaaa": 2400, "bbbb": 0, "none": 3}, names)
    assert found == {
        "aaaa": {"val_loss": 1.0 / 2401, "loss": -1.0, "test_loss": INF},
        "bbbb": {"loss": 7.0},
        "none": {},
    }
    assert store.values_at({"aaaa": 1234}, ["loss"]) == {"aaaa": {"loss": 1234.0}}
    assert store.values_at({"aaaa": 9999}, ["loss"]) == {"aaaa": {}}
    assert str(store.values_at({"aaaa": 9}, ["nan"])) == "{'aaaa': {'nan': nan}}"
    assert store.values_at({"aaaa": 9}, []) == {"aaaa": {}}
    assert store.values_at({}, ["loss"]) == {}


@pytest.mark.parametrize(("page", "part"), [(1, 1), (3, 2), (7, 3), (1000, 100)])
def test_rows_are_those_of_the_memory_however_they_are_cut_into_pages_and_parts(
    mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch, page: int, part: int
) -> None:
    monkeypatch.setattr(mongo_outcomes, "PAGE", page)
    monkeypatch.setattr(mongo_outcomes, "_PART", part)
    summary = MetricSummary(last=NAN, last_step=3, count=2**40, max=INF, max_step=3)
    names = ["loss", "a.b", "$x", "", "k", "v", "_id"]
    runs = [
        a_run(f"r{k:02}", key=f"{k}", index=k % 5, queued_at=NOW + timedelta(seconds=k // 10), params={"lr": k} if k % 3 else {},
              summary=dict.fromkeys(names[:k % 8], summary), tags=("a",) if k % 2 else ())
        for k in range(23)
    ]  # fmt: skip
    memory = MemoryStore()
    memory.add_runs(runs)
    mongo_store.add_runs(runs)
    fields = (RunField.CREATED, RunField.TAG, Param(path=("lr",)), Metric(name="loss", stat=Stat.COUNT))
    wanted = Wanted(fields=fields, every=True)
    order = Order(field=RunField.ID)
    assert sorted(rows_of(mongo_store, RunQuery(), wanted)) == rows_of(memory, RunQuery(order=order), wanted)
    for query in (RunQuery(order=order), RunQuery(limit=9), RunQuery(order=order, skip=2, limit=11)):
        assert rows_of(mongo_store, query, wanted) == rows_of(memory, query, wanted)


def test_a_reader_that_is_left_or_loses_mongodb_leaves_no_thread(
    servers: Settings, mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_outcomes, "PAGE", 2)
    mongo_store.add_runs([a_run(f"r{k}", key=f"{k}", index=k) for k in range(9)])
    before = set(threading.enumerate())
    for _ in mongo_store.rows(RunQuery(), Wanted(every=True)):
        break
    other = open_store(places(servers.home).mongo_url, mongo_store.database.name, 2.0)
    reader = other.rows(RunQuery(), Wanted(every=True))
    next(reader)
    other.close()
    with pytest.raises(LabqError):
        list(reader)
    assert not [one for one in set(threading.enumerate()) - before if "ThreadPool" in one.name]


def rows_of(store: Store, query: RunQuery, wanted: Wanted) -> list[str]:
    """A text for each run: NaN equals itself there."""
    return [
        repr((*row[:-1], [(name, sorted(one.items())) for name, one in row[-1].items()]))
        for page in store.rows(query, wanted)
        for row in zip(page.ids, *page.columns, page.params, page.summaries, strict=True)
    ]


def test_a_filter_that_makes_no_sense_to_mongodb_is_the_users(mongo_store: MongoStore) -> None:
    mongo_store.add_runs([a_run("aaaa")])
    with pytest.raises(BadQuery, match="MongoDB refuses the filter"):
        list(mongo_store.outcomes(RunQuery(where=RawMongo(text='{"$nonsense": 1}'))))


def test_an_experiment_is_found_by_its_name(store: Store) -> None:
    store.add_experiment(Experiment(name="exp", owner="ann", source="/exp.toml", text="a = 1", created_at=NOW))
    found = store.experiment("exp")
    assert found is not None
    assert (found.name, found.text, found.created_at) == ("exp", "a = 1", NOW)
    assert store.experiment("other") is None
