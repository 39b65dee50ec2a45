"""Exports, read back by the tools they are made for."""

import json
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from queueing.cli.main import main
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore
from store.runs import Ending, Run, Task
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
LOSSES = [1.0, 0.5, math.nan, math.inf, 0.1]


@pytest.fixture
def store(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[MongoStore]:
    """A run that has finished, one that failed, one that runs, one that waits."""
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    for name in ("done", "sick", "busy"):
        begin(mongo_store, name)
    mongo_store.settle("done", 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
    mongo_store.settle("sick", 1, Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(exit_code=1)))
    mongo_store.add_runs([a_run("idle")])
    return mongo_store


def a_run(name: str) -> Run:
    return Run(
        id=name, key=name, experiment="exp", params={"lr": 0.1, "layers": [8, 8], "net": {"act": "tanh"}}, tags=("paper",),
        task=Task(command=("true",), workdir="/"), queued_at=datetime(2026, 1, 1, tzinfo=UTC), owner="ann",
        provenance={"git": {"commit": "abc123", "branch": "main", "dirty": False}},
    )  # fmt: skip


def begin(store: MongoStore, name: str) -> None:
    store.add_runs([a_run(name)])
    claimed = store.claim(WORKER, 600.0)
    assert claimed is not None
    assert claimed.id == name
    store.begin(name, 1, None, {})
    ship(store, name, LOSSES, 0)


def ship(store: MongoStore, name: str, losses: list[float], first: int) -> None:
    points = [
        Point(name=metric, step=10 * k, time=1e9 + k + 0.25, value=loss, line=k + 1, index=k)
        for k, loss in enumerate(losses, first)
        for metric in ("loss", "val/acc: top 5")
    ]
    shipment = Shipment(
        events_from=first * 9, events_to=(first + len(losses)) * 9, lines_to=first + len(losses),
        segments=segments(points), output_from=0,
    )  # fmt: skip
    store.ship(name, 1, shipment, summarize(store.run(name).summary, shipment.segments))


def typed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main([*arguments]) == code
    told = capsys.readouterr()
    return told.out if code == 0 else told.err


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, int]:
    told = json.loads(typed(capsys, *arguments, "--json"))
    return told["exported"], told["unchanged"]


class TestTensorBoard:
    @pytest.fixture(autouse=True)
    def _reader(self) -> None:
        pytest.importorskip("tensorboardX")
        pytest.importorskip("tensorboard")

    def read(self, folder: Path) -> object:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()

    def test_tensorboard_reads_every_point_with_its_step_and_time(
        self, store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert exported(capsys, "tensorboard", str(tmp_path)) == (3, 0)
        assert sorted(path.name for path in (tmp_path / "exp").iterdir()) == ["busy", "done", "sick"]
        read = self.read(tmp_path / "exp" / "done")
        assert read.Tags()["scalars"] == ["loss", "val/acc: top 5"]
        found = read.Scalars("loss")
        assert [one.step for one in found] == [0, 10, 20, 30, 40]
        assert [one.wall_time for one in found] == [1e9 + k + 0.25 for k in range(5)]
        assert found[1].value == 0.5
        assert math.isnan(found[2].value)
        assert math.isinf(found[3].value)

    def test_tensorboard_shows_the_hyper_parameters(
        self, store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        typed(capsys, "tensorboard", str(tmp_path), "state=finished")
        metadata = self.read(tmp_path / "exp" / "done").summary_metadata
        found = HParamsPluginData.FromString(metadata["_hparams_/session_start_info"].plugin_data.content)
        given = found.session_start_info.hparams
        assert given["lr"].number_value == 0.1
        assert given["net.act"].string_value == "tanh"
        assert given["layers"].string_value == "[8, 8]"

    def test_only_what_has_changed_is_written_again(
        self, store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert exported(capsys, "tensorboard", str(tmp_path), "state=running") == (1, 0)
        before = (tmp_path / "exp" / "busy").stat().st_ino
        assert exported(capsys, "tensorboard", str(tmp_path), "state=running") == (0, 1)
        assert (tmp_path / "exp" / "busy").stat().st_ino == before
        ship(store, "busy", [0.01], 5)
        assert exported(capsys, "tensorboard", str(tmp_path), "state=running") == (1, 0)
        assert [one.step for one in self.read(tmp_path / "exp" / "busy").Scalars("loss")] == [0, 10, 20, 30, 40, 50]
        assert len(list((tmp_path / "exp").iterdir())) == 1

    def test_a_folder_that_cannot_be_is_said_in_a_line(
        self, store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "exp").write_text("a file")
        said = typed(capsys, "tensorboard", str(tmp_path), code=2)
        assert "cannot be written" in said
        assert "Traceback" not in said

    def test_a_query_that_fits_nothing_says_so(
        self, store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert typed(capsys, "tensorboard", str(tmp_path), "state=paused") == "no run that has begun matches\n"


class TestMlflow:
    @pytest.fixture(autouse=True)
    def _reader(self) -> None:
        pytest.importorskip("mlflow")
        pytest.importorskip("sqlalchemy")

    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/mlflow.db"

    def found(self, uri: str) -> dict[str, object]:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("exp")
        return {run.data.tags["labq.run"]: run for run in client.search_runs([experiment.experiment_id])}

    def test_mlflow_reads_runs_parameters_and_whole_histories(
        self, store: MongoStore, uri: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from mlflow.tracking import MlflowClient

        assert exported(capsys, "mlflow", uri) == (3, 0)
        found = self.found(uri)
        assert {name: run.info.status for name, run in found.items()} == {
            "done": "FINISHED", "sick": "FAILED", "busy": "RUNNING",
        }  # fmt: skip
        done = found["done"]
        assert done.data.params == {"lr": "0.1", "layers": "[8, 8]", "net.act": "tanh"}
        assert done.data.tags["mlflow.source.git.commit"] == "abc123"
        history = MlflowClient(tracking_uri=uri).get_metric_history(done.info.run_id, "val/acc: top 5")
        assert [(one.step, one.timestamp) for one in history] == [
            (10 * k, 1_000_000_000_250 + 1000 * k) for k in range(5)
        ]
        assert history[4].value == 0.1
        assert math.isnan(history[2].value)
        assert history[3].value > 1e308, "MLflow's database knows no infinity"

    def test_a_run_that_went_on_replaces_what_was_exported_of_it(
        self, store: MongoStore, uri: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert exported(capsys, "mlflow", uri, "state=running") == (1, 0)
        assert exported(capsys, "mlflow", uri, "state=running") == (0, 1)
        store.settle("busy", 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
        assert exported(capsys, "mlflow", uri, "experiment=exp") == (3, 0)
        assert {name: run.info.status for name, run in self.found(uri).items()} == {
            "done": "FINISHED", "sick": "FAILED", "busy": "FINISHED",
        }  # fmt: skip

    def test_what_a_killed_export_left_is_replaced(
        self, store: MongoStore, uri: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        client.create_run(client.create_experiment("exp"), tags={"labq.run": "done"})
        assert exported(capsys, "mlflow", uri, "state=finished") == (1, 0)
        assert self.found(uri)["done"].data.tags["labq.version"] == "1-5-10-finished"
        assert len(self.found(uri)) == 1

    def test_a_store_that_is_none_is_said_in_a_line(
        self, store: MongoStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = typed(capsys, "mlflow", "nowhere://x", code=2)
        assert said.startswith("labq: MLflow at nowhere://x: ")
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("verb", "library", "extra"), [("tensorboard", "tensorboardX", "tensorboard"), ("mlflow", "mlflow", "mlflow")]
)
def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    verb: str, library: str, extra: str,
) -> None:  # fmt: skip
    for name in [name for name in sys.modules if name.split(".")[0] == library] + [library]:
        monkeypatch.setitem(sys.modules, name, None)
    assert f"pip install 'labq[{extra}]'" in typed(capsys, verb, str(tmp_path), code=2)
