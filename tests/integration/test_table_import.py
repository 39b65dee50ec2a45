"""`labq import csv|jsonl`: tables of runs and of histories, into a real MongoDB."""

import csv
import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import labq
from queueing.cli.main import main
from store.mongo import MongoStore
from store.settings import Settings
from store.states import Reason, State

RUNS = """\
id,lr,act,data.train,fast,val_loss,test_err,how,when
a,0.1,tanh,x.tsv,true,0.25,,finished,2026-01-01T10:00
b,1e-2,relu,y.tsv,,nan,3,FAILED,2026-01-02T10:00+02:00
c,,007,,false,-Infinity,0,timeout,1767225600
"""
HISTORIES = """\
run,lr,epoch,loss,acc
one,0.1,0,1.0,
two,0.2,0,2.0,0.5
one,,1,0.5,0.75
two,0.2,1,inf,nan
one,0.1,3,0.25,
"""


@pytest.fixture(autouse=True)
def ours(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    monkeypatch.chdir(tmp_path)
    return mongo_store


def imported(capsys: pytest.CaptureFixture[str], text: str, name: str, *options: str) -> Any:
    Path(name).write_text(text)
    capsys.readouterr()
    code = main(["import", Path(name).suffix[1:], name, *options, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], text: str | bytes, name: str, *options: str) -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    capsys.readouterr()
    assert main(["import", Path(name).suffix[1:], name, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(labq.runs()) == 0
    return err.removeprefix("labq: ")


def test_a_row_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--run", "id", "--metrics", "val_loss,test_*", "--state", "how", "--time", "when")
    assert imported(capsys, RUNS, "old.csv", *options, "--dry-run")["added"] == 3
    assert len(labq.runs()) == 0
    assert imported(capsys, RUNS, "old.csv", *options)["added"] == 3
    a, b, c = labq.runs("old", sort="index")
    assert a.params == {"lr": 0.1, "act": "tanh", "data": {"train": "x.tsv"}, "fast": True}
    assert (a.metrics(), a.origin, a.tags) == (["val_loss"], "old.csv a", ("imported",))
    assert a.ended_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert (b.state, b.reason, b.ended_at) == (State.FAILED, Reason.ERROR, datetime(2026, 1, 2, 8, tzinfo=UTC))
    assert math.isnan(b.summary["val_loss"].last)
    assert c.params == {"act": "007", "fast": False}
    assert (c.reason, c.summary["val_loss"].last, c.summary["test_err"].last) == (Reason.TIME_LIMIT, -math.inf, 0.0)
    assert labq.runs("missing(test_err)").ids == [a.id]


def test_importing_again_adds_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--metrics", "val_loss", "--params", "lr")
    text = "lr,val_loss\n0.1,1\n0.1,1\n0.2,2\n"
    assert imported(capsys, text, "t.csv", *options)["added"] == 3
    told = imported(capsys, text + "0.1,1\n0.3,nan\n", "t.csv", *options)
    assert (told["added"], told["known"]) == (2, 3)
    assert imported(capsys, text, "t.csv", *options, "--experiment", "other")["added"] == 3


def test_rows_of_one_run_are_a_history(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--run", "run", "--step", "epoch", "--metrics", "loss,acc")
    assert imported(capsys, HISTORIES, "h.csv", *options)["added"] == 2
    one, two = labq.runs("h", sort="index")
    assert (one.params, two.params) == ({"lr": 0.1}, {"lr": 0.2})
    assert (one.metrics("loss").steps.tolist(), one.metrics("loss").values.tolist()) == ([0, 1, 3], [1.0, 0.5, 0.25])
    assert (one.metrics("acc").steps.tolist(), one.summary["acc"].count) == ([1], 1)
    assert two.metrics("loss").values[1] == math.inf
    assert math.isnan(two.metrics("acc").values[1])
    frame = labq.curves("h", "loss").to_pandas()
    assert frame["step"].tolist() == [0, 1, 3, 0, 1]
    longer = HISTORIES + "one,0.1,4,0.125,\n"
    assert imported(capsys, longer, "h.csv", *options)["known"] == 2
    assert imported(capsys, longer, "h.csv", *options, "--again")["added"] == 2
    assert labq.run(one.id).metrics("loss").steps.tolist() == [0, 1, 3, 4]


def test_lines_of_json_need_not_all_be_alike(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"params": {"lr": 0.1, "sizes": [1, 2]}, "metrics": {"val.loss": 0.5, "acc": 1}},
        {"params": {"lr": 0.2, "deep": {"er": None}}, "metrics": {"acc": math.nan}},
        {"params": {}, "metrics": {"acc": "-inf", "val.loss": None}},
    ]
    imported(capsys, "\n".join(map(json.dumps, lines)) + "\n\n", "t.jsonl")
    first, second, third = labq.runs("t", sort="index")
    assert (first.params, first.metrics()) == ({"lr": 0.1, "sizes": [1, 2]}, ["acc", "val/loss"])
    assert (second.params, second.metrics()) == ({"lr": 0.2}, ["acc"])
    assert (third.params, third.summary["acc"].last) == ({}, -math.inf)


def test_what_labq_writes_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--run", "id", "--metrics", "val_loss,test_*", "--state", "how")
    imported(capsys, RUNS, "old.csv", *options)
    frame = labq.runs("old", sort="index").to_pandas()
    frame.to_csv("frame.csv", index=False)
    again = imported(capsys, Path("frame.csv").read_text(), "frame.csv", "--run", "run", "--state", "state")
    assert again["added"] == 3
    before, after = labq.runs("old", sort="index"), labq.runs("frame", sort="index")
    assert [run.state for run in before] == [run.state for run in after]
    assert before[0].params == after[0].params


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,b\n1,2\n", [], "say which columns are metrics: --metrics NAME,…; there are: a, b"),
        ("a,loss\n1,2\n", ["--metrics", "los"], "--metrics los: no column is called so, did you mean 'loss'?"),
        ("a,loss\n1,2\n", ["--metrics", "loss", "--run", "x"], "--run x: no column is called so; there are: a, loss"),
        ("a,loss\n1,2\n", ["--metrics", "loss", "--run", "loss"], "column 'loss' cannot be two things"),
        ("a,loss\n1,2\n2,x\n", ["--metrics", "loss"], "t.csv: B3: 'x' is not a number"),
        ('a,loss\n1,"0,5"\n', ["--metrics", "loss"], "t.csv: B2: '0,5' is not a number"),
        ("a,loss\n1,2,3\n", ["--metrics", "loss"], "t.csv: row 2: has 3 cells, the header names 2"),
        ("a,a\n1,2\n", ["--metrics", "a"], "t.csv: B1: a second column is called 'a'"),
        ("", ["--metrics", "a"], "t.csv: has no header"),
        ("a,loss\n", ["--metrics", "loss"], "t.csv: has no row with values"),
        ("r,loss\nx,1\nx,2\n", ["--metrics", "loss", "--run", "r"], "t.csv: A3: is of the same run as row 2; with several"),
        ("r,loss\n,1\n", ["--metrics", "loss", "--run", "r"], "t.csv: A2: is empty: which run is it of?"),
        ("s,loss\n0.5,1\n,2\n", ["--metrics", "loss", "--step", "s"], "t.csv: A2: '0.5' is not a whole number\nlabq: t.csv: A3: '' is not a whole number"),
        ("r,lr,s,loss\nx,1,0,1\nx,2,1,1\n", ["--metrics", "loss", "--step", "s", "--run", "r"],
         "t.csv: B3: 2, but 1 in row 2 of run 'x'; what changes within a run is a metric"),
        ("st,loss\nhalf,1\n", ["--metrics", "loss", "--state", "st"], "t.csv: A2: 'half' is not a state of an ended run; allowed: finished"),
        ("t,loss\nsoon,1\n", ["--metrics", "loss", "--time", "t"], "t.csv: A2: 'soon' is not a time such as"),
        ('a,loss\n"1,2\n', ["--metrics", "loss"], "t.csv: row 2: is not CSV: unexpected end of data"),
        (b"a,loss\n\xff,2\n", ["--metrics", "loss"], "t.csv: after row 0: byte 0xff is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_csv_file_is_told_and_nothing_is_added(
    capsys: pytest.CaptureFixture[str], text: str | bytes, options: list[str], said: str
) -> None:
    assert refused(capsys, text, "t.csv", *options).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"loss": 1}\n{"loss": }\n', "t.jsonl: line 2, column 10: is not JSON: Expecting value"),
        ('{"loss": 1}\n[1]\n', "t.jsonl: line 2: is list; expected an object"),
        ('{"loss": 1}\n\n{"loss": "big"}\n', "t.jsonl: line 3, loss: 'big' is not a number"),
        (b'{"loss": 1}\n\xff\n', "t.jsonl: line 2: byte 0xff at 1 is not UTF-8 text"),
        ("", "say which columns are metrics"),
    ],
)
def test_what_is_wrong_with_lines_of_json_is_told(
    capsys: pytest.CaptureFixture[str], text: str | bytes, said: str
) -> None:
    options = ("--metrics", "loss") if text else ()
    assert refused(capsys, text, "t.jsonl", *options).startswith(said)


def test_a_file_that_is_none_and_a_name_that_cannot_be(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Path("t.csv").write_text("a,loss\n1,2\n")
    for arguments, said in [
        (["csv", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["csv", str(tmp_path)], "is no regular file"),
        (["csv", "t.csv", "--metrics", "loss", "--experiment", "a b"], "--experiment a b: allowed: letters"),
        (["csv", "t.csv", "--prefix", "x"], "--prefix means nothing for csv"),
    ]:
        assert main(["import", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """60,000 rows of histories of runs that take turns: a process that reads them stays small."""
    with open("large.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["run", "step", "loss", "remark"])
        for step in range(3000):
            rows.writerows([f"r{run}", step, step * 0.5, "x" * 60] for run in range(20))
    code = (
        "import resource, sys; from queueing.cli.main import main\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    command = [
        "import",
        "csv",
        "large.csv",
        "--run",
        "run",
        "--step",
        "step",
        "--metrics",
        "loss",
        "--params",
        "remark",
    ]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 100  # MB, the libraries included
    (run, *_) = labq.runs("large", sort="index")
    assert run.metrics("loss").values.tolist() == [step * 0.5 for step in range(3000)]
