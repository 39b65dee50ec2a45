"""The example's 32 runs, made small, through the real trainer: its figure grid, its Table 1 and its report, a command each."""

import json
import shutil
from pathlib import Path

import pytest
from lab import Lab

from plots.asking import Ask, Kind
from plots.files import made
from plots.making import picture
from plots.picture import Bars, Heat
from store.states import State
from store.store import RunQuery

EXAMPLE = Path(__file__).parents[2] / "examples" / "regularisation-grid.toml"
WORDS = ("sun", "rain", "snow", "fog", "wind", "mild", "cold", "hot", "today", "again", "sad", "glad")
SMALL = (
    ("n_hidden = 150", "n_hidden = 6"), ("n_in = 20", "n_in = 4"), ("epochs = 400 ", "epochs = 6 "),
    ("valid_slice = [0, 1700]", "valid_slice = [0, 60]"), ("train_slice = [1700, 4200]", "train_slice = [60, 180]"),
    ("batch_size = 100", "batch_size = 30"),
    ("l1 = [1e-3, 1e-4, 1e-5, 1e-6]", "l1 = [1e-3, 1e-5]"), ("noise = [10, 1, 0.1, 0.01]", "noise = [1, 0.01]"),
)  # fmt: skip


@pytest.fixture
def small(lab: Lab) -> Path:
    """The example with 8 runs of some hundred updates, on tweets that somebody made up."""
    folder = lab.home / "example"
    folder.mkdir()
    lines = ["id\tmean_sentiment\ttext"]
    for place in range(180):
        mood = place % 3 - 1
        words = [WORDS[(place * 7 + k * (mood + 2)) % len(WORDS)] for k in range(3 + place % 4)]
        lines.append(f"{place}\t{mood * 1.5}\t{' '.join(words)}")
    (folder / "tweets.tsv").write_text("\n".join(lines) + "\n")
    shutil.copy(EXAMPLE, folder)
    text = EXAMPLE.read_text()
    for old, new in SMALL:
        assert old in text
        text = text.replace(old, new)
    (folder / EXAMPLE.name).write_text(text)
    return folder


@pytest.mark.timeout(600)
def test_grid_table_and_report_of_the_example(lab: Lab, small: Path) -> None:
    ids = json.loads(lab.labq("enqueue", str(small / EXAMPLE.name), "--json").stdout)["ids"]
    lab.worker("--burst")
    for run in lab.store.runs(RunQuery(ids=tuple(ids))):
        assert lab.wait_until_ended(run, 200).state is State.FINISHED
    name = EXAMPLE.stem

    grid = json.loads(
        lab.labq("plot", f"experiment={name} and early_stopping='none'", "--kind", "grid", "--json").stdout
    )
    assert grid["labels"] == {"rows": ["1e-05", "0.001"], "columns": ["0.01", "1"]}
    best = min(
        run.summary["val_loss"].min
        for run in lab.store.runs(RunQuery(ids=tuple(ids)))
        if run.params["early_stopping"] == "none"
    )
    assert [panel["corner"] for row in grid["rows"] for panel in row if panel["best"]] == [best]
    assert all(len(stroke["ys"]) == 6 for row in grid["rows"] for panel in row for stroke in panel["strokes"])

    table = lab.labq("results", name, "--bests", "--by", "early_stopping", "--format", "csv").stdout.splitlines()
    assert table[0] == "result,moving-average train_loss,moving-average val_loss,none train_loss,none val_loss"
    assert [line.split(",")[0] for line in table[1:]] == ["best", "l1", "noise", "at step", "run"]
    assert float(table[1].split(",")[4]) == best

    for kind in (Kind.NORMS, Kind.EPOCHTIME, Kind.UPDATES, Kind.HEATMAP):
        assert made(picture(Ask(which=(name,), kind=kind), lab.store), "png").startswith(b"\x89PNG")
    (heat,) = picture(Ask(which=(ids[0],), kind=Kind.CONFUSION), lab.store).pieces
    assert isinstance(heat, Heat)
    assert heat.values.sum() == 60  # validation tweets
    (bars,) = picture(Ask(which=(ids[0],), kind=Kind.FEATURES), lab.store).pieces
    assert isinstance(bars, Bars)
    assert len(bars.bars) == 4

    lab.labq("report", name, "-o", str(lab.home / "report.html"))
    words = (lab.home / "report.html").read_text()
    assert "8 runs: 8 finished" in words
    assert words.count("data:image/svg+xml;base64,") >= 3
