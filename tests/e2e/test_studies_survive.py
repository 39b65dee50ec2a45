"""Studies with real processes: the optimizer's step and a worker are killed, the budget and every ending are exact."""

import json
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from lab import HERE, LABQ, Lab, until

from store.states import ENDED, State
from store.store import RunQuery
from store.studies import StudyState, TrialState
from worker.loop import ASKING

PARAMS = """
[optimizer.params]
x = {low = 0.0, high = 1.0}
n = {low = 1, high = 100, type = "int"}
"""


def write_study(lab: Lab, name: str, *, pause_s: float = 0.05, **optimizer: Any) -> Path:
    said = "\n".join(f"{key} = {json.dumps(value)}" for key, value in {"metric": "val_loss", **optimizer}.items())
    script = json.dumps(str(HERE / "study_steps.py"))
    command = f'["{sys.executable}", {script}]'
    return lab.write(
        f"{name}.toml",
        f'name = "{name}"\ncommand = {command}\n[params]\npause_s = {pause_s}\n[optimizer]\n{said}\n{PARAMS}',
    )


def is_over(lab: Lab, name: str) -> bool:
    study = lab.store.study(name)
    return study is not None and study.state is StudyState.FINISHED


def check_exact(lab: Lab, name: str, budget: int) -> None:
    """As many trials as allowed, a run each, one settle per attempt that ended a run, and each told with its value."""
    trials = lab.store.trials(name)
    runs = {run.id: run for run in lab.store.runs(RunQuery(experiment=name))}
    assert [trial.number for trial in trials] == list(range(budget))
    assert sorted(runs) == sorted(one for trial in trials for one in trial.runs)
    assert len(runs) == budget
    for trial in trials:
        run = runs[trial.runs[0]]
        assert run.state in ENDED
        assert lab.settles(run) == 1
        assert run.trial == trial.number
        assert trial.told.startswith(f"{run.id}/{run.attempt}/{run.state}/")
        if run.state is State.FINISHED:
            assert trial.values == (run.summary["val_loss"].min,)
            assert run.summary["val_loss"].count == 4
        else:
            assert (trial.state, trial.values) == (TrialState.FAILED, ())
    told = lab.log_text().count(f"study name={name} ")
    assert told > 0


class Killer(threading.Thread):
    """SIGKILL for the optimizer's steps, at a moment nobody chose."""

    def __init__(self, lab: Lab, most: int) -> None:
        super().__init__(daemon=True)
        self.lab, self.most, self.killed, self.over = lab, most, 0, threading.Event()
        self.dice = random.Random(7)

    def run(self) -> None:
        while self.killed < self.most and not self.over.wait(0.01):
            for process in self.steps():
                time.sleep(self.dice.uniform(0.0, 0.8))
                with suppress(psutil.Error):
                    process.kill()
                    self.killed += 1
                    break

    def steps(self) -> list[psutil.Process]:
        found = []
        for worker in list(self.lab.processes):
            with suppress(psutil.Error):
                children = psutil.Process(worker.pid).children(recursive=True)
                found += [child for child in children if _named(child) == ASKING]
        return found


def _named(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def test_a_study_ends_with_exactly_its_budget_whatever_is_killed(lab: Lab) -> None:
    file = write_study(lab, "killed", sampler="tpe", trials=14, parallel=3, startup=4, seed=3)
    lab.labq("enqueue", str(file))
    workers = [lab.worker(), lab.worker()]
    killer = Killer(lab, most=6)
    killer.start()
    until(lambda: len(lab.store.trials("killed")) >= 6, 90, "some trials")
    workers[0].kill()
    workers[0].wait()
    lab.worker()
    until(lambda: is_over(lab, "killed"), 180, "the end of the study")
    killer.over.set()
    killer.join()
    assert killer.killed >= 2
    check_exact(lab, "killed", 14)


def test_the_foreground_and_workers_do_not_disturb_each_other(lab: Lab) -> None:
    file = write_study(lab, "both", sampler="random", trials=12, parallel=4)
    lab.labq("enqueue", str(file))
    drivers = [lab.start("optimize", "both") for _ in range(2)]
    lab.worker("-n", "2")
    drivers[0].kill()
    until(lambda: is_over(lab, "both"), 120, "the end of the study")
    assert drivers[1].wait(30) == 0
    check_exact(lab, "both", 12)


def test_a_study_outlives_mongodb(lab: Lab) -> None:
    file = write_study(lab, "outage", sampler="random", trials=8, parallel=2)
    lab.labq("enqueue", str(file))
    lab.worker()
    until(lambda: len(lab.store.trials("outage")) >= 3, 60, "some trials")
    lab.kill_server("mongod")
    lab.kill_server("redis")
    time.sleep(2.0)
    lab.up()
    until(lambda: is_over(lab, "outage"), 120, "the end of the study")
    check_exact(lab, "outage", 8)


def test_people_see_how_a_study_stands(lab: Lab) -> None:
    file = write_study(lab, "seen", sampler="random", trials=6, parallel=3)
    lab.labq("enqueue", str(file))
    lab.worker("--burst").wait(120)
    shown = json.loads(lab.labq("study", "seen", "--json", "--plot", str(lab.home / "seen.png")).stdout)
    assert shown["state"] == "finished"
    assert len(shown["trials"]) == 6
    values = [trial["values"][0] for trial in shown["trials"] if trial["state"] == "complete"]
    assert shown["best"][0]["values"] == [min(values)]
    assert (lab.home / "seen.png").stat().st_size > 10_000
    assert "test_loss" not in json.dumps(shown)
    assert "best" in lab.labq("study", "seen", "--trials").stdout
    assert lab.labq("study", "nobody", ok=False).returncode == 2


def test_an_optimizer_in_another_language_asks_and_tells(lab: Lab) -> None:
    lab.labq("enqueue", str(write_study(lab, "theirs", engine="ask", trials=4)))
    asked = json.loads(lab.labq("ask", "theirs", "x=0.5", "n=7", "--json").stdout)
    assert (asked["trial"], asked["params"]) == (0, {"x": 0.5, "n": 7})
    outside = json.loads(lab.labq("ask", "theirs", "--params", '{"x": 0.1, "n": 9}', "--outside", "--json").stdout)
    assert (outside["trial"], outside["run"]) == (1, None)
    lab.labq("tell", "theirs", "1", "value=0.25")
    lab.labq("tell", "theirs", "1", "value=0.25")
    assert lab.labq("tell", "theirs", "1", "value=0.5", ok=False).returncode == 2
    lab.worker("--burst").wait(60)
    shown = json.loads(lab.labq("study", "theirs", "--json").stdout)
    assert [trial["state"] for trial in shown["trials"]] == ["complete", "complete"]
    assert shown["trials"][0]["runs"] == [asked["run"]]


def smac_run(lab: Lab, file: Path, *parameters: str) -> subprocess.Popen[str]:
    wire = ["no_instance", "0", "1.7976931348623157E308", "2147483647", "-1", *parameters]
    return subprocess.Popen(
        [*LABQ, "smac-run", "--worst", "100", str(file), *wire], env=lab.env, cwd=lab.home, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def test_smac_gets_its_line_also_when_it_was_killed_and_mongodb_was_away(lab: Lab) -> None:
    file = write_study(lab, "wire", trials=1, engine="ask", pause_s=0.3)
    first = smac_run(lab, file, "-x", "0.3", "-n", "'60'")
    (run,) = until(lambda: lab.store.runs(RunQuery(experiment="wire")), what="the run of the call")
    first.kill()
    first.communicate()
    again, failing = smac_run(lab, file, "-x", "0.3", "-n", "60"), smac_run(lab, file, "-x", "0.3", "-n", "95")
    lab.kill_server("mongod")
    time.sleep(1.0)
    lab.up()
    lab.worker()
    line, _ = again.communicate(timeout=90)
    status, _, _, quality, seed, said = line.removeprefix("Result of algorithm run: ").strip().split(", ")
    assert (status, seed, said) == ("SAT", "-1", f"run {run.id}")
    assert abs(float(quality) - 0.35) < 1e-9
    line, _ = failing.communicate(timeout=90)
    assert line.startswith("Result of algorithm run: CRASHED, ")
    assert ", 100.0, -1, " in line
    assert len(lab.store.runs(RunQuery(experiment="wire"))) == 2


def test_handles_outlive_servers_that_are_away(lab: Lab) -> None:
    script = f"""
import json, labq
table = {{"name": "hands", "command": [{sys.executable!r}, {str(HERE / "study_steps.py")!r}],
         "params": {{"pause_s": 0.2, "n": 50}}, "sweep": {{"params": {{"x": [0.3, 0.4, 0.5]}}}}}}
runs = labq.submit_all(table)
print("queued", flush=True)
found = {{run.id: run.result()["val_loss"] for run in labq.as_completed(runs, timeout=90)}}
one = labq.submit(table, {{"x": 0.3}})
assert one in runs
one.report(testerr=0.5)
assert one.result()["testerr"] == 0.5
try:
    labq.submit(table, {{"x": 0.3, "n": 99}}).result(60)
except Exception as error:
    found["failed"] = type(error).__name__
print(json.dumps(found))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=lab.env, cwd=lab.home, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "queued\n"
    lab.kill_server("mongod")
    time.sleep(1.0)
    lab.up()
    lab.worker()
    rest, _ = process.communicate(timeout=120)
    found = json.loads(rest)
    assert found.pop("failed") == "RunFailed"
    assert sorted(found.values()) == sorted((x - 0.3) ** 2 + 0.25 for x in (0.3, 0.4, 0.5))
