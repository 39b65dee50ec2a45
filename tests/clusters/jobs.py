"""Somebody's own job script around `labq worker`, and runs for it."""

import json
import subprocess
import sys
from shlex import join

from lab import HERE, LABQ, Lab

from store.runs import Run

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(600)
"""


def sbatch(lab: Lab, *options: str, worker: tuple[str, ...] = ()) -> str:
    """The job's number. The batch shell becomes the worker: signals to it alone reach somebody."""
    script = _script(worker)
    return _submitted(lab, ["sbatch", "--parsable", "-o", f"{lab.home}/job-%j.txt", *options], script)


def qsub(lab: Lab, *options: str, worker: tuple[str, ...] = ()) -> str:
    """The same for SGE."""
    script = _script(worker)
    return _submitted(
        lab, ["qsub", "-terse", "-N", "worker", "-V", "-j", "y", "-o", f"{lab.home}/job-$JOB_ID.txt", *options], script
    )


def _script(worker: tuple[str, ...]) -> str:
    """As docs/time.md has it: a warning before labq listens must not end it."""
    return f"#!/bin/sh\ntrap '' USR1 USR2\nexec {join([*LABQ, 'worker', *worker])}\n"


def _submitted(lab: Lab, command: list[str], script: str) -> str:
    done = subprocess.run(command, input=script, env=lab.env, capture_output=True, text=True, timeout=30, cwd=lab.home)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def said(lab: Lab) -> str:
    """What all jobs wrote."""
    return "\n".join(f"── {file.name}\n{file.read_text()}" for file in sorted(lab.home.glob("job-*.txt")))


def deaf(lab: Lab, name: str) -> Run:
    """A script that does not listen, with ten minutes to leave."""
    command = json.dumps([sys.executable, str(lab.write(f"{name}.py", DEAF))])
    text = f'name = "{name}"\ncommand = {command}\ngrace = "10m"\n'
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


def steps(lab: Lab, name: str, *, seconds: float, pause_s: float = 0.1) -> Run:
    """A training of so many seconds: its bits depend on nothing but its steps."""
    assert HERE.is_dir()
    return lab.enqueue_steps(name, steps=round(seconds / pause_s), pause_s=pause_s)
