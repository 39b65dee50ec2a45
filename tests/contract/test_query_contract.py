"""Whatever is asked of random runs: MongoDB answers what the evaluation on each Run says."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from store.errors import BadQuery
from store.findings import Disease
from store.grouping import Extreme, Group, Grouping, grouped, key_of
from store.matching import matches
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore
from store.ordering import UNORDERED, ordered
from store.query import (
    EVERYTHING,
    KINDS,
    All,
    Among,
    Compared,
    Condition,
    Contains,
    Kind,
    Like,
    Metric,
    Missing,
    Names,
    Not,
    Op,
    Order,
    Param,
    RawMongo,
    RunField,
    Some,
    Stat,
)
from store.rows import Wanted, page_of
from store.runs import Attempt, Ending, MetricSummary, Progress, Resources, Run, Task
from store.states import Reason, State
from store.store import RunQuery, Store
from store.views import View
from store.workers import Worker

NOW = datetime.now(UTC).replace(microsecond=0)
NAN, INF = float("nan"), float("inf")
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)

texts = some.sampled_from(["", "a", "A", "gpu1", "gpu-2.lab", "x*y", "a\nb", "a+b(c)", "é", "tanh", "1", "$set", "a b"])
numbers = some.sampled_from([0, 1, -1, 2, 50, 0.25, 1.0, 1e-3, 1e300, 2**53 + 1, 2**63 - 1])
floats = some.sampled_from([0.0, -0.0, 0.25, 1.0, -1.5, 1e300, NAN, INF, -INF])
leaves = numbers | texts | some.booleans() | some.none()
tables = some.dictionaries(
    some.sampled_from(["train", "0", "kind"]), leaves | some.lists(leaves, max_size=2), max_size=2
)
param_values = leaves | some.lists(leaves | tables, max_size=3) | tables | some.lists(some.lists(numbers, max_size=2))
times = some.sampled_from([NOW - timedelta(days=days, milliseconds=250) for days in (0, 1, 30)]) | some.none()


@some.composite
def metric_summaries(draw: some.DrawFn) -> MetricSummary:
    least = draw(floats | some.none())
    step = draw(some.sampled_from([0, 3, 100]))
    return MetricSummary(
        last=draw(floats), last_step=step, count=1, min=least, min_step=None if least is None else step
    )


@some.composite
def random_runs(draw: some.DrawFn, number: int) -> Run:
    ending = some.builds(Ending, exit_code=some.sampled_from([None, 0, 1]), message=texts,
                         peak_memory_bytes=some.sampled_from([None, 0, 10**9]))  # fmt: skip
    git = some.none() | some.fixed_dictionaries({"commit": some.sampled_from(["3f2a", "9c"]), "dirty": some.booleans()})
    attempts = some.builds(
        Attempt, number=some.just(1), worker=texts, started_at=some.just(NOW),
        facts=some.dictionaries(some.just("host"), texts, max_size=1),
    )  # fmt: skip
    return Run(
        id=f"r{number}",
        key=f"k{number}",
        experiment=draw(some.sampled_from(["weather", "weather-2", "tweets"])),
        params=draw(some.dictionaries(some.sampled_from(["lr", "data", "head"]), param_values, max_size=3)),
        task=Task(command=tuple(draw(some.lists(texts, max_size=2))), trainer=draw(some.none() | texts), workdir="/"),
        index=number,
        priority=draw(some.sampled_from([0, 10])),
        tags=tuple(draw(some.lists(texts, max_size=2))),
        findings=tuple(draw(some.lists(some.sampled_from([*Disease][:3]), max_size=2, unique=True))),
        resources=Resources(
            memory_bytes=draw(some.sampled_from([None, 10**9])), cpus=draw(some.sampled_from([None, 4]))
        ),
        owner=draw(texts),
        provenance={"git": draw(git)},
        state=draw(some.sampled_from(State)),
        reason=draw(some.none() | some.sampled_from(Reason)),
        attempt=draw(some.integers(0, 3)),
        queued_at=NOW - timedelta(days=draw(some.sampled_from([1, 2, 30]))),
        started_at=draw(times),
        ended_at=draw(times),
        progress=draw(some.none() | some.builds(Progress, done=floats, total=floats)),
        summary=draw(some.dictionaries(some.sampled_from(["loss", "val loss", "a/b"]), metric_summaries(), max_size=3)),
        ending=draw(some.none() | ending),
        remark=draw(texts),
        history=tuple(draw(some.lists(attempts, max_size=2))),
    )


metrics = some.builds(Metric, name=some.sampled_from(["loss", "val loss", "a/b"]), stat=some.sampled_from(Stat))
paths = some.sampled_from(
    [("lr",), ("data",), ("data", "train"), ("head",), ("head", "kind"), ("head", "0"), ("head", "0", "kind"), ("no",)]
)
params = some.builds(Param, path=paths)
of_kind = {kind: [field for field in RunField if KINDS.get(field, Kind.TEXT) is kind] for kind in Kind}
ORDERED = [Op.LESS, Op.AT_MOST, Op.GREATER, Op.AT_LEAST]
orders = some.sampled_from(ORDERED)
ops = some.sampled_from(Op)
finite = numbers.filter(lambda n: abs(n) < INF)


def compared(field: Any, values: Any, op: Any = ops) -> Any:
    return some.builds(Compared, field=field, op=op, value=values)


def among(field: Any, values: Any) -> Any:
    return some.builds(Among, field=field, values=some.lists(values, max_size=3).map(tuple))


text_fields = some.sampled_from(of_kind[Kind.TEXT]) | params
equal = some.just(Op.EQUAL)
# Far from the differences between the random times: a running run gets older between the two answers.
durations = some.sampled_from([0, 1800.5, 43200.0, 15 * 86400, 900 * 86400])
not_nan = floats.filter(lambda value: value == value)
pieces = some.lists(
    some.sampled_from(["", "a", "gpu", "x*", "lab", "b", "(c)", "weather", "\n"]), min_size=1, max_size=3
)
leaf_conditions = some.one_of(
    compared(text_fields, texts, equal),
    among(text_fields, texts),
    some.builds(Like, field=text_fields, pieces=pieces.map(tuple)),
    some.builds(Contains, field=text_fields, text=texts),
    compared(some.sampled_from(of_kind[Kind.ID]), some.sampled_from(["r", "r1", "3f", "9c"]), equal),
    among(some.sampled_from(of_kind[Kind.ID]), some.sampled_from(["r", "r1", "3f", "9c"])),
    compared(some.just(RunField.STATE), some.sampled_from([s.value for s in State]), equal),
    among(some.just(RunField.STATE), some.sampled_from([s.value for s in State])),
    compared(some.just(RunField.FINDING), some.sampled_from([d.value for d in [*Disease][:4]]), equal),
    among(some.just(RunField.FINDING), some.sampled_from([d.value for d in [*Disease][:4]])),
    compared(some.just(RunField.REASON), some.sampled_from([r.value for r in Reason]), equal),
    compared(some.just(RunField.DIRTY), some.booleans(), equal),
    compared(some.sampled_from(of_kind[Kind.NUMBER] + of_kind[Kind.SIZE]), numbers),
    compared(some.sampled_from([RunField.DURATION, RunField.RUNNING_TIME, RunField.TIME_LIMIT]), durations, orders),
    compared(some.sampled_from(of_kind[Kind.TIME]), times.filter(bool)),
    compared(metrics | params, not_nan | numbers, ops),
    compared(metrics | params, floats | numbers, equal),
    among(metrics | params, floats | numbers),
    compared(params, some.booleans() | texts, equal),
    some.builds(Missing, field=metrics | params | some.sampled_from(RunField)),
)
conditions = some.recursive(
    leaf_conditions,
    lambda inner: (
        some.builds(Not, part=inner)
        | some.builds(All, parts=some.lists(inner, max_size=3).map(tuple))
        | some.builds(Some, parts=some.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
@given(data=some.data())
def test_mongodb_answers_what_the_evaluation_on_each_run_says(mongo_store: MongoStore, data: some.DataObject) -> None:
    mongo_store.database["runs"].delete_many({})
    runs = [data.draw(random_runs(number)) for number in range(6)]
    mongo_store.add_runs(runs)
    for condition in data.draw(some.lists(conditions, min_size=8, max_size=8)):
        expected = {run.id for run in runs if matches(condition, run, datetime.now(UTC))}
        found = {run.id for run in mongo_store.runs(RunQuery(where=condition))}
        assert found == expected, condition


@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
@given(data=some.data())
def test_rows_are_parts_of_the_runs(mongo_store: MongoStore, data: some.DataObject) -> None:
    mongo_store.database["runs"].delete_many({})
    runs = [data.draw(random_runs(number)) for number in range(9)]
    mongo_store.add_runs(runs)
    now, by_id = datetime.now(UTC), {run.id: run for run in runs}
    fields = tuple(data.draw(some.lists(metrics | params | some.sampled_from(RunField), min_size=8, max_size=8)))
    fields = tuple(field for field in fields if field not in ticking)
    wanted = Wanted(fields=fields, every=data.draw(some.booleans()))
    order = Order(
        field=data.draw(sortable.filter(lambda field: field not in ticking)), descending=data.draw(some.booleans())
    )
    for query in (RunQuery(), RunQuery(limit=4), RunQuery(order=order), RunQuery(order=order, limit=3, skip=1)):
        (found,) = mongo_store.rows(query, wanted)
        expected = page_of([by_id[run.id] for run in mongo_store.runs(query)], wanted, now)
        assert [words(part) for part in found] == [words(part) for part in expected], fields
        paged = [repr(run) for page in mongo_store.runs_in_pages(query) for run in page]  # NaN is not NaN
        assert paged == list(map(repr, mongo_store.runs(query)))


def words(value: Any) -> str:
    """Comparable: NaN equals itself, and 1.0 is 1."""
    return json.dumps(value, default=str, sort_keys=True).replace(".0", "")


sortable = metrics | params | some.sampled_from([field for field in RunField if field not in UNORDERED])
ticking = {RunField.DURATION, RunField.RUNNING_TIME}
"""A running run gets older between two answers."""


@settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
@given(data=some.data())
def test_pages_make_up_the_ordered_list_whatever_their_size(mongo_store: MongoStore, data: some.DataObject) -> None:
    mongo_store.database["runs"].delete_many({})
    runs = [data.draw(random_runs(number)) for number in range(9)]
    mongo_store.add_runs(runs)
    for field in data.draw(some.lists(sortable, min_size=4, max_size=4)):
        order = Order(field=field, descending=data.draw(some.booleans()))
        where = data.draw(some.sampled_from([EVERYTHING, Compared(field=RunField.PRIORITY, op=Op.EQUAL, value=0)]))
        expected = [run.id for run in ordered((r for r in runs if matches(where, r, NOW)), order, datetime.now(UTC))]
        if field in ticking and any(run.state is State.RUNNING for run in runs):
            continue
        assert [run.id for run in mongo_store.runs(RunQuery(where=where, order=order))] == expected, order
        for size in (1, 2, 4):
            assert paged(mongo_store, RunQuery(where=where, order=order, limit=size)) == expected, (order, size)
            for skip in range(0, len(expected) + 1, size):
                page = mongo_store.runs(RunQuery(where=where, order=order, limit=size, skip=skip))
                assert [run.id for run in page] == expected[skip : skip + size], (order, size, skip)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("field", [RunField.DURATION, RunField.RUNNING_TIME])
def test_running_runs_stand_between_the_others_in_the_order_of_what_grows(
    mongo_store: MongoStore, field: RunField, descending: bool
) -> None:
    now = datetime.now(UTC)

    def run(number: int, hours: float | None, state: State) -> Run:
        began, ended = (now - timedelta(hours=hours), now) if hours else (None, None)
        ended = None if state is State.RUNNING else ended
        history = (Attempt(number=1, worker="w", started_at=began, ended_at=ended),) if began else ()
        return Run(
            id=f"r{number}", key=f"k{number}", experiment="e", params={}, task=Task(command=("true",), workdir="/"),
            queued_at=NOW, index=number, state=state, started_at=began, ended_at=ended, history=history,
        )  # fmt: skip

    lasted = [3, 5, 5, 5, 9, 12, None]
    runs = [run(number, hours, State.FINISHED if hours else State.QUEUED) for number, hours in enumerate(lasted)]
    runs += [run(10 + number, hours, State.RUNNING) for number, hours in enumerate([1, 4, 6, 7, 20])]
    mongo_store.add_runs(runs)
    order = Order(field=field, descending=descending)
    expected = [run.id for run in ordered(runs, order, now)]
    for size in (1, 2, 4, 50):
        assert paged(mongo_store, RunQuery(order=order, limit=size)) == expected, size
        for skip in range(len(expected) + 2):
            page = mongo_store.runs(RunQuery(order=order, limit=size, skip=skip))
            assert [run.id for run in page] == expected[skip : skip + size], (size, skip)
    assert [run.id for run in mongo_store.runs(RunQuery(order=order, skip=3))] == expected[3:]
    long = Compared(field=field, op=Op.GREATER, value=4.5 * 3600)
    found = {run.id for run in mongo_store.runs(RunQuery(where=long))}
    assert found == {run.id for run in runs if matches(long, run, now)}
    nothing = mongo_store.runs(RunQuery(where=Missing(field=field)))
    assert [run.id for run in nothing] == ["r6"]


def paged(store: Store, query: RunQuery) -> list[str]:
    """The whole list, each page asked for by the last run of the one before."""
    found: list[str] = []
    while page := store.runs(replace(query, after=found[-1] if found else None)):
        found += [run.id for run in page]
        assert len(found) < 100
    return found


@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
@given(data=some.data())
def test_groups_are_those_of_the_evaluation_on_each_run(mongo_store: MongoStore, data: some.DataObject) -> None:
    mongo_store.database["runs"].delete_many({})
    runs = [data.draw(random_runs(number)) for number in range(8)]
    mongo_store.add_runs(runs)
    for field in data.draw(some.lists(sortable.filter(lambda field: field not in ticking), min_size=5, max_size=5)):
        chosen = data.draw(some.lists(some.builds(Extreme, metric=metrics, greatest=some.booleans()), max_size=2))
        grouping = Grouping(by=field, extremes=tuple(chosen))
        found, expected = mongo_store.groups(RunQuery(), grouping), grouped(runs, grouping, NOW)
        assert [told(group) for group in found] == [told(group) for group in expected], grouping


def told(group: Group) -> tuple[Any, ...]:
    """Comparable, NaN and -0.0 included."""
    reached = [one and (one.value + 0.0, one.run) for one in group.reached]
    return key_of(group.value), sorted(group.states.items()), reached


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue("mongo_store") if request.param == "mongo" else MemoryStore()
    return found


def a_run(name: str, **changes: Any) -> Run:
    fields: dict[str, Any] = {"experiment": "exp", "params": {"lr": 0.1}, "queued_at": NOW, **changes}
    return Run(id=name, key=f"key-{name}", task=Task(command=("true",), workdir="/"), **fields)


def shipment(name: str, value: float) -> Shipment:
    point = Point(name=name, step=0, time=1.0, value=value, line=1, index=0)
    return Shipment(events_from=0, events_to=10, lines_to=1, segments=segments([point]), output_from=0)


def a_summary(loss: float | None) -> dict[str, MetricSummary]:
    return {} if loss is None else {"loss": MetricSummary(last=loss, last_step=0, count=1)}


class TestAsking:
    def test_pages_by_age_go_from_the_newest_to_the_oldest(self, store: Store) -> None:
        same_time = [a_run(f"r{i}", index=i // 2) for i in range(7)]
        store.add_runs(same_time)
        newest = store.runs(RunQuery(limit=3))
        assert [run.id for run in newest] == ["r4", "r5", "r6"]
        assert [run.id for run in store.runs(RunQuery(limit=3, after="r4"))] == ["r1", "r2", "r3"]
        assert [run.id for run in store.runs(RunQuery(limit=3, skip=3))] == ["r1", "r2", "r3"]
        assert [run.id for run in store.runs(RunQuery(limit=3, skip=6))] == ["r0"]
        assert store.runs(RunQuery(limit=3, skip=7)) == []
        assert [run.id for run in store.runs(RunQuery(skip=5))] == ["r0", "r1"]

    def test_a_metric_that_is_missing_comes_last_in_both_directions(self, store: Store) -> None:
        values = {"r1": 2.0, "r2": None, "r3": NAN, "r4": -INF, "r5": 1.0}
        store.add_runs([a_run(name, summary=a_summary(value)) for name, value in values.items()])
        up, down = (Order(field=Metric(name="loss"), descending=descending) for descending in (False, True))
        assert [run.id for run in store.runs(RunQuery(order=up))] == ["r4", "r5", "r1", "r3", "r2"]
        assert [run.id for run in store.runs(RunQuery(order=down))] == ["r1", "r5", "r4", "r3", "r2"]

    def test_what_breaks_ties_can_be_sorted_by_too(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i}", index=i) for i in range(3)])
        for descending, expected in ((False, ["r0", "r1", "r2"]), (True, ["r2", "r1", "r0"])):
            order = Order(field=RunField.INDEX, descending=descending)
            assert [run.id for run in store.runs(RunQuery(order=order))] == expected

    @pytest.mark.parametrize("field", [RunField.TAG, RunField.HOST, RunField.FINDING])
    def test_what_a_run_has_several_of_gives_no_order(self, store: Store, field: RunField) -> None:
        with pytest.raises(BadQuery, match="may have several"):
            store.runs(RunQuery(order=Order(field=field)))
        with pytest.raises(BadQuery, match="may have several"):
            store.groups(RunQuery(), Grouping(by=field))

    def test_an_ordered_page_begins_after_a_run_or_at_an_offset(self, store: Store) -> None:
        store.add_runs([a_run("r1")])
        with pytest.raises(BadQuery, match="not both"):
            store.runs(RunQuery(order=Order(field=RunField.PRIORITY), after="r1", skip=1))

    def test_counts_end_where_they_are_told(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i}", priority=i, state=State.FAILED if i > 2 else State.QUEUED) for i in range(5)])
        high = Compared(field=RunField.PRIORITY, op=Op.AT_LEAST, value=1)
        assert store.count(RunQuery(where=high), 10, 5.0) == 4
        assert store.count(RunQuery(where=high), 2, 5.0) == 2
        assert store.counts() == {State.QUEUED: 3, State.FAILED: 2}
        assert store.counts("exp", at_most=1) == {State.QUEUED: 1, State.FAILED: 1}

    def test_a_view_is_kept_under_its_owner_and_name(self, store: Store) -> None:
        view = View(owner="ann", name="good", query="val_loss < 0.3", sort="-val_loss", limit=5)
        store.save_view(view)
        store.save_view(replace(view, owner="bob"))
        store.save_view(replace(view, query="$state"))
        (mine,) = store.views("ann")
        assert replace(mine, saved_at=None) == replace(view, query="$state")
        assert mine.saved_at is not None
        assert [(one.owner, one.name) for one in store.views()] == [("ann", "good"), ("bob", "good")]
        assert store.remove_view("ann", "good")
        assert not store.remove_view("ann", "good")

    def test_a_condition_goes_with_the_other_fields_of_a_query(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i}", priority=i, index=i) for i in range(5)])
        high = Compared(field=RunField.PRIORITY, op=Op.AT_LEAST, value=2)
        assert [run.id for run in store.runs(RunQuery(where=high, limit=2))] == ["r3", "r4"]
        assert store.runs(RunQuery(where=high, experiment="other")) == []
        assert len(store.runs(RunQuery(where=EVERYTHING))) == 5

    def test_names_come_with_the_runs_and_their_metrics(self, store: Store) -> None:
        assert store.names() == Names()
        store.add_runs(
            [a_run("r1", params={"lr": 1, "data": {"train": "x"}}), a_run("r2", experiment="other", params={"b": 1})]
        )
        run = store.claim(WORKER, 60)
        assert run is not None
        store.begin(run.id, 1, None, {})
        first = shipment("val/loss", 0.5)
        store.ship(run.id, 1, first, summarize({}, first.segments))
        assert store.names() == Names(
            metrics=frozenset({"val/loss"}), params=frozenset({"lr", "data", "data.train", "b"})
        )
        assert store.names([run.experiment]).metrics == {"val/loss"}
        assert store.names(["other"]).params == {"b"}
        assert store.names(["nobody"]) == Names()

    def test_a_metric_that_is_nan_is_neither_small_nor_missing(self, store: Store) -> None:
        summary = {"loss": MetricSummary(last=NAN, last_step=0, count=1)}
        store.add_runs([a_run("r1", summary=summary), a_run("r2")])
        loss = Metric(name="loss")

        def asked(condition: Condition) -> list[str]:
            return [run.id for run in store.runs(RunQuery(where=condition))]

        assert asked(Compared(field=loss, op=Op.LESS, value=1.0)) == []
        assert asked(Compared(field=loss, op=Op.AT_LEAST, value=-INF)) == []
        assert asked(Compared(field=loss, op=Op.EQUAL, value=NAN)) == ["r1"]
        assert asked(Missing(field=loss)) == ["r2"]
        assert asked(Missing(field=Metric(name="loss", stat=Stat.MIN))) == ["r1", "r2"]


def test_a_raw_filter_is_mongodbs_alone(mongo_store: MongoStore) -> None:
    mongo_store.add_runs([a_run("r1", priority=3), a_run("r2")])
    raw = RawMongo(text='{"priority": {"$gt": 1}, "queued_at": {"$gt": {"$date": "2026-01-01T00:00:00Z"}}}')
    assert [run.id for run in mongo_store.runs(RunQuery(where=raw))] == ["r1"]
    with pytest.raises(BadQuery, match="unknown operator"):
        mongo_store.runs(RunQuery(where=RawMongo(text='{"priority": {"$more": 1}}')))
    with pytest.raises(BadQuery, match="only be asked of MongoDB"):
        matches(raw, a_run("r1"), NOW)


def test_names_are_bounded_and_say_so(mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.mongo.names.MOST_NAMES", 10)
    mongo_store.note_names("exp", metrics=[f"m{i:03}" for i in range(8)])
    assert mongo_store.names(["exp"]).complete
    mongo_store.note_names("exp", metrics=[f"n{i:03}" for i in range(8)])
    kept = mongo_store.names(["exp"])
    assert (len(kept.metrics), kept.complete) == (10, False)


def test_runs_of_an_earlier_labq_have_names_too(mongo_store: MongoStore) -> None:
    mongo_store.add_runs([a_run("r1", summary={"loss": MetricSummary(last=1.0, last_step=0, count=1)})])
    mongo_store.database["names"].delete_many({})
    old = Names(metrics=frozenset({"loss"}), params=frozenset({"lr"}), complete=False)
    assert mongo_store.names(["exp"]) == mongo_store.names() == old
    mongo_store.add_runs([a_run("r2", params={"b": 1})])
    assert mongo_store.names(["exp"]) == mongo_store.names() == replace(old, params=frozenset({"lr", "b"}))


def test_a_question_that_takes_too_long_says_how_to_narrow_it(
    mongo_store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo_store.add_runs([a_run(f"r{i}") for i in range(20)])
    monkeypatch.setattr("store.mongo.runs._QUESTION_S", 0.3)
    mongo_store.timeout_s = 0.3
    numbers_to = {"$range": [0, {"$add": ["$priority", 1_000_000]}]}
    summed = {"$reduce": {"input": numbers_to, "initialValue": 0, "in": {"$add": ["$$value", "$$this"]}}}
    slow = RawMongo(text=json.dumps({"$expr": {"$eq": [summed, 2]}}))
    with pytest.raises(BadQuery, match=r"longer than 0\.3 s.*narrow it"):
        mongo_store.runs(RunQuery(where=slow))
    assert mongo_store.count(RunQuery(where=slow), 10, 0.2) is None
