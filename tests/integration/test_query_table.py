"""The query table: tests/data/queries, asked of a real MongoDB as `labq ls`, `labq.runs` and `--where` ask it."""

import json
import math
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import labq
from queueing.cli.main import main
from queueing.query.asking import understood
from store.directions import greater_is_better
from store.findings import Disease
from store.matching import matches
from store.memory import MemoryStore
from store.mongo import MongoStore, open_store
from store.runs import Attempt, Ending, MetricSummary, Progress, Resources, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State
from store.store import RunQuery

FOLDER = Path(__file__).resolve().parents[1] / "data" / "queries"
NOW = datetime.now(UTC).replace(microsecond=0)
RUNS = tomllib.loads((FOLDER / "runs.toml").read_text())["run"]


def questions() -> list[tuple[str, list[str]]]:
    lines = [line for line in (FOLDER / "questions.txt").read_text().splitlines() if line and line[0] != "#"]
    return [(question.strip(), ids.split()) for question, ids in (line.rsplit("|", 1) for line in lines)]


def mistakes() -> list[tuple[str, str, str]]:
    blocks = (FOLDER / "mistakes.txt").read_text().split("\n\n")
    return [tuple(block.strip("\n").split("\n")) for block in blocks if not block.startswith("#")]  # type: ignore[misc]


def a_run(number: int, said: dict[str, Any]) -> Run:
    queued_at = NOW - timedelta(days=said["ago"])
    took = said.get("took_h")
    gb = {name: int(said[f"{name}_gb"] * 10**9) for name in ("memory", "peak") if f"{name}_gb" in said}
    return Run(
        id=said["id"], key=said["id"], experiment=said["experiment"], params=said["params"], index=number,
        task=Task(command=("python", "train.py"), workdir="/home/ann"), queue=said.get("queue", "default"),
        state=State(said["state"]), reason=Reason(said["reason"]) if "reason" in said else None,
        tags=tuple(said.get("tags", ())), owner=said.get("owner", "eve"), priority=said.get("priority", 0),
        attempt=said.get("attempt", 1), queued_at=queued_at, findings=tuple(Disease(one) for one in said.get("findings", ())),
        started_at=queued_at if took else None, ended_at=queued_at + timedelta(hours=took) if took else None,
        resources=Resources(memory_bytes=gb.get("memory")), summary=summaries(said),
        provenance={"git": {"commit": said["commit"]}} if "commit" in said else {},
        progress=Progress(done=said["done"], total=100) if "done" in said else None,
        ending=Ending(exit_code=said.get("exit_code"), message=said.get("message", ""), peak_memory_bytes=gb.get("peak")),
        history=(Attempt(number=1, worker="w", started_at=NOW, facts={"host": said["host"]}),) if "host" in said else (),
    )  # fmt: skip


def summaries(said: dict[str, Any]) -> dict[str, MetricSummary]:
    step, made = int(said.get("last", {}).get("epoch", 9)), {}
    for name, last in said.get("last", {}).items():
        best, is_number = said.get("best", {}).get(name, last), not math.isnan(last)
        least, most = (last, best) if greater_is_better(name) else (best, last)
        made[name] = MetricSummary(last=last, last_step=step, count=10, min=least if is_number else None,
                                   max=most if is_number else None)  # fmt: skip
    return made


@pytest.fixture(scope="module")
def filled(servers: Settings) -> Iterator[MongoStore]:
    """One database for all questions: nobody changes it."""
    store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    store.add_runs([a_run(number, said) for number, said in enumerate(RUNS)])
    yield store
    store.client.drop_database(store.database.name)
    store.close()


@pytest.fixture(autouse=True)
def store(filled: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", filled.database.name)
    return filled


def test_the_table_is_long_enough() -> None:
    assert len(questions()) >= 50
    assert len(mistakes()) >= 20


@pytest.mark.parametrize(("question", "expected"), questions(), ids=[question for question, _ in questions()])
def test_a_question_is_answered(store: MongoStore, question: str, expected: list[str]) -> None:
    where = understood(question, store)
    assert sorted(run.id for run in store.runs(RunQuery(where=where))) == expected
    assert store.count(RunQuery(where=where), 100, 5.0) == len(expected)
    assert store.run_ids(RunQuery(where=where)) == expected
    assert [run.id for run in map(store.run, expected) if not matches(where, run, NOW)] == []


def test_python_the_twin_and_the_command_line_answer_alike(
    store: MongoStore, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = MemoryStore()
    twin.add_runs(store.runs(RunQuery()))
    for question, expected in questions()[::5]:
        assert sorted(run.id for run in labq.runs(question)) == expected
        assert sorted(run.id for run in twin.runs(RunQuery(where=understood(question, twin)))) == expected
        assert main(["ls", "--json", "-n", "0", question]) == 0
        assert sorted(row["id"] for row in json.loads(capsys.readouterr().out)) == expected


@pytest.mark.parametrize(("question", "carets", "said"), mistakes(), ids=[question for question, _, _ in mistakes()])
def test_a_mistake_says_what_and_where(
    question: str, carets: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", question]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    message, shown, marked = (line.removeprefix("labq: ") for line in err.splitlines())
    assert (shown, marked) == (f"  {question}", f"  {carets}")
    assert message.startswith(said[:-1]) if said.endswith("…") else message == said
    with pytest.raises(labq.BadQuery) as caught:
        list(labq.runs(question))
    assert str(caught.value).splitlines()[0] == message
