"""A run that diverges is found, stopped and tried anew with a tenth of its rate, whoever is killed meanwhile."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, until

from store.findings import Disease, Severity
from store.runs import Run
from store.states import ENDED, Reason, State
from store.store import RunQuery

HERE = Path(__file__).parent
_NUMBERS = itertools.count()
QUICK = {"LABQ_DIAGNOSE_S": "0.5"}
RULE = '[[diagnosis]]\non = ["divergence", "not-finite"]\nseverity = "severe"\ndo = "requeue"\nchange = {rate = "/ 10"}\nmost = 2\n'


def enqueued(lab: Lab, rules: str, **params: Any) -> Run:
    name = f"rates-{next(_NUMBERS)}"
    given = {"rate": 0.1, "steps": 200, "pause_s": 0.2, **params}
    text = f"""
name = "{name}"
command = ["{sys.executable}", {json.dumps(str(HERE / "rates.py"))}]
[params]
{chr(10).join(f"{key} = {value}" for key, value in given.items())}
{rules}
"""
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


def family(lab: Lab, run: Run) -> dict[float, Run]:
    """All runs of the experiment by their rate."""
    runs = lab.store.runs(RunQuery(experiment=run.experiment))
    found = {one.params["rate"]: one for one in runs}
    assert len(found) == len(runs)
    return found


def all_over(lab: Lab, run: Run) -> dict[float, Run]:
    def over() -> dict[float, Run] | None:
        found = family(lab, run)
        return found if len(found) == 2 and all(one.state in ENDED for one in found.values()) else None

    try:
        return until(over, 100, "the end of both runs")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{family(lab, run)}\n{lab.log_text()}") from error


def told(lab: Lab, run: Run, event: str) -> list[str]:
    return [one.because or one.message for one in lab.store.events(run.id) if one.event == event]


def has_been_treated(lab: Lab, run: Run) -> None:
    found = all_over(lab, run)
    sick, well = found[0.1], found[0.01]
    assert (sick.state, sick.reason) == (State.CANCELLED, Reason.STOPPED)
    assert well.state is State.FINISHED
    assert (sick.provenance["followed_by"], well.provenance["after"]["run"]) == (well.id, sick.id)
    assert well.provenance["after"]["change"] == {"rate": 0.01}
    assert (len(told(lab, sick, "stop")), len(told(lab, sick, "followed"))) == (1, 1)
    diagnosis = lab.store.diagnoses([sick.id])[sick.id]
    worst = next(one for one in diagnosis.findings if one.disease is Disease.DIVERGENCE)
    assert worst.severity is Severity.SEVERE
    assert worst.since_step is not None
    assert 30 <= worst.since_step <= 60
    assert sick.summary["train_loss"].last_step < 150  # it would have gone on for half a minute


def test_a_run_that_diverges_is_stopped_and_tried_anew(lab: Lab) -> None:
    run = enqueued(lab, RULE)
    lab.worker(**QUICK)
    has_been_treated(lab, run)
    shown = lab.labq("show", run.id).stdout
    assert "found        severe: divergence" in shown
    assert "tried anew" in shown
    page = lab.labq("diagnose", run.id, ok=False)
    assert (page.returncode, "divergence" in page.stdout) == (1, True)
    well = family(lab, run)[0.01]
    assert lab.labq("diagnose", well.id).returncode == 0
    whole = json.loads(lab.labq("diagnose", "--json", run.experiment, ok=False).stdout)
    assert whole["diseases"]["divergence"] == [run.id]


@pytest.mark.parametrize(("write", "when"), [("prescribe", "after"), ("add_runs", "after"), ("close_case", "before")])
def test_it_is_done_once_although_the_worker_is_killed_in_it(lab: Lab, write: str, when: str) -> None:
    run = enqueued(lab, RULE, pause_s=0.4)
    with open(lab.home / "processes.log", "ab") as log:
        command = [sys.executable, str(HERE / "deadly_worker.py"), write, when]
        deadly = subprocess.Popen(command, env={**lab.env, **QUICK}, cwd=lab.home, stdout=log, stderr=log)
    lab.processes.append(deadly)
    deadly.wait(timeout=60)
    assert deadly.returncode == -9
    for _ in range(2):
        lab.worker(**QUICK)
    has_been_treated(lab, run)
    until(lambda: not lab.store.cases(10), what="an answer to every case")


def test_findings_come_also_where_a_notifier_looks(lab: Lab) -> None:
    """The worker is told to look once an hour."""
    run = enqueued(lab, "", pause_s=0.3)
    lab.start("notify", **QUICK)
    lab.worker(LABQ_DIAGNOSE_S="3600")
    until(lambda: told(lab, run, "finding"), 60, "a finding")
    assert lab.run(run).state is State.RUNNING
