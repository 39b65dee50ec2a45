"""A lab of real processes for one test: servers, workers, and hands to kill them with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from notify.rules.round import RulesRound
from store.errors import LabqError
from store.mongo import MongoStore, open_store
from store.notices import Notice
from store.runs import Run
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings, load
from store.states import State

HERE = Path(__file__).parent
LABQ = [sys.executable, "-P", "-m", "queueing.cli.main"]
T = TypeVar("T")
LEASE_S = 3.0
"""Rounds of repair may lie 2.6 s apart before they look like an outage: an idle worker's look on a busy machine takes
more than the second that it waits."""


PATIENCE = 3.0 if os.environ.get("CI") else 1.0
"""Where nobody waits for the answer, a slow machine may take its time: a condition that comes late is no failure."""


def until(condition: Callable[[], T], timeout_s: float = 40.0, what: str = "condition") -> T:
    """The first true answer. A store that is away for a moment is no answer."""
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(LabqError, psutil.NoSuchProcess):
            if found := condition():
                return found
        time.sleep(0.02)
    raise AssertionError(f"not in {timeout_s:g} s: {what}")


class Process(subprocess.Popen[bytes]):
    """Waited for with the patience of a slow machine."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        return super().wait(None if timeout is None else timeout * PATIENCE)


class Lab:
    """Short leases, so that a test need not wait for twenty seconds."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="labq-e2e-"))
        self.settings = Settings(home=self.home)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LABQ_")},
            "LABQ_HOME": str(self.home),
            "LABQ_LEASE_S": str(LEASE_S),
            "LABQ_RENEW_S": "0.4",
            "LABQ_REPAIR_S": "0.4",
            "LABQ_LOOK_S": "1",
            "LABQ_SHIP_S": "0.1",
            "LABQ_MONGO_TIMEOUT_S": "2",
            "LABQ_REDIS_TIMEOUT_S": "1",
            "XDG_CONFIG_HOME": str(self.home / "config"),
        }
        self.processes: list[Process] = []
        self._store: MongoStore | None = None
        self.up()

    @property
    def living_s(self) -> float:
        """For how long a worker that was not seen counts as living."""
        return load(self.home, self.env).settings.living_s

    # ── servers ──
    def up(self) -> None:
        lifecycle.up(self.settings)

    @property
    def store(self) -> MongoStore:
        if self._store is None:
            self._store = open_store(places(self.home).mongo_url, "labq", 3.0)
        return self._store

    def kill_server(self, name: str) -> None:
        kill(lifecycle.running(self.settings)[name])

    def delete_redis_data(self) -> None:
        shutil.rmtree(places(self.home).redis_data)

    def forget(self) -> None:
        """All runs, and whatever belongs to them."""
        for name in self.store.database.list_collection_names(filter={"type": "collection"}):
            if name != "meta" and not name.startswith("system."):
                self.store.database[name].delete_many({})

    # ── processes ──
    def labq(self, *arguments: str, cwd: Path | None = None, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*LABQ, *arguments],
            env=self.env,
            cwd=cwd or self.home,
            capture_output=True,
            text=True,
            timeout=120 * PATIENCE,
        )
        if ok:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, *arguments: str, **env: str) -> Process:
        with open(self.home / "processes.log", "ab") as log:
            process = Process(
                [*LABQ, *arguments],
                env={**self.env, **env},
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self, *arguments: str, **env: str) -> Process:
        return self.start("worker", *arguments, **env)

    def log_text(self) -> str:
        file = self.home / "processes.log"
        return file.read_text() if file.exists() else ""

    def close(self, *, keep: bool = False) -> None:
        """End everything; with `keep` the folder stays for whoever wants to look at it."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        if self._store is not None:
            self._store.close()
        lifecycle.down(self.settings)
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)

    # ── experiments ──
    def write(self, name: str, text: str) -> Path:
        file = self.home / name
        file.write_text(text)
        return file

    def enqueue_steps(self, name: str, *, steps: int = 120, pause_s: float = 0.02, more: str = "") -> Run:
        script = json.dumps(str(HERE / "steps.py"))
        text = f"""
name = "{name}"
command = ["{sys.executable}", {script}]
{more}
[params]
seed = 7
steps = {steps}
pause_s = {pause_s}
[notify]
to = ["me@lab.example"]
"""
        done = self.labq("enqueue", "--json", str(self.write(f"{name}.toml", text)))
        (run_id,) = json.loads(done.stdout)["ids"]
        return self.store.run(run_id)

    # ── what happened ──
    def run(self, run: Run) -> Run:
        return self.store.run(run.id)

    def wait_for_checkpoint(self, run: Run, *, attempt: int = 1) -> Run:
        def reached() -> Run | None:
            now = self.run(run)
            return now if now.checkpoint and now.checkpoint.attempt >= attempt and now.state is State.RUNNING else None

        try:
            return until(reached, what=f"a checkpoint of {run.experiment}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run(run)}\n{self.log_text()}") from error

    def wait_until_ended(self, run: Run, timeout_s: float = 60.0) -> Run:
        def over() -> Run | None:
            now = self.run(run)
            return now if now.state in (State.FINISHED, State.FAILED, State.CANCELLED) else None

        try:
            return until(over, timeout_s, what=f"the end of {run.experiment}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run(run)}\n{self.log_text()}") from error

    def outcome(self, run: Run) -> dict[str, Any]:
        """Everything that must be equal, bit for bit, to a run that was never disturbed."""
        ended = self.run(run)
        assert ended.checkpoint is not None
        names = [name for name in self.store.series_names(run.id) if not name.startswith("clock_")]
        series = {name: self.store.series(run.id, name) for name in names}
        return {
            "state": ended.state,
            "weights": ended.checkpoint.sha256,
            "step": ended.checkpoint.step,
            "series": {name: (one.steps, [value.hex() for value in one.values]) for name, one in series.items()},
            "summary": {name: (s.last, s.count, s.min, s.max) for name, s in ended.summary.items() if name in names},
        }

    def notices(self, run: Run) -> list[Notice]:
        """What somebody is told of the run, once a notifier has looked."""
        RulesRound(self.store, self.settings, "test").once(alone=True)
        return self.store.notices(run.id)

    def settles(self, run: Run) -> int:
        return self.store.database["events"].count_documents({"run": run.id, "event": {"$in": ["finished", "failed"]}})


def supervisor_of(worker: subprocess.Popen[bytes]) -> psutil.Process:
    """The forked process that holds a run."""
    return until(lambda: next(iter(psutil.Process(worker.pid).children()), None), what="a supervisor")


def child_of(worker: subprocess.Popen[bytes]) -> psutil.Process:
    """The training itself."""

    def find() -> psutil.Process | None:
        children = supervisor_of(worker).children()
        return next((p for p in children if "steps.py" in " ".join(p.cmdline()) or "trainer" in p.cmdline()), None)

    return until(find, what="a child")


def kill(process: psutil.Process) -> None:
    """SIGKILL, and gone; it may have gone by itself a moment ago."""
    with suppress(psutil.NoSuchProcess):
        process.kill()
    until(lambda: not is_alive(process), what=f"the death of {process}")


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
