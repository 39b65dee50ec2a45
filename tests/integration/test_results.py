"""`labq results` over a real MongoDB, as typed; the files read back."""

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import labq
from queueing.cli.main import main
from store.errors import UserError
from store.experiments import Experiment
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore
from store.runs import Ending, Run, Task
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
FAILED = Settlement(state=State.FAILED, reason=Reason.DIVERGED, ending=Ending(reason=Reason.DIVERGED, message="nan"))


@pytest.fixture
def store(
    mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[MongoStore]:
    """Four configurations of two runs; validation overfits from step 2 on; one run fails, one has not begun."""
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    text = '{"name": "grid", "sweep": {"table": "runs.csv"}}'
    mongo_store.add_experiment(
        Experiment(name="grid", owner="me", source=str(tmp_path / "grid.json"), text=text, created_at=NOW)
    )
    Path("runs.csv").write_text("l1,noise,# why\n0.001,1,first\n0.001,10,\n0.0001,1,\n0.0001,10,last\n")
    number = 0
    for l1 in (1e-3, 1e-4):
        for noise in (1, 10):
            for repeat in (0, 1):
                run_it(mongo_store, number, {"l1": l1, "noise": noise, "seed": repeat}, repeat)
                number += 1
    return mongo_store


def run_it(store: MongoStore, number: int, params: dict[str, Any], repeat: int) -> None:
    run = Run(id=f"r{number}", key=f"k{number}", experiment="grid", params=params, repeat=repeat, index=number,
              task=Task(command=("true",), workdir="/"), queued_at=NOW)  # fmt: skip
    store.add_runs([run])
    if number == 7:
        return
    claimed = store.claim(WORKER, 60)
    assert claimed is not None
    assert claimed.id == run.id
    store.begin(run.id, 1, None, {"host": "gpu-1"})
    least = 0.1 * (number + 1)
    points = []
    for step, (val, test) in enumerate([(1.0, 2.0), (least + 0.01, 3.0), (least, 5.0 + number), (0.9, 0.5)]):
        for name, value in (("val_loss", val), ("test_loss", test)):
            points.append(Point(name=name, step=step, time=1.0, value=value, line=step + 1, index=step))
    if number == 5:
        points.append(Point(name="test_loss", step=4, time=1.0, value=math.nan, line=5, index=4))
    shipment = Shipment(events_from=0, events_to=9, lines_to=5, segments=segments(points), output_from=0)
    store.ship(run.id, 1, shipment, summarize({}, segments(points)))
    store.settle(run.id, 1, FAILED if number == 6 else FINISHED)


def typed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(["results", *arguments])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def as_csv(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(typed(capsys, "grid", "--format", "tsv", *arguments)), delimiter="\t")
    return [{name.removeprefix("#"): value for name, value in row.items()} for row in rows]


def test_the_best_runs_of_an_experiment_with_best_and_last_values(
    store: MongoStore, capsys: pytest.CaptureFixture[str]
) -> None:
    told = typed(capsys, "grid", "--sort", "val_loss", "--best", "3").splitlines()
    assert told[0].split()[:6] == ["run", "l1", "noise", "seed", "repeat", "state"]
    assert [line.split()[0] for line in told[1:4]] == ["r0", "r1", "r2"]
    assert "0.1 @2 → 0.9 @3" in told[1]
    assert told[4].startswith("8 runs: 6 finished, 1 ")


def test_a_run_without_the_metric_is_shown_and_last(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(typed(capsys, "grid", "--json", "--sort", "val_loss"))
    assert [row["run"] for row in rows] == [f"r{i}" for i in range(8)]
    assert (rows[7]["state"], rows[7]["best.val_loss"], rows[7]["duration_s"]) == ("queued", None, None)
    assert (rows[6]["state"], rows[6]["reason"]) == ("failed", "diverged")
    assert rows[5]["last.test_loss"] == "nan"
    told = typed(capsys, "grid", "-c", "run,best.val_loss,host", "--sort", "best.val_loss", "--reverse")
    assert told.splitlines()[-2].split() == ["r7", "–", "–"]


def test_the_test_loss_is_that_of_the_epoch_with_the_best_validation(
    store: MongoStore, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(typed(capsys, "grid", "--json", "--at-best", "val_loss", "--sort", "val_loss"))
    assert [(row["best_step.val_loss"], row["at_best.test_loss"]) for row in rows[:3]] == [(2, 5.0), (2, 6.0), (2, 7.0)]
    assert rows[7]["at_best.test_loss"] is None
    (first, *_) = json.loads(typed(capsys, "grid", "--json", "--at-best", "val_loss", "--over", "repeat"))
    assert (first["mean.at_best.test_loss"], first["mean.best.val_loss"]) == (5.5, pytest.approx(0.15))


def test_repeats_and_pivots(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    rows = as_csv(capsys, "--over", "repeat", "-m", "val_loss", "--sort", "val_loss")
    assert [(row["runs"], row["failed"], row["queued"], row["n.best.val_loss"]) for row in rows] == [
        ("2", "0", "0", "2")] * 3 + [("2", "1", "1", "0")]  # fmt: skip
    assert float(rows[0]["mean.best.val_loss"]) == pytest.approx(0.15)
    assert float(rows[0]["ci.best.val_loss"]) == pytest.approx(12.7062 * 0.05, rel=1e-4), "t(0.975, 1) · s / √2"
    assert rows[3]["mean.best.val_loss"] == ""
    told = typed(capsys, "grid", "--pivot", "l1", "noise").splitlines()
    assert [line.split() for line in told[:3]] == [
        ["l1", "\\", "noise", "1", "10"],
        ["0.0001", "0.5", "–"],
        ["0.001", "0.1", "0.3"],
    ]
    assert told[3].startswith("best val_loss (each run's smallest) over seed, repeat; 8 runs: 6 finished")
    tex = typed(capsys, "grid", "--pivot", "l1", "noise", "--aggregate", "mean", "--unfinished", "--format", "tex")
    assert r"0.0001 & 0.55 $\pm$ 0.64 (n=2) & 0.7 (n=1) \\" in tex


def test_a_query_chooses_runs(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(typed(capsys, "grid and l1 = 1e-4 and state = finished", "--json"))
    assert [row["run"] for row in rows] == ["r4", "r5"]


def test_files_of_all_formats_hold_the_same(store: MongoStore, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("r.csv", "r.json", "r.md", "r.tex", "r.tsv"):
        typed(capsys, "grid", "-o", name, "--sort", "val_loss")
    typed(capsys, "grid", "-o", "r.xlsx", "--sort", "val_loss", "--pivot", "l1", "noise")
    with open("r.csv", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head[:5] == ["l1", "noise", "# why", "#run", "#seed"]
    book = openpyxl.load_workbook("r.xlsx")
    assert book.sheetnames == ["runs", "val_loss"]
    cells = list(book["runs"].iter_rows(values_only=True))
    at = head.index("#best.val_loss")
    assert [row[at] for row in cells[1:7]] == pytest.approx([float(row[at]) for row in rows[:6]], rel=1e-15)
    assert [row[at] for row in cells[1:]] == [pytest.approx(0.1 * i) for i in range(1, 8)] + [None]
    assert len(json.loads(Path("r.json").read_text())) == 8
    assert Path("r.md").read_text().count("\n| ") >= 9


def test_results_go_beside_the_inputs_and_the_table_is_enqueued_again_without_a_new_column(
    store: MongoStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results", "grid", "-o", "runs.csv"]) == 2
    assert "is the table that was enqueued; --force writes results into it" in capsys.readouterr().err
    typed(capsys, "grid", "--over", "repeat", "-o", "runs.csv", "--force")
    with open("runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["# why"] for row in rows] == ["first", "", "", "last"]
    assert [row["#runs"] for row in rows] == ["2"] * 4
    assert [name for name in rows[0] if not name.startswith("#")] == ["l1", "noise"]
    typed(capsys, "grid", "--over", "repeat", "-o", "runs.csv", "--force")
    with open("runs.csv", newline="") as file:
        assert list(csv.DictReader(file)) == rows


def test_python_gets_rows_and_a_data_frame(store: MongoStore) -> None:
    rows = labq.results("grid", sort="val_loss", best=2, columns=["run", "best.val_loss"])
    assert rows == [{"run": "r0", "best.val_loss": 0.1}, {"run": "r1", "best.val_loss": 0.2}]
    with pytest.raises(UserError, match=r"columns='run': is a text; a list is meant: columns=\['run'\]"):
        labq.results("grid", columns="run")
    with pytest.raises(UserError, match="best=0: allowed: 1 and more"):
        labq.results("grid", best=0)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = labq.results("grid").to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert str(frame["best_step.val_loss"].dtype) == "Int64"
    assert frame["best.val_loss"].isna().tolist() == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gird"], "there is no run of 'gird', neither as an experiment nor as a query"),
        (["state = finishd"], "'finishd' is no state"),
        (
            ["grid", "-o", "r.ods"],
            "r.ods: '.ods' is no format of a table; allowed: csv, tsv, xlsx, parquet, tex, md, json",
        ),
        (["grid", "-o", "r"], "the name does not tell the format"),
        (["grid", "--format", "doc"], "'doc' is no format of a table"),
        (["grid", "--format", "xlsx"], "--format xlsx is no text: say where it goes: -o results.xlsx"),
        (["grid", "-o", "-"], "-o - needs --format"),
        (["grid", "--json", "-o", "r.csv"], "--json prints JSON"),
        (["grid", "-o", "no/such/r.csv"], "there is no folder no/such"),
        (["grid", "-o", "r.csv", "--force"], "--force is for the table that was enqueued, and this is another file"),
        (["grid", "--force"], "--force belongs to -o FILE"),
        (["grid", "-c", "run,,l1"], "a name is missing"),
        (["grid", "-c", "noisy"], "there is no column 'noisy', did you mean 'noise'?"),
        (["grid", "--median"], "--median belongs to --over"),
        (["grid", "--aggregate", "mean"], "--aggregate belongs to --pivot"),
        (["grid", "--unfinished"], "--unfinished belongs to --over, --pivot or --bests"),
        (["grid", "--max", "val_loss", "--min", "val_loss"], "val_loss stands in both --max and --min"),
        (["grid", "--pivot", "l1", "noise", "-c", "run"], "--pivot takes its own two"),
        (["grid", "--pivot", "l1", "noise", "--by", "repeat", "-o", "r.csv"], ".csv holds one table, and here are 2"),
        (["grid", "--at-best", "loss"], "no run has reported a metric 'loss', did you mean"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(
    store: MongoStore, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["results", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert sorted(path.name for path in Path().iterdir()) == ["runs.csv"], "nothing was written"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--best", "0"], "'0' is no whole number from 1 on"),
        (["--level", "95"], "'95' is no probability between 0 and 1, such as 0.95 or 95%"),
        (["--digits", "99"], "'99' is no whole number from 1 to 17"),
        (["--pivot", "l1"], "expected 2 arguments"),
        (["--aggregate", "max"], "invalid choice: 'max'"),
    ],
)
def test_a_malformed_option_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["results", "grid", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_writer_that_is_killed_leaves_the_old_file(store: MongoStore, tmp_path: Path) -> None:
    """SIGKILL of itself in the middle of the rows."""
    Path("r.csv").write_text("old\n")
    code = (
        "import os, signal, queueing.results.files.writing as w\n"
        "def dies(table, file, delimiter=','):\n"
        "    file.write('half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "w.write_csv = dies\n"
        "from queueing.cli.main import main\n"
        "main(['results', 'grid', '-o', 'r.csv'])\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert Path("r.csv").read_text() == "old\n"
    left = [path.name for path in tmp_path.iterdir() if path.name not in ("r.csv", "runs.csv")]
    assert len(left) == 1
    assert left[0].startswith(".r.csv.")
    assert main(["results", "grid", "-o", "r.csv"]) == 0
    assert Path("r.csv").read_text().startswith("l1,noise,")


def test_many_runs_are_read_in_pages_and_kept_on_the_disk(mongo_store: MongoStore) -> None:
    """7,000 runs of one moment over seven pages, none twice and none missing; their records fill the spool."""
    from queueing.results.asking import Ask
    from queueing.results.report import report

    runs = [
        Run(id=f"{i:06d}", key=str(i), experiment="many", params={"i": i, "pad": "x" * 3000}, index=i,
            task=Task(workdir="/"), queued_at=NOW + timedelta(seconds=i % 2))
        for i in range(7000)
    ]  # fmt: skip
    mongo_store.add_runs(runs)
    table = report(Ask(text="many", columns=("i",), sort="i", reverse=True), mongo_store).lines.table()
    assert [row[0] for row in table.rows()] == list(range(6999, -1, -1))
