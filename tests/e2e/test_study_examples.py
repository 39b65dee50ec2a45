"""The studies of examples/: as they stand through a dry run, and at a small size through a real worker."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from lab import LABQ, Lab, until

from store.states import State
from store.store import RunQuery
from store.studies import StudyState, Trial, TrialState

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = (
    ("vocabulary_size = 1000", "vocabulary_size = 50"),
    ("epochs = 4", "epochs = 1"),
    ('source = "pydoc"', 'source = "pydoc"\ntrain_slice = [0, 60]\nvalid_slice = [60, 90]'),
    ("trials = 40", "trials = 7"),
)


def copied(lab: Lab, file: str, *changes: tuple[str, str]) -> Path:
    folder = lab.home / file.removesuffix(".toml")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    text = (folder / file).read_text()
    for old, new in (*SMALL, *changes):
        assert old in text, old
        text = text.replace(old, new)
    (folder / file).write_text(text)
    return folder / file


def carried_out(lab: Lab, file: Path) -> list[Trial]:
    name = file.stem
    lab.labq("enqueue", str(file))
    lab.worker("-n", "2")

    def over() -> bool:
        study = lab.store.study(name)
        return study is not None and study.state is StudyState.FINISHED

    try:
        until(over, 240, f"the end of {name}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{lab.store.study(name)}\n{lab.log_text()[-3000:]}") from error
    runs = lab.store.runs(RunQuery(experiment=name))
    assert len(runs) == 7
    assert {run.state for run in runs} <= {State.FINISHED, State.CANCELLED}, [run.ending for run in runs]
    return lab.store.trials(name)


@pytest.mark.parametrize("file", ["rnn-study.toml", "smac-study.toml"])
def test_an_example_shows_what_it_is(lab: Lab, file: str) -> None:
    if "smac" in file:
        pytest.importorskip("ConfigSpace")
    shown = lab.labq("enqueue", str(EXAMPLES / file), "--dry-run").stdout
    over = next(line for line in shown.splitlines() if line.strip().startswith("over"))
    assert set(over.replace(",", "").split()[1:]) == {
        "n_hidden",
        "bptt",
        "learning_rate",
        "optimizer",
        "final_momentum",
    }
    assert "40 trials" in shown


def test_an_optuna_study_on_the_rnn(lab: Lab) -> None:
    pytest.importorskip("optuna")
    trials = carried_out(lab, copied(lab, "rnn-study.toml", ("startup = 10", "startup = 3")))
    assert trials[0].params["n_hidden"] == 32
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(trial.values[0] > 0 for trial in trials)
    assert all(("final_momentum" in trial.params) == (trial.params["optimizer"] == "sgd") for trial in trials)


def test_a_smac_study_on_the_rnn(lab: Lab) -> None:
    pytest.importorskip("smac")
    trials = carried_out(lab, copied(lab, "smac-study.toml", ("seed = 1", "seed = 1\nstartup = 5")))
    assert trials[0].params == {
        "n_hidden": 32, "bptt": 4, "learning_rate": 0.01, "optimizer": "sgd", "final_momentum": 0.5,
    }  # fmt: skip
    assert all(not (t.params["optimizer"] == "adagrad" and t.params["bptt"] == 1) for t in trials)


def test_the_scenario_calls_what_there_is(lab: Lab) -> None:
    """What SMAC 2 does with a scenario: algo, then instance, specifics, cutoff, run length, seed, parameters."""
    file = copied(lab, "smac-study.toml", ('name = "smac-study"', 'name = "scenario"'))
    said = dict(line.split(" = ", 1) for line in (file.parent / "smac-scenario.txt").read_text().splitlines())
    programme, *arguments = shlex.split(said["algo"])
    assert programme == "labq"
    assert (file.parent / said["paramfile"]).is_file()
    lab.worker()
    wire = ["no_instance", "0", "1.7976931348623157E308", "2147483647", "-1"]
    values = ["-n_hidden", "'12'", "-bptt", "'2'", "-learning_rate", "'0.02'", "-optimizer", "'adam'"]
    done = subprocess.run(
        [*LABQ, *arguments, *wire, *values], cwd=file.parent, env=lab.env, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.startswith("Result of algorithm run: SAT, "), done.stdout + done.stderr
    (run,) = lab.store.runs(RunQuery(experiment="scenario"))
    assert (run.params["n_hidden"], run.params["optimizer"]) == (12, "adam")
    assert f", {run.summary['val_loss'].min!r}, -1, run {run.id}" in done.stdout
