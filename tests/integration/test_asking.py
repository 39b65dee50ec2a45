"""`labq ls` and its relatives as people use them, against a real MongoDB."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import labq
from queueing.cli.main import main
from store.mongo import MongoStore, open_store
from store.runs import MetricSummary, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import State

NOW = datetime.now(UTC).replace(microsecond=0)
LOSSES = [0.4, 0.1, None, float("nan"), 0.3, float("inf")]


def number(value: float) -> MetricSummary:
    least = None if value != value else value / 2
    return MetricSummary(last=value, last_step=3, count=4, min=least, min_step=3, max=least, max_step=3)


def a_run(i: int, loss: float | None, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "experiment": "weather",
        "params": {"lr": [0.1, 0.01][i % 2], "act": "[tanh]"},
        "task": Task(command=("true",), workdir="/"),
        "state": State.FINISHED,
        "queued_at": NOW - timedelta(days=9 - i),
        "started_at": NOW - timedelta(hours=i),
        "ended_at": NOW,
        "summary": {} if loss is None else {"val_loss": number(loss)},
        "tags": ("paper",) if i == 1 else (),
        **changes,
    }
    return Run(id=f"run{i}00000000", key=f"key{i}", **fields)


@pytest.fixture(scope="module")
def filled(servers: Settings) -> Iterator[MongoStore]:
    """One database for all tests here: none of them changes a run."""
    filled_store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    runs = [a_run(i, loss) for i, loss in enumerate(LOSSES)]
    filled_store.add_runs(
        [*runs, a_run(6, None, experiment="tweets", state=State.QUEUED, params={"lr": 0.1, "b": None})]
    )
    yield filled_store
    filled_store.client.drop_database(filled_store.database.name)
    filled_store.close()


@pytest.fixture(autouse=True)
def store(filled: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", filled.database.name)
    monkeypatch.setenv("COLUMNS", "160")
    return filled


class Said:
    """What one call printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.code = main(["ls", *arguments])
        self.out, self.err = capsys.readouterr()

    @property
    def rows(self) -> Any:
        return json.loads(self.out)

    @property
    def ids(self) -> list[str]:
        return [row["id"][:4] for row in self.rows]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["weather"], ["run0", "run1", "run2", "run3", "run4", "run5"]),
        (["weather", "--state", "finished", "--tag", "paper"], ["run1"]),
        (["-n", "2"], ["run5", "run6"]),
        (["-n", "2", "--after", "run5"], ["run3", "run4"]),
        (["-n", "2", "--offset", "2"], ["run3", "run4"]),
        (["val_loss < 0.35 and tag:paper"], ["run1"]),
        (["state = finished", "and", "lr = 0.01"], ["run1", "run3", "run5"]),
        (["weather", "--sort", "val_loss"], ["run1", "run4", "run0", "run5", "run3", "run2"]),
        (["weather", "--sort", "-val_loss"], ["run5", "run0", "run4", "run1", "run3", "run2"]),
        (["weather", "--sort", "-val_loss", "-n", "2", "--after", "run4"], ["run1", "run3"]),
        (["weather", "--sort", "-duration", "-n", "2"], ["run5", "run4"]),
        (["--mongo", '{"summary.val_loss.min": {"$lt": 0.1}}'], ["run1"]),
        (["weather", "--mongo", '{"state": "queued"}'], []),
        (["nobody"], []),
    ],
)
def test_ls_lists_what_was_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[str]
) -> None:
    assert Said(capsys, "--json", *arguments).ids == expected


def test_columns_show_what_is_missing_as_missing(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "-c", "val_loss,params.act,best.val_loss,duration,tag", "--sort", "val_loss")
    lines = said.out.splitlines()
    assert lines[0].split() == ["run", "val_loss", "params.act", "best.val_loss", "duration", "tag"]
    assert lines[1].split() == ["run10000", "0.1", "[tanh]", "0.05", "1h", "paper"]
    assert lines[5].split()[:4] == ["run30000", "nan", "[tanh]", "–"]
    assert [line.split()[1] for line in lines[6:8]] == ["–", "–"]
    rows = Said(capsys, "--json", "-c", "val_loss,best.val_loss", "weather").rows
    told = [row["columns"]["val_loss"] for row in rows]
    assert told == [0.4, 0.1, None, "nan", 0.3, "inf"]
    assert rows[3]["columns"]["best.val_loss"] is None


def test_groups_count_and_name_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "--group", "params.lr", "-c", "best.val_loss", "--sort", "-runs")
    assert [line.split() for line in said.out.splitlines()] == [
        ["params.lr", "runs", "queued", "finished", "best.val_loss", "run"],
        ["0.1", "4", "1", "3", "0.15", "run40000"],
        ["0.01", "3", "3", "0.05", "run10000"],
    ]
    rows = Said(capsys, "--json", "--group", "experiment", "-c", "best.val_loss").rows
    assert rows[0] == {"group": "tweets", "runs": 1, "states": {"queued": 1}, "best": {"best.val_loss": None}}
    assert rows[1]["best"]["best.val_loss"] == {"value": 0.05, "run": "run100000000"}


def test_a_view_is_saved_asked_again_narrowed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    saved = Said(capsys, "--save", "good", "val_loss < 0.35 or val_loss = 0.4", "--sort", "val_loss", "-c", "val_loss")
    assert "labq ls @good" in saved.err
    assert Said(capsys, "@good", "--json").ids == ["run1", "run4", "run0"]
    assert Said(capsys, "@good", "lr=0.1", "--json").ids == ["run4", "run0"]
    assert Said(capsys, "@good and lr=0.1", "--json", "--sort", "-val_loss").ids == ["run0", "run4"]
    assert main(["views"]) == 0
    assert "@good" in capsys.readouterr().out
    assert main(["views", "--remove", "good"]) == 0
    assert main(["views", "--remove", "good"]) == 2
    assert Said(capsys, "@good").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["val_los < 3"],
            "labq: unknown field 'val_los', did you mean 'val_loss'?\nlabq:   val_los < 3\nlabq:   ^^^^^^^",
        ),
        (["-c", "val_loss,lrr"], "unknown field 'lrr', did you mean 'lr'?\nlabq:   val_loss,lrr\nlabq:            ^^^"),
        (["-c", "val_loss lr"], "expected ',' between fields, found 'lr'"),
        (["--sort", "tag"], "runs cannot be sorted by tag: a run may have several"),
        (["--sort", "a,b"], "several fields"),
        (["--group", "state", "-c", "params.lr"], "params.lr: of a group only numbers of metrics"),
        (["--group", "state", "--sort", "val_loss"], "groups are sorted by: runs"),
        (["--mongo", "{state: 1}"], "--mongo is not JSON"),
        (["--mongo", '{"$where": "true"}'], "$where would run a programme"),
        (["--mongo", '{"a": {"$more": 1}}'], "MongoDB refuses the filter: unknown operator: $more"),
        (["@nothing"], "no view is called @nothing; save one with: labq ls --save NAME QUERY"),
        (["--save", "a b", "weather"], "'a b' is no name for a view"),
        (["--save", "bad", "weather", "--sort", "zzz"], "unknown field 'zzz'"),
        (["--after", "zz"], "no run has an id that begins with 'zz'"),
        (["--state", "bogus"], "'bogus' is no state"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    failed = Said(capsys, *arguments)
    assert (failed.code, failed.out) == (2, "")
    assert said in failed.err


def test_the_footer_counts_and_tells_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Said(capsys).out.splitlines()[-1] == "1 queued, 6 finished"
    assert Said(capsys, "weather").out.splitlines()[-1] == "6 finished"
    assert Said(capsys, "lr = 0.1 and state = finished", "-n", "2").out.splitlines()[-2:] == [
        "3 runs match",
        "older: --after run20000",
    ]
    monkeypatch.setattr("queueing.cli.ls.MOST_COUNTED", 2)
    assert Said(capsys, "weather").out.splitlines()[-1] == "2+ finished"


def test_python_asks_the_same(store: MongoStore) -> None:
    assert [run.id[:4] for run in labq.runs("val_loss < 0.35", sort="-val_loss")] == ["run4", "run1"]
    assert len(labq.runs("weather")) == 6
    assert len(labq.runs()) == 7
    assert [run.id[:4] for run in labq.runs(limit=1)] == ["run6"]
