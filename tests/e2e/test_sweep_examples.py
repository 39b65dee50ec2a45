"""The sweeps of examples/: as they stand through a dry run, and at a small size through a real worker."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from lab import Lab

from store.runs import Run
from store.states import State
from store.store import RunQuery

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("file", "runs", "varied"),
    [
        ("monte-carlo.toml", 60, {"nb_filters", "nb_conv_size"}),
        ("rnn-experiments.toml", 5, {"n_hidden", "learning_rate", "bptt"}),
    ],
)
def test_an_example_makes_what_it_says(lab: Lab, file: str, runs: int, varied: set[str]) -> None:
    told = json.loads(lab.labq("enqueue", str(EXAMPLES / file), "--dry-run", "--json").stdout)
    assert told["experiment"] == file.removesuffix(".toml")
    assert len({run["key"] for run in told["runs"]}) == len(told["runs"]) == runs
    assert all(varied <= run["params"].keys() for run in told["runs"])
    shown = lab.labq("enqueue", str(EXAMPLES / file), "--dry-run").stdout
    assert all(name in shown for name in varied)


def carried_out(lab: Lab, file: str, *changes: tuple[str, str]) -> list[Run]:
    """A copy of examples/ with these changes, enqueued and worked off."""
    folder = lab.home / file.removesuffix(".toml")
    shutil.copytree(EXAMPLES, folder)
    text = (folder / file).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / file).write_text(text)
    ids = json.loads(lab.labq("enqueue", str(folder / file), "--json").stdout)["ids"]
    lab.worker("--burst", PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for run in lab.store.runs(RunQuery(ids=tuple(ids))):
        lab.wait_until_ended(run, 200)
    return lab.store.runs(RunQuery(ids=tuple(ids)))


def test_the_monte_carlo_search(lab: Lab) -> None:
    runs = carried_out(lab, "monte-carlo.toml", ("samples = 60", "samples = 3"), ("high = 256", "high = 32"))
    assert [run.state for run in runs] == [State.FINISHED] * 3
    for run in runs:
        assert 0.1 < run.summary["accuracy"].last <= 1
        assert f"{run.params['nb_filters']} filters of" in lab.store.log_tail(run.id, 1, 1000).decode()


def test_a_spreadsheet_of_networks(lab: Lab) -> None:
    small = ('sheet = "Experiments"', 'sheet = "Experiments"\nwhere = "n_hidden <= 16"')
    runs = carried_out(
        lab,
        "rnn-experiments.toml",
        small,
        ("epochs = 4", "epochs = 1"),
        ("vocabulary_size = 1000", "vocabulary_size = 30"),
    )
    assert [(run.params["learning_rate"], run.priority, run.tags) for run in runs] == [
        (0.005, 10, ("example", "baseline")), (0.01, 0, ("example", "rate")),
    ]  # fmt: skip
    assert [run.state for run in runs] == [State.FINISHED] * 2
    assert all(run.summary["val_loss"].last > 0 for run in runs)
