"""Scripts of somebody's own: `labq exec` started as a shell would, and what came of it."""

import subprocess
import sys
from pathlib import Path

import psutil
from lab import HERE, LABQ, Lab, Process, until

from store.runs import Run
from store.store import RunQuery

STEPS = [sys.executable, str(HERE / "steps.py")]


class Started:
    """A process with its stdout and stderr in files of its own."""

    def __init__(self, lab: Lab, command: list[str], env: dict[str, str]) -> None:
        self._lab = lab
        self.out, self.err = (lab.home / f"own-{len(lab.processes)}.{kind}" for kind in ("out", "err"))
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = Process(
                command,
                env={**lab.env, **env},
                cwd=lab.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        lab.processes.append(self.process)

    def said(self) -> str:
        return f"{self.out.read_text()}\n{self.err.read_text()}"

    def until_it_says(self, text: str) -> None:
        until(lambda: text in self.said() or self.process.poll() is not None, 60, f"{text!r} in: {self.said()}")
        assert text in self.said(), self.said()

    def code(self, timeout_s: float = 90) -> int:
        return self.process.wait(timeout_s)

    @property
    def supervisor(self) -> psutil.Process:
        return until(lambda: next(iter(psutil.Process(self.process.pid).children()), None), what="a supervisor")

    @property
    def programme(self) -> psutil.Process:
        return until(lambda: next(iter(self.supervisor.children()), None), what="a programme")


def begin(lab: Lab, *arguments: str, **env: str) -> Started:
    """`labq exec ARGUMENTS`"""
    return Started(lab, [*LABQ, "exec", *arguments], env)


def steps(lab: Lab, name: str, *options: str, pause_s: float = 0.02, **env: str) -> Started:
    """The training that anyone can check, of 120 steps."""
    params = [f"--param={one}" for one in ("seed=7", "steps=120", f"pause_s={pause_s}")]
    return begin(lab, "--name", name, *params, *options, "--", *STEPS, **env)


def runs(lab: Lab, experiment: str) -> list[Run]:
    return lab.store.runs(RunQuery(experiment=experiment))


def only(lab: Lab, experiment: str) -> Run:
    (run,) = runs(lab, experiment)
    return run


def bash(lab: Lab, text: str, *arguments: str, **env: str) -> Started:
    """A script of bash in which `labq` is ours."""
    file = lab.home / f"script-{len(lab.processes)}.sh"
    file.write_text(f'labq() {{ "{LABQ[0]}" {" ".join(LABQ[1:])} "$@"; }}\n{text}\n')
    return Started(lab, ["bash", str(file), *arguments], env)


def folders(lab: Lab) -> list[Path]:
    return list((lab.home / "scripts").glob("*/*-*"))
