"""`labq exec` in somebody's own batch script, on a real Slurm."""

import subprocess
import sys
from pathlib import Path

from lab import LABQ, Lab
from processes import until
from slurm_cluster import SlurmCluster

from store.runs import Run
from store.states import Reason, State
from store.store import RunQuery

STEPS = Path(__file__).parents[1] / "e2e" / "steps.py"


def script(lab: Lab, steps: int, pause_s: float, *options: str) -> str:
    """As its user has it: set up, run, look at the exit code."""
    params = " ".join(f"--param {one}" for one in ("seed=7", f"steps={steps}", f"pause_s={pause_s}"))
    command = f"{' '.join(LABQ)} exec {' '.join(options)} {params} -- {sys.executable} {STEPS}"
    text = f"#!/bin/bash\n#SBATCH -J LM_miuc\n#SBATCH -o {lab.home}/job-%j.txt\n{command}\necho it ended with $?\n"
    return str(lab.write("train.sbatch", text))


def sbatch(lab: Lab, file: str, *options: str) -> str:
    done = subprocess.run(
        ["sbatch", "--parsable", *options, file], env=lab.env, cwd=lab.home, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def found(lab: Lab) -> Run | None:
    return next(iter(lab.store.runs(RunQuery(experiment="LM_miuc"))), None)


def only(lab: Lab) -> Run:
    (run,) = lab.store.runs(RunQuery(experiment="LM_miuc"))
    return run


def said(lab: Lab, job: str) -> str:
    file = lab.home / f"job-{job}.txt"
    return file.read_text() if file.exists() else ""


def test_a_requeued_job_goes_on_with_its_run_and_ends_as_one_that_nobody_disturbed(
    slurm_lab: Lab, slurm: SlurmCluster
) -> None:
    slurm_lab.enqueue_steps("undisturbed", steps=150, pause_s=0.0)
    slurm_lab.worker("--burst").wait(60)
    (peace,) = slurm_lab.store.runs(RunQuery(experiment="undisturbed"))
    job = sbatch(slurm_lab, script(slurm_lab, 150, 0.1), "--requeue", "--time=10")
    until(lambda: found(slurm_lab), 60, lambda: said(slurm_lab, job))
    slurm_lab.wait_for_checkpoint(only(slurm_lab))
    slurm.run("scontrol", "requeue", job)
    until(lambda: only(slurm_lab).state is State.QUEUED, 60, lambda: str(only(slurm_lab)))
    assert only(slurm_lab).reason is Reason.DRAINED
    until(lambda: slurm.jobs().get(job) == "PENDING", 60, lambda: str(slurm.jobs()))
    slurm.start_again_now(job)
    ended = slurm_lab.wait_until_ended(only(slurm_lab), 120)
    assert (ended.state, ended.attempt, ended.setbacks) == (State.FINISHED, 2, 0)
    assert ended.history[1].resumed_from_step
    assert [one.facts["scheduler"]["job"] for one in ended.history] == [job, job]
    assert slurm_lab.outcome(ended) == slurm_lab.outcome(peace)
    until(lambda: "it ended with 0" in said(slurm_lab, job), 30, lambda: said(slurm_lab, job))
    assert "step 149" in said(slurm_lab, job)


def test_with_requeue_a_run_longer_than_its_job_hops_through_jobs(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    job = sbatch(slurm_lab, script(slurm_lab, 600, 0.1, "--requeue", "--grace", "5s"), "--requeue", "--time=1")
    until(lambda: found(slurm_lab), 60, lambda: said(slurm_lab, job))
    until(lambda: slurm.jobs().get(job) == "PENDING", 100, lambda: f"{slurm.jobs()} {said(slurm_lab, job)}")
    run = only(slurm_lab)
    assert (run.state, run.reason, run.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    slurm.start_again_now(job)
    until(lambda: only(slurm_lab).attempt == 2, 60, lambda: said(slurm_lab, job))
    slurm.run("scancel", job)
    until(lambda: only(slurm_lab).state is State.QUEUED, 60, lambda: said(slurm_lab, job))
    assert only(slurm_lab).history[1].resumed_from_step
