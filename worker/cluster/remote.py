"""A machine that ssh reaches, as a cluster that has a place for everybody."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from store.allocations import Allocation, Phase
from store.connect import mongo_url, redis_url
from store.errors import ExitCode, SchedulerMissing, SchedulerUnavailable, SubmissionRefused, UserError
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.cluster import Job
from worker.cluster.command import Answer
from worker.cluster.far import MARK, PROTOCOL
from worker.cluster.handing import handed_over
from worker.cluster.local import MOST
from worker.cluster.place import Batch, Place
from worker.cluster.probe import absent
from worker.cluster.script import ssh_script
from worker.cluster.ssh import Call, Ssh, failure, remote_command
from worker.tunnel.state import Servers, through_tunnel

_START_S = 60.0
"""A machine whose disk is busy takes its time to start Python."""


class Remote:
    """One host. It is asked over one `Ssh`, which several may share."""

    scheduler = Scheduler.SSH
    first_task = 0

    def __init__(self, settings: Settings, host: str, ssh: Ssh | None = None) -> None:
        self._settings, self._host = settings, host
        self._ssh = ssh or Ssh(settings)
        self._jobs: list[Job] | None = None
        self.hello: Mapping[str, Any] = {}

    # ── talking ──
    def ask(self, do: str, *, patience_s: float = _START_S, **more: Any) -> dict[str, Any]:
        """What labq over there answers. Raises SchedulerMissing, SchedulerUnavailable, UserError."""
        plain, secret = handed_to(self._settings, self._host)
        request = {"protocol": PROTOCOL, "do": do, "env": {**plain, **secret}, **more}
        command = f"{remote_command(self._settings.remote_labq)} workers far"
        call = Call(host=self._host, remote=command, stdin=json.dumps(request), patience_s=patience_s)
        said = self._ssh.call(call)
        answer = read_answer(said)
        if answer is None:
            raise self._silence(said)
        if "error" in answer:
            raise _raised(str(answer["error"]), int(answer.get("code", 1)))
        return answer

    def _silence(self, said: Answer) -> SchedulerUnavailable | SchedulerMissing:
        """Why there was no answer: ssh, or no labq there."""
        if said.code == 255:
            return failure(self._host, said)
        return absent(self._ssh, self._host, self._settings.remote_labq, said)

    def meet(self) -> None:
        """Who is there, and what it has of ours. Raises as `ask`."""
        self._learn(self.ask("hello"))

    def _learn(self, answer: Mapping[str, Any]) -> None:
        self.hello = {**self.hello, **answer}
        self._jobs = [read_job(one, str(answer["host"])) for one in answer["jobs"]]

    # ── as a cluster ──
    def name(self) -> str:
        """What ssh calls it."""
        return self._host

    def most_at_once(self) -> int:
        """More on one machine would be a mistake."""
        return MOST

    def hosts(self, _place: Place, /) -> frozenset[str]:
        """What it calls itself."""
        return frozenset({str(self.hello["host"])}) if self.hello else frozenset()

    def check(self, _place: Place, /) -> None:
        """Whatever a machine lacks, its worker does not offer."""

    def script(self, place: Place, batch: Batch) -> str:
        """A shell script; `$1` is the number of the worker."""
        return ssh_script(place, batch)

    def submit(self, script: str, submission: str, count: int, env: Mapping[str, str]) -> list[str]:
        """`env`, which holds passwords, goes over there with the script, by stdin."""
        answer = self.ask("start", script=script, submission=submission, count=count, secrets=dict(env))
        self._learn(answer)
        return [str(number) for number in answer["numbers"]]

    def jobs(self) -> list[Job]:
        """This user's workers there, as they are now."""
        if self._jobs is None:
            self.meet()
        found, self._jobs = self._jobs or [], None
        return found

    def keep_from_coming_back(self, numbers: Sequence[str]) -> None:
        """Nobody starts them again."""

    def cancel(self, numbers: Sequence[str]) -> None:
        """SIGTERM: what they run checkpoints and goes back to the queue."""
        if numbers:
            self.ask("cancel", numbers=list(numbers))


def handed_to(settings: Settings, host: str) -> tuple[dict[str, str], dict[str, str]]:
    """What `handed_over` hands, and always the servers: through the host's tunnel where one is open."""
    servers = through_tunnel(settings, host) or Servers(mongo_url=mongo_url(settings), redis_url=redis_url(settings))
    plain, secret = handed_over(replace(settings, mongo_url=servers.mongo_url, redis_url=servers.redis_url))
    del plain["LABQ_HOME"]  # a folder of this machine
    return plain | ({"LABQ_HOME": settings.remote_home} if settings.remote_home else {}), secret


def read_answer(said: Answer) -> dict[str, Any] | None:
    """The line with the mark."""
    for line in reversed(said.out.splitlines()):
        if line.startswith(MARK):
            try:
                answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
            except ValueError:
                return None
            return answer
    return None


def read_job(told: Mapping[str, Any], host: str) -> Job:
    """One of theirs."""
    return Job(
        number=str(told["number"]),
        title=str(told["title"]),
        task=int(told["task"]),
        phase=Phase(told["phase"]),
        node=host,
    )


def check_is_same(known: Sequence[Allocation], jobs_host: str) -> None:
    """A name may mean another machine than it did, or does elsewhere. Raises SchedulerUnavailable."""
    for one in known:
        if not one.is_over and one.node and one.node != jobs_host:
            raise SchedulerUnavailable(
                f"it is the machine {jobs_host} now, but {one.id} was started on {one.node}: is ~/.ssh/config another?"
            )


def _raised(text: str, code: int) -> Exception:
    if code == ExitCode.UNAVAILABLE:
        return SchedulerUnavailable(text)
    return UserError(text) if code == ExitCode.USER_ERROR else SubmissionRefused(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What `--dry-run` shows of one host."""

    line: str
    script: str


def shown(settings: Settings, host: str, ssh: Ssh, script: str) -> Shown:
    """The command line, word for word, and the script that goes over it."""
    command = f"{remote_command(settings.remote_labq)} workers far"
    return Shown(line=shlex.join(ssh.line(host, command)), script=script)
