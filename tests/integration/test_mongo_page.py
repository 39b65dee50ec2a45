"""docs/mongo.md says nothing that MongoDB does not answer: every block of it is executed."""

import json
import math
import re
import uuid
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore, open_store
from store.mongo.filters import DERIVED
from store.mongo.for_analysts import VIEWS
from store.runs import Ending, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mongo.md").read_text()
QUESTIONS = re.findall(r"```js\n(.*?)\n```", PAGE, re.DOTALL)
PROGRAMMES = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
BEST = "r0"


@pytest.fixture(scope="module")
def store(servers: Settings) -> Iterator[MongoStore]:
    """One database for all questions: nobody changes it."""
    mongo_store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    fill(mongo_store)
    yield mongo_store
    mongo_store.client.drop_database(mongo_store.database.name)
    mongo_store.close()


def fill(mongo_store: MongoStore) -> None:
    mongo_store.add_experiment(Experiment(name="weather", owner="me", source="w.toml", text="", created_at=NOW))
    number = 0
    for lr in (0.1, 0.01):
        for n_hidden in (50, 150):
            for repeat in (0, 1):
                run_it(mongo_store, number, {"lr": lr, "n_hidden": n_hidden}, repeat)
                number += 1
    found = Finding(disease=Disease.DIVERGENCE, severity=Severity.SEVERE, evidence="it rises", advice="Lower the rate.")
    assert mongo_store.put_diagnosis(Diagnosis(run=BEST, attempt=1, findings=(found,), looked_at=NOW), [])


def run_it(store: MongoStore, number: int, params: dict[str, Any], repeat: int) -> None:
    run = Run(
        id=f"r{number}", key=f"k{number}", experiment="weather", params=params, repeat=repeat, index=number,
        tags=("paper",), task=Task(command=("true",), workdir="/"), queued_at=NOW, provenance={"git": {"commit": "abc"}},
    )  # fmt: skip
    store.add_runs([run])
    if number == 7:
        return
    attempts = 2 if number == 5 else 1
    for attempt in range(1, attempts + 1):
        assert store.claim(WORKER, 600.0) is not None
        store.begin(run.id, attempt, None, {"host": "gpu-1"})
        if attempt < attempts:
            store.settle(run.id, attempt, Settlement(state=State.QUEUED, reason=Reason.LOST))
    values = [1.0, 0.5, math.nan, 0.2 + number / 10, 0.3 + number / 10]
    points = [Point(name="val_loss", step=k, time=1e9 + k, value=v, line=k + 1, index=k) for k, v in enumerate(values)]
    shipment = Shipment(events_from=0, events_to=9, lines_to=5, segments=segments(points), output_from=0)
    store.ship(run.id, attempts, shipment, summarize({}, shipment.segments))
    if number == 6:
        return
    failed = Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(exit_code=1, message="ValueError: x"))
    finished = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
    store.settle(run.id, attempts, failed if number == 4 else finished)


def asked(database: Any, question: str) -> list[dict[str, Any]]:
    """`db.NAME.find({…}, {…}).sort({…}).limit(N)` or `db.NAME.aggregate([…])`, its arguments being JSON."""
    head = re.match(r"db\.(\w+)\.(find|aggregate)\(", question)
    assert head, question
    arguments, rest = _arguments(question[head.end() :])
    found = getattr(database[head[1]], head[2])(*arguments)
    while rest:
        call = re.match(r"\.(sort|limit)\(", rest)
        assert call, rest
        (argument,), rest = _arguments(rest[call.end() :])
        found = found.sort(list(argument.items())) if call[1] == "sort" else found.limit(argument)
    return list(found)


def _arguments(text: str) -> tuple[list[Any], str]:
    decoder, found = json.JSONDecoder(), []
    while not text.startswith(")"):
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].removeprefix(",").lstrip()
    return found, text[1:]


def test_there_are_twenty_questions() -> None:
    assert len(QUESTIONS) >= 20
    assert len(PROGRAMMES) == 3


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_each_question_has_an_answer(store: MongoStore, question: str) -> None:
    assert asked(store.database, question.replace('"RUN"', f'"{BEST}"'))


@pytest.mark.parametrize("programme", PROGRAMMES, ids=range(len(PROGRAMMES)))
def test_each_programme_runs(
    store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch, programme: str
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", store.database.name)
    exec(compile(programme, "docs/mongo.md", "exec"), {"db": store.database, "RUN": BEST})


def test_the_answers_are_right(store: MongoStore) -> None:
    database = store.database
    assert asked(database, QUESTIONS[0])[0] == {"_id": "finished", "count": 5}
    best = asked(database, QUESTIONS[1])
    assert [one["_id"] for one in best] == ["r0", "r1", "r2", "r3", "r5"]
    assert best[0] == {
        "_id": "r0", "params": {"lr": 0.1, "n_hidden": 50}, "min": {"val_loss": 0.2}, "min_step": {"val_loss": 3},
    }  # fmt: skip
    by_rate = asked(database, next(one for one in QUESTIONS if '"diverged"' in one))
    assert by_rate == [{"_id": 0.01, "runs": 4, "diverged": 0}, {"_id": 0.1, "runs": 4, "diverged": 1}]
    curve = asked(database, next(one for one in QUESTIONS if "db.curves.find" in one).replace('"RUN"', '"r0"'))
    assert [one["step"] for one in curve] == [0, 1, 2, 3, 4]
    assert curve[1]["value"] == 0.5
    assert math.isnan(curve[2]["value"])


def test_the_views_have_the_fields_that_the_page_names(store: MongoStore) -> None:
    for name in VIEWS:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        named = {field.split(".")[0] for field in re.findall(r"`([\w.]+)`", row)[1:]}
        there = {field for document in store.database[name].find() for field in document}
        assert named == there, name


def test_every_field_of_a_run_that_the_page_names_exists() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `runs`"))
    named = {field.split(".")[0].removesuffix("[]") for field in re.findall(r"`([\w.\[\]/]+)`", row)[1:]}
    within_history = {"worker", "started_at", "ended_at", "facts", "peaks"}
    assert named - within_history - {"_id"} <= {DERIVED, *(field.name for field in fields(Run))}


def test_conditions_on_the_views_go_along_indexes(store: MongoStore) -> None:
    for name, condition in (("curves", {"run": "r0", "name": "val_loss"}), ("run_table", {"params.lr": 0.1})):
        plan = json.dumps(store.database[name].find(condition).explain(), default=str)
        assert '"IXSCAN"' in plan, name
        assert '"COLLSCAN"' not in plan, name


def test_the_views_are_made_anew_when_a_newer_labq_opens_the_database(store: MongoStore) -> None:
    from store.mongo.schema import ensure_schema

    store.database.command("collMod", "curves", viewOn="metrics", pipeline=[])
    store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 7}})
    ensure_schema(store.database)
    assert "step" in (store.database["curves"].find_one({"run": "r0"}) or {})
    assert isinstance(store.database["curves"].find_one({"run": "r0"})["step"], int)
