"""`labq.runs` and `labq.curves` as a notebook uses them, against a real MongoDB."""

import gc
import json
import math
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymongo.errors import InvalidOperation

import labq
from store.findings import Diagnosis, Disease, Finding, Severity
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore, open_store
from store.runs import Ending, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
VALUES: dict[str, dict[str, list[float]]] = {
    "r0": {"val_loss": [1.0, 0.25, 0.5], "acc": [0.1, 0.9, 0.2]},
    "r1": {"val_loss": [math.nan, math.inf, math.nan]},
    "r2": {},
    "r3": {"val_loss": [math.nan]},
}
PARAMS: dict[str, dict[str, Any]] = {
    "r0": {"lr": 0.1, "n": 50, "act": "tanh", "fast": True, "data": {"train": "x"}, "sizes": [1, 2], "both": 1},
    "r1": {"lr": 1, "act": "<b>", "fast": False, "both": "one"},
    "r2": {"lr": 0.0, "n": 0},
    "r3": {},
}


@pytest.fixture(scope="module")
def filled(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoStore]:
    """One database for all tests here: nobody changes it."""
    store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    weights = tmp_path_factory.mktemp("kept") / "weights.bin"
    weights.write_bytes(b"\0\1")
    for number, (name, values) in enumerate(VALUES.items()):
        run_it(store, number, name, values, weights)
    yield store
    store.client.drop_database(store.database.name)
    store.close()


def run_it(store: MongoStore, number: int, name: str, values: dict[str, list[float]], weights: Path) -> None:
    store.add_runs([
        Run(id=name, key=name, experiment="weather" if number < 3 else "tweets", params=PARAMS[name], index=number, priority=number,
            task=Task(command=("true",), workdir="/"), queued_at=NOW + timedelta(minutes=number),
            tags=("a", "b") if number == 0 else ()),
    ])  # fmt: skip
    if number == 2:
        return
    assert store.claim(WORKER, 600.0) is not None
    store.begin(name, 1, None, {"host": "gpu-1"})
    points = [
        Point(name=metric, step=10 * k, time=1e9 + k, value=value, line=k + 1, index=k)
        for metric, some in values.items()
        for k, value in enumerate(some)
    ]
    shipment = Shipment(
        events_from=0, events_to=9, lines_to=5, segments=segments(points), output_from=0, output="grüße\n".encode()
    )
    store.ship(name, 1, shipment, summarize({}, shipment.segments))
    if number == 0:
        store.add_artifact(name, 1, weights)
        found = Finding(disease=Disease.PLATEAU, severity=Severity.WARNING, evidence="flat", advice="Stop it.")
        store.put_diagnosis(Diagnosis(run=name, attempt=1, findings=(found,), looked_at=NOW), [found])
    store.settle(name, 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))


@pytest.fixture(autouse=True)
def store(filled: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", filled.database.name)
    return filled


class TestFrames:
    def test_what_is_missing_is_missing_and_what_is_nan_is_nan(self) -> None:
        frame = labq.runs().to_polars().sort("run")
        assert frame["last.val_loss"].is_null().to_list() == [False, False, True, False]
        assert frame["last.val_loss"].is_nan().to_list() == [False, True, None, True]
        assert frame["best.val_loss"].to_list()[0] == 0.25
        assert frame["best.val_loss"].to_list()[1] == math.inf
        assert math.isnan(frame["best.val_loss"].to_list()[3])
        assert frame["best.acc"].to_list() == [0.9, None, None, None]
        assert frame["params.n"].to_list() == [50, None, 0, None]
        assert frame["params.lr"].to_list() == [0.1, 1.0, 0.0, None]
        assert frame["params.fast"].to_list() == [True, False, None, None]
        assert frame["params.data.train"].to_list() == ["x", None, None, None]
        assert frame["params.sizes"].to_list() == ["[1, 2]", None, None, None]
        assert frame["params.both"].to_list() == ["1", "one", None, None]
        assert frame["tag"].to_list() == [["a", "b"], None, None, None]
        assert frame["finding"].to_list() == [["plateau"], None, None, None]

    def test_pandas_has_the_same_with_its_own_gaps(self) -> None:
        frame = labq.runs(sort="id").to_pandas()
        assert list(frame["run"]) == ["r0", "r1", "r2", "r3"]
        assert frame["last.val_loss"].tolist()[0] == 0.5
        assert frame["last.val_loss"].isna().tolist() == [False, True, True, True]
        assert frame["best.val_loss"].tolist()[:2] == [0.25, math.inf]
        assert (str(frame["params.n"].dtype), frame["params.n"].isna().tolist()) == (
            "Int64",
            [False, True, False, True],
        )
        assert frame["params.n"][2] == 0
        assert str(frame["params.fast"].dtype) == "boolean"
        assert frame["params.sizes"][0] == [1, 2]
        assert frame["params.both"].tolist()[:2] == [1, "one"]
        assert frame["created"][0] == pd.Timestamp(NOW)
        assert frame["ended"].isna().tolist() == [False, False, True, False]
        assert frame["duration"].notna().tolist() == [True, True, False, True]

    def test_runs_are_read_no_further_than_somebody_looks(
        self, store: MongoStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("store.mongo.outcomes.PAGE", 2)
        runs, more = labq.runs(), Run(id="r9", key="r9", experiment="late", params={}, task=Task(command=("true",), workdir="/"),
                                      queued_at=NOW + timedelta(hours=1))  # fmt: skip
        assert (runs[0].id, runs[1].id) == ("r0", "r1")
        store.add_runs([more])
        assert [run.id for run in runs] == ["r0", "r1", "r2", "r3", "r9"]
        store.database["runs"].delete_one({"_id": "r9"})
        assert (len(runs), runs[-1].id, runs[4].id) == (5, "r9", "r9")
        with pytest.raises(IndexError):
            runs[5]

    def test_parameters_in_tables_of_some_runs_only(self, store: MongoStore) -> None:
        many: list[dict[str, Any]] = [
            {"a": {"b": 1, "c": {"d": 2}}}, {"a": 5}, {}, {"a": {}, "x": None}, {"a": {"b": math.nan}}
        ]  # fmt: skip
        task = Task(command=("true",), workdir="/")
        runs = [
            Run(id=f"z{k}", key=f"z{k}", experiment="tables", params=params, index=k, task=task, queued_at=NOW)
            for k, params in enumerate(many)
        ]
        store.add_runs(runs)
        found = labq.runs("experiment=tables").to_dict()
        store.database["runs"].delete_many({"experiment": "tables"})
        assert found["run"] == ["z0", "z1", "z2", "z3", "z4"]
        assert repr(found["params.a.b"]) == "[1.0, None, None, None, nan]"
        assert found["params.a.c.d"] == [2, None, None, None, None]
        assert found["params.a"] == [None, 5, None, {}, None]

    def test_lists_have_none(self) -> None:
        found = labq.runs(sort="id").to_dict("run,lr,val_loss,max.val_loss,host,created")
        assert found["run"] == ["r0", "r1", "r2", "r3"]
        assert found["lr"] == [0.1, 1, 0.0, None]
        assert found["max.val_loss"] == [1.0, math.inf, None, None]
        assert found["host"] == [["gpu-1"], ["gpu-1"], None, ["gpu-1"]]
        assert found["created"][0] == NOW.replace(tzinfo=None)

    def test_columns_order_and_limit_are_those_of_the_query(self) -> None:
        frame = labq.runs("weather", sort="-lr", limit=2).to_pandas(["run", "params.lr"])
        assert frame.to_dict("list") == {"run": ["r1", "r0"], "params.lr": [1.0, 0.1]}
        assert labq.runs("weather and lr<0.05").to_pandas("run")["run"].tolist() == ["r2"]
        assert labq.runs(limit=1).to_pandas("run")["run"].tolist() == ["r3"]

    def test_a_frame_without_a_row_has_its_columns(self) -> None:
        frame = labq.runs("nobody").to_pandas()
        assert len(frame) == 0
        assert frame.columns[0] == "run"
        assert labq.runs("lr > 1000").to_polars("run,lr").shape == (0, 2)

    def test_mistakes_say_what_was_meant(self) -> None:
        with pytest.raises(labq.BadQuery, match="unknown field 'val_los', did you mean 'val_loss'"):
            labq.runs("val_los < 1")
        with pytest.raises(labq.BadQuery, match="unknown field 'lrr', did you mean 'lr'"):
            labq.runs().to_pandas("lrr")
        with pytest.raises(labq.UserError, match="no run has reported a metric 'val_los', did you mean 'val_loss'"):
            labq.curves("weather", "val_los")
        with pytest.raises(labq.UserError, match="no run has a parameter 'lrr', did you mean 'lr'"):
            labq.curves("weather", "val_loss", params=["lrr"])
        with pytest.raises(labq.UserError, match=r"is a text; a list is meant: params=\['lr'\]"):
            labq.curves("weather", "val_loss", params="lr")


class TestCurves:
    def test_the_long_table(self) -> None:
        curves = labq.curves("weather", "val_loss")
        assert list(curves)[:2] == ["run", "params.lr"]
        assert curves["run"].tolist() == ["r0"] * 3 + ["r1"] * 3
        assert curves["step"].tolist() == [0, 10, 20] * 2
        assert curves["params.lr"].tolist() == [0.1] * 3 + [1.0] * 3
        assert np.array_equal(curves["value"], [1.0, 0.25, 0.5, math.nan, math.inf, math.nan], equal_nan=True)
        assert curves["time"].tolist() == [1e9, 1e9 + 1, 1e9 + 2] * 2
        with pytest.raises(KeyError, match="did you mean 'value'"):
            curves["valu"]

    def test_as_frames(self) -> None:
        curves = labq.curves(labq.runs(), ["acc", "val_loss"], params=["act", "both"])
        frame = curves.to_pandas()
        assert list(frame) == ["run", "experiment", "params.act", "params.both", "metric", "step", "time", "value"]
        assert frame.groupby("metric", observed=True).size().to_dict() == {"acc": 3, "val_loss": 7}
        assert frame["time"][1] == pd.Timestamp(1e9 + 1, unit="s", tz="UTC")
        assert frame["params.act"].isna().sum() == 1
        other = curves.to_polars()
        assert other.columns == list(frame)
        assert other["params.act"].null_count() == 1
        assert other["time"].to_list()[0] == datetime.fromtimestamp(1e9, UTC)
        assert other.filter(pl.col("value").is_nan()).height == 3

    def test_of_runs_and_of_ids_and_of_none(self) -> None:
        assert set(labq.curves(["r0"], "val_loss")["run"]) == {"r0"}
        assert set(labq.curves(labq.runs("tweets"), "val_loss")["run"]) == {"r3"}
        assert set(labq.curves(list(labq.runs("weather"))[:1], "val_loss")["run"]) == {"r0"}
        assert len(labq.curves([], "val_loss").to_pandas()) == 0
        assert len(labq.curves("weather and lr=0", "val_loss").to_polars()) == 0


class TestARun:
    def test_its_parts_are_attributes(self, tmp_path: Path) -> None:
        run = labq.run("r0")
        assert (run.params["lr"], run.summary["val_loss"].min, run.findings) == (0.1, 0.25, (Disease.PLATEAU,))
        assert run.metrics() == ["acc", "val_loss"]
        curve = run.metrics("val_loss")
        assert (curve.steps.tolist(), curve.values.tolist()) == ([0, 10, 20], [1.0, 0.25, 0.5])
        assert run.logs == "grüße\n"
        assert run.fetch(run.artifacts[0], tmp_path).read_bytes() == b"\0\1"
        assert run.diagnosis is not None
        assert run.diagnosis.findings[0].evidence == "flat"
        assert next(event.event for event in run.events) == "began"
        with pytest.raises(labq.UserError, match=r"keeps no file 'weight\.bin', did you mean 'weights\.bin'"):
            run.fetch("weight.bin", tmp_path)

    def test_a_metric_that_it_has_not_reported_is_empty_and_one_that_nobody_has_is_a_mistake(self) -> None:
        assert labq.run("r2").metrics("val_loss").values.tolist() == []
        assert labq.run("r2").metrics() == []
        with pytest.raises(labq.UserError, match="no run has reported a metric 'val_los', did you mean"):
            labq.run("r2").metrics("val_los")

    def test_a_notebook_shows_it_and_runs_no_markup_of_it(self) -> None:
        assert repr(labq.run("r0")).startswith("<labq run r0 weather finished lr=0.1 n=50 act=tanh")
        html = labq.run("r1")._repr_html_()
        assert "&lt;b&gt;" in html
        assert "<b>" not in html
        runs = labq.runs("weather")
        assert repr(runs) == "<labq runs 'weather': 3>"
        assert "3 runs" in runs._repr_html_()
        assert "<b>" not in runs._repr_html_()
        assert repr(labq.curves("weather", "acc")).startswith("<labq curves: 3 points of 1 series; run")


class TestRuns:
    def test_they_are_a_sequence_that_is_read_once(self, store: MongoStore) -> None:
        runs = labq.runs("weather")
        assert (len(runs), runs[0].id, [run.id for run in runs[1:]], runs.ids) == (
            3,
            "r0",
            ["r1", "r2"],
            ["r0", "r1", "r2"],
        )
        assert runs[0] is runs[0]
        assert labq.runs("weather", limit=2)[-1].id == "r2"
        assert not labq.runs("lr > 1000")

    def test_the_connection_goes_with_the_last_run(self) -> None:
        run = labq.runs("weather")[0]
        client = run.lab.store.client
        gc.collect()
        assert run.metrics() == ["acc", "val_loss"]
        del run
        gc.collect()
        with pytest.raises(InvalidOperation):
            client.admin.command("ping")

    def test_a_saved_view_can_be_asked(self, store: MongoStore) -> None:
        from store.identity import user_name
        from store.views import View

        store.save_view(View(owner=user_name(), name="low", query="lr < 0.5", sort="-lr"))
        assert labq.runs("@low").ids == ["r0", "r2"]
        assert labq.runs("@low and weather", limit=1).ids == ["r0"]

    def test_libraries_are_imported_when_they_are_asked_for(self) -> None:
        code = (
            "import labq, sys, json; runs = labq.runs('weather'); runs.to_dict(); runs[0].metrics('acc')\n"
            "print(json.dumps([name for name in ('pandas', 'polars', 'matplotlib', 'rich') if name in sys.modules]))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == []

    def test_without_the_library_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "polars", None)
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(labq.UserError, match=r"pip install 'labq\[polars\]'"):
            labq.runs().to_polars()
        with pytest.raises(labq.UserError, match="pip install pandas"):
            labq.curves("weather", "acc").to_pandas()

    def test_results_are_frames_of_polars_too(self) -> None:
        frame = labq.results("weather").to_polars()
        assert frame.height == 3
        assert frame[next(name for name in frame.columns if "val_loss" in name)].null_count() == 1
