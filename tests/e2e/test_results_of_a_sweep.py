"""A sweep from Python, carried out by a real worker, and its tables."""

import csv
import json
import sys
from pathlib import Path

import openpyxl
import pytest
from lab import Lab, until

import labq

SCRIPT = """
import math, sys, labq
p = labq.params()
if p["lr"] == 10 and p["seed"] == 1:
    sys.exit("it does not converge")
for step in range(20):
    val = (step - 12) ** 2 / 100 + p["lr"] + p["seed"] / 100      # overfits after step 12
    labq.log(step, val_loss=val, test_loss=val + 1 + step, accuracy=1 / (1 + val))
if p["lr"] == 1:
    labq.log(20, val_loss=math.nan, test_loss=math.inf, accuracy=0.0)
"""


@pytest.fixture(scope="module")
def swept(shared_lab: Lab) -> Lab:
    """2 × 3 configurations, two repeats each, by two workers; one run fails."""
    script = shared_lab.write("overfits.py", SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shared_lab.env.items():
            patch.setenv(name, value)
        patch.chdir(shared_lab.home)
        done = labq.enqueue({
            "name": "overfits", "command": [sys.executable, str(script)],
            "sweep": {"repeat": 2, "params": {"lr": [0.1, 1, 10], "act": ["tanh", "=relu"]}},
        })  # fmt: skip
    assert done.added == 12
    workers = [shared_lab.worker("--burst"), shared_lab.worker("--burst")]
    for worker in workers:
        worker.wait(timeout=200)
    until(lambda: sum(shared_lab.store.counts("overfits").values()) == 12, what="twelve runs")
    return shared_lab


def rows(lab: Lab, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(lab.labq("results", "overfits", "--json", *arguments).stdout)
    return found


def test_each_run_has_its_best_and_its_last_epoch(swept: Lab) -> None:
    found = rows(swept, "--sort", "val_loss")
    assert len(found) == 12
    first = found[0]
    assert (first["lr"], first["seed"], first["state"], first["attempts"]) == (0.1, 0, "finished", 1)
    assert (first["best.val_loss"], first["best_step.val_loss"], first["last_step.val_loss"]) == (0.1, 12, 19)
    assert first["last.val_loss"] == pytest.approx(0.49 + 0.1)
    assert first["best.accuracy"] == pytest.approx(1 / 1.1), "of an accuracy the greatest"
    assert float(str(first["duration_s"])) > 0
    failed = [row for row in found if row["state"] == "failed"]
    assert [(row["lr"], row["seed"], row["reason"]) for row in failed] == [(10, 1, "error")] * 2
    assert found[-2:] == failed, "what is missing comes last"
    assert {row["last.val_loss"] for row in found if row["lr"] == 1} == {"nan"}


def test_the_test_loss_is_reported_at_the_best_validation_loss(swept: Lab) -> None:
    (best, *_) = rows(swept, "--at-best", "val_loss", "--best", "1")
    assert (best["best_step.val_loss"], best["at_best.test_loss"]) == (12, pytest.approx(0.1 + 1 + 12))
    (plain, *_) = rows(swept, "--sort", "val_loss", "--best", "1")
    assert plain["best.test_loss"] == pytest.approx(1.44 + 0.1 + 1), "its own best lies elsewhere"


def test_repeats_are_summed_up_and_failures_counted(swept: Lab) -> None:
    found = rows(swept, "--over", "repeat", "--sort", "lr")
    assert [(row["lr"], row["runs"], row["finished"], row["failed"], row["n.best.val_loss"]) for row in found] == [
        (0.1, 2, 2, 0, 2)] * 2 + [(1, 2, 2, 0, 2)] * 2 + [(10, 2, 1, 1, 1)] * 2  # fmt: skip
    assert found[0]["mean.best.val_loss"] == pytest.approx(0.105)
    assert found[0]["ci.best.val_loss"] == pytest.approx(12.7062 * 0.005, rel=1e-4)
    assert found[4]["ci.best.val_loss"] is None, "one run has no interval"


def test_the_pivot_of_the_terminal_the_workbook_and_latex_agree(swept: Lab) -> None:
    told = swept.labq("results", "overfits", "--pivot", "lr", "act").stdout.splitlines()
    assert [line.split() for line in told[1:4]] == [["0.1", "0.1", "0.1"], ["1", "1", "1"], ["10", "10", "10"]]
    file = swept.home / "results.xlsx"
    swept.labq("results", "overfits", "--pivot", "lr", "act", "-o", str(file))
    book = openpyxl.load_workbook(file)
    assert list(book["val_loss"].iter_rows(values_only=True)) == [
        ("lr \\ act", "=relu", "tanh"), (0.1, 0.1, 0.1), (1, 1, 1), (10, 10, 10),
    ]  # fmt: skip
    assert book["val_loss"]["B1"].data_type == "s", "no formula"
    assert book["runs"].max_row == 13
    tex = swept.labq("results", "overfits", "--pivot", "lr", "act", "--format", "tex").stdout
    assert r"lr \textbackslash{} act & =relu & tanh \\" in tex


def test_python_has_the_same_rows(swept: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in swept.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    found = labq.results("overfits and state = finished", sort="val_loss")
    swept.labq("results", "overfits and state = finished", "--sort", "val_loss", "-o", str(tmp_path / "r.csv"))
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["run"] for row in read] == [row["run"] for row in found]
    assert [float(row["best.val_loss"]) for row in read] == [row["best.val_loss"] for row in found], "to the bit"
    assert {row["act"] for row in read} == {"tanh", "'=relu"}
