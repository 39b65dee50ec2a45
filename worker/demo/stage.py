"""The temporary place: servers, workers and a notifier that end with it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from store.connect import connect
from store.mongo import MongoStore
from store.servers import lifecycle
from store.settings import Settings
from worker.linux import dies_with_me

LEASE_S, RENEW_S, REPAIR_S, LOOK_S, SHIP_S = 3.0, 0.5, 0.5, 1.0, 0.2
_LEAVE_S = 20.0


class Stage:
    """Use as a context: leaving it stops every process and removes the folder, whatever happened."""

    def __enter__(self) -> "Stage":
        self.home = Path(tempfile.mkdtemp(prefix="labq-demo-"))
        self.settings = Settings(
            home=self.home, lease_s=LEASE_S, renew_s=RENEW_S, repair_s=REPAIR_S, look_s=LOOK_S, ship_s=SHIP_S
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        self._store: MongoStore | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            _leave(process)
        if self._store is not None:
            self._store.close()
        lifecycle.down(self.settings)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def store(self) -> MongoStore:
        """Connected at first use, when the servers are up."""
        if self._store is None:
            self._store = connect(self.settings)
        return self._store

    def servers(self) -> None:
        """Redis and MongoDB, on sockets in the temporary folder."""
        lifecycle.up(self.settings)

    def labq(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A labq command, as a user types it, run to its end."""
        return subprocess.run(
            _command(arguments), env=self._env(), cwd=self.home, capture_output=True, text=True, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A labq command that stays: it ends when we do, even by SIGKILL."""
        with open(self.home / "processes.log", "ab") as log:
            process = subprocess.Popen(
                _command(arguments),
                env=self._env(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_me(),
            )
        self._processes.append(process)
        return process

    def log(self) -> str:
        """What workers and notifier wrote."""
        file = self.home / "processes.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _env(self) -> dict[str, str]:
        """None of the user's own settings: this is a world of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LABQ_")}
        mine = {"HOME": self.home, "LEASE_S": LEASE_S, "RENEW_S": RENEW_S, "REPAIR_S": REPAIR_S}
        mine |= {"LOOK_S": LOOK_S, "SHIP_S": SHIP_S, "NOTIFY_POLL_S": 0.5}
        no_config = {"XDG_CONFIG_HOME": str(self.home / "config")}
        return kept | {f"LABQ_{name}": str(value) for name, value in mine.items()} | no_config


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", "queueing.cli.main", *arguments]


def _leave(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
