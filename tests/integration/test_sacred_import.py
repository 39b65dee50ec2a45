"""`labq import sacred`: from a database that Sacred itself has written, into a real MongoDB."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

import labq
from queueing.cli.main import main
from store.mongo import MongoStore
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State
from store.workers import Worker

pytest.importorskip("sacred")
NOW = datetime.now(UTC)


@pytest.fixture
def theirs(servers: Settings) -> Iterator[Any]:
    """A database for Sacred on the same server."""
    client: Any = MongoClient(places(servers.home).mongo_url)
    name = f"sacred{uuid.uuid4().hex[:10]}"
    yield client[name]
    client.drop_database(name)
    client.close()


@pytest.fixture(autouse=True)
def ours(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    return mongo_store


def sacred_runs(theirs: Any, folder: Path, ends: list[str], prefix: str = "") -> None:
    """Real runs of Sacred: they finish, fail, or interrupt themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sacred import SETTINGS
        from sacred import Experiment as Sacred
        from sacred.observers import MongoObserver
    SETTINGS.CAPTURE_MODE = "sys"
    for number, end in enumerate(ends):
        experiment: Any = Sacred("My RNN!", base_dir=str(folder), save_git_info=False)
        source = folder / "model.py"
        source.write_text("print('a model')\n")
        experiment.add_source_file(str(source))
        experiment.observers.append(MongoObserver(client=theirs.client, db_name=theirs.name, collection_prefix=prefix))
        lr = [0.1, 0.01][number % 2]
        experiment.add_config({"lr": lr, "n_hidden": 50, "data": {"train": "t.tsv"}, "sizes": (1, 2), "name": None})

        @experiment.main  # type: ignore[misc]
        def train(_run: Any, end: str = end) -> float:
            print("hello from sacred")
            for step in range(3):
                _run.log_scalar("val.loss", [1.0, math.nan, 0.25][step], step * 10)
                _run.log_scalar("loss", [2.0, math.inf, 0.5][step])
            weights = folder / "weights.bin"
            weights.write_bytes(b"\0\1\2")
            _run.add_artifact(str(weights))
            if end == "fails":
                raise ValueError("no such luck")
            if end == "interrupts":
                raise KeyboardInterrupt
            return 0.125

        try:
            experiment.run(options={"--loglevel": "CRITICAL"})
        except (ValueError, KeyboardInterrupt):
            pass


def url(servers: Settings, theirs: Any) -> str:
    base, _, rest = places(servers.home).mongo_url.partition("/?")
    return f"{base.rstrip('/')}/{theirs.name}" + (f"?{rest}" if rest else "")


def imported(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    code = main(["import", "sacred", *arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_a_database_of_sacred_is_imported_whole_and_once(
    servers: Settings, theirs: Any, ours: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sacred_runs(theirs, tmp_path, ["finishes", "fails", "interrupts"])
    before = theirs.command("dbHash")["md5"]
    told = imported(capsys, url(servers, theirs), "--dry-run")
    assert (told["added"], told["states"]) == (3, {"finished": 1, "failed": 1, "cancelled": 1})
    assert len(labq.runs()) == 0
    assert imported(capsys, url(servers, theirs))["added"] == 3
    told = imported(capsys, url(servers, theirs))
    assert (told["added"], told["known"]) == (0, 3)
    assert theirs.command("dbHash")["md5"] == before

    done, failed, stopped = labq.runs("My-RNN and tag=imported", sort="index")
    assert (done.state, done.params["lr"], done.params["data"], done.params["sizes"]) == (
        State.FINISHED, 0.1, {"train": "t.tsv"}, [1, 2],
    )  # fmt: skip
    assert done.metrics() == ["loss", "result", "val/loss"]
    curve = done.metrics("val/loss")
    assert curve.steps.tolist() == [0, 10, 20]
    assert curve.values[0] == 1.0
    assert math.isnan(curve.values[1])
    assert done.metrics("loss").values.tolist() == [2.0, math.inf, 0.5]
    assert done.summary["val/loss"].min == 0.25
    assert done.summary["result"].last == 0.125
    assert "hello from sacred" in done.logs
    assert [artifact.name for artifact in done.artifacts] == ["model.py", "test_sacred_import.py", "weights.bin"]
    assert done.fetch("weights.bin", tmp_path).read_bytes() == b"\0\1\2"
    assert done.fetch("model.py", tmp_path).read_text() == "print('a model')\n"
    assert (failed.state, failed.reason, failed.ending and failed.ending.message) == (
        State.FAILED, Reason.ERROR, "ValueError: no such luck",
    )  # fmt: skip
    assert "Traceback" in failed.logs
    assert (stopped.state, stopped.reason) == (State.CANCELLED, Reason.STOPPED)
    assert labq.runs("val/loss < 0.3").ids == [done.id, failed.id, stopped.id]


def test_imported_runs_are_nobodys_work_and_nobodys_news(
    servers: Settings, theirs: Any, ours: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sacred_runs(theirs, tmp_path, ["finishes"])
    imported(capsys, url(servers, theirs), "--experiment", "old")
    (run,) = labq.runs("old")
    worker = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
    assert ours.claim(worker, 60) is None
    assert main(["requeue", run.id]) != 0
    assert "was imported" in capsys.readouterr().err
    assert main(["resume", run.id]) != 0
    assert labq.run(run.id).state is State.FINISHED
    assert (ours.owed(10), ours.notices(), ours.events(run.id), ours.glimpses(10)) == ([], [], [], [])


def test_an_experiment_with_runs_of_its_own_takes_none(
    servers: Settings, theirs: Any, ours: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from store.experiments import Experiment

    sacred_runs(theirs, tmp_path, ["finishes"])
    ours.add_experiment(Experiment(name="My-RNN", owner="me", source="", text="", created_at=NOW))
    for dry in ([], ["--dry-run"]):
        assert main(["import", "sacred", url(servers, theirs), *dry]) == 2
        assert "'My-RNN' has runs of labq; import into one of its own: --experiment NAME" in capsys.readouterr().err
    assert len(labq.runs()) == 0


def test_a_run_that_still_runs_is_left_for_another_time(
    servers: Settings, theirs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sacred_runs(theirs, tmp_path, ["finishes", "finishes"])
    now = datetime.now(UTC)  # not that of the first test of all, half an hour ago
    beats = {"status": "RUNNING", "heartbeat": now, "stop_time": None}
    theirs["runs"].update_one({"_id": 1}, {"$set": beats})
    theirs["runs"].update_one({"_id": 2}, {"$set": {**beats, "heartbeat": now - timedelta(hours=1)}})
    theirs["runs"].insert_one({"_id": 3, "status": "QUEUED", "experiment": {"name": "x"}})
    told = imported(capsys, url(servers, theirs))
    assert (told["added"], told["not_yet"]) == (1, ["run 1 is running", "run 3 has not begun"])
    (lost,) = labq.runs()
    assert (lost.state, lost.reason) == (State.FAILED, Reason.LOST)


def test_documents_of_any_kind_are_imported_as_far_as_they_go(
    servers: Settings, theirs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bson import ObjectId

    began = datetime(2019, 1, 1, tzinfo=UTC)
    theirs["runs"].insert_many([
        {"_id": "a name", "status": "MY_STATUS", "start_time": began, "config": {"a.b": 1, "$c": {"x": 2**62, "py/tuple": [1]}},
         "result": {"acc": 0.5, "words": "no"}, "experiment": {"name": "..."}, "info": None,
         "artifacts": [{"name": "gone.bin", "file_id": ObjectId()}], "omniboard": {"tags": ["best one", ""], "notes": "see"}},
        {"_id": 2, "status": "COMPLETED", "start_time": began, "config": None, "result": "text", "fail_trace": None},
    ])  # fmt: skip
    theirs["metrics"].insert_one({"run_id": 2, "name": "loss", "steps": [0.5, None, 3], "values": [1, "x", 2.5]})
    told = imported(capsys, url(servers, theirs))
    assert (told["added"], told["lost_files"]) == (2, ["run a name: gone.bin"])
    first, second = labq.runs("tag=best-one")[0], labq.runs("remark ~ text")[0]
    assert first.params == {"a,b": 1, "@c": {"x": 2**62, "py/tuple": [1]}}
    assert (first.state, first.tags, first.remark) == (
        State.CANCELLED, ("imported", "best-one"), "Sacred's status: MY_STATUS; see",
    )  # fmt: skip
    assert first.summary["result/acc"].last == 0.5
    assert second.metrics("loss").steps.tolist() == [0, 3]
    assert second.metrics("loss").values.tolist() == [1.0, 2.5]


def test_prefixes_and_what_is_wrong_with_a_url(
    servers: Settings, theirs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sacred_runs(theirs, tmp_path, ["finishes"], prefix="mine")
    assert main(["import", "sacred", url(servers, theirs)]) == 2
    assert (
        "has no collection 'runs', it has fs.chunks, fs.files, mine_metrics, mine_runs; there are prefixes: --prefix mine"
        in capsys.readouterr().err
    )
    assert imported(capsys, url(servers, theirs), "--prefix", "mine", "--no-files")["added"] == 1
    assert labq.runs()[0].artifacts == []
    for wrong, said in [
        (places(servers.home).mongo_url, "names no database; write mongodb://HOST/NAME; there are: "),
        ("http://x/y", "is no URL of a MongoDB"),
        ("mongodb://", "labq: "),
        (url(servers, theirs).replace(theirs.name, os.environ["LABQ_MONGO_DATABASE"]), "is a database of labq, not of Sacred"),
    ]:  # fmt: skip
        assert main(["import", "sacred", wrong]) == 2, wrong
        assert said in capsys.readouterr().err
    assert main(["import", "sacred", "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=300"]) == 3
    assert main(["import", "sacred", url(servers, theirs), "--metrics", "x"]) == 2
    assert "--metrics means nothing for sacred" in capsys.readouterr().err


@pytest.mark.prompt
def test_an_import_that_is_killed_is_finished_by_the_same_command(
    servers: Settings, theirs: Any, ours: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = 3000
    theirs["runs"].insert_many([
        {"_id": number, "status": "COMPLETED", "start_time": datetime(2020, 1, 1, tzinfo=UTC), "experiment": {"name": "many"}}
        for number in range(60)
    ])  # fmt: skip
    theirs["metrics"].insert_many([
        {"run_id": number, "name": "loss", "steps": list(range(points)), "values": [1.0 + number] * points}
        for number in range(60)
    ])  # fmt: skip
    code = "import sys; from queueing.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "import", "sacred", url(servers, theirs)]
    kills = 0
    for wanted in (5, 15):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
        deadline = time.monotonic() + 100
        while ours.database["runs"].count_documents({"state": "finished"}) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        ours.database["locks"].update_one({"_id": "import"}, {"$set": {"until": NOW - timedelta(hours=1)}})
    assert kills == 2
    told = imported(capsys, url(servers, theirs))
    assert told["added"] + told["known"] == 60
    assert told["known"] >= 15
    for run in labq.runs("many"):
        assert run.state is State.FINISHED
        curve = run.metrics("loss")
        assert curve.steps.tolist() == list(range(points))
        assert set(curve.values.tolist()) == {1.0 + run.index}
    assert ours.database["runs"].count_documents({"importing": {"$exists": True}}) == 0
