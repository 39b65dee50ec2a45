"""A real Slurm of this machine's user, for tests: own munge, own ports, own folder, several nodes on one host.

Partitions: `normal` (the default), `low` (its jobs are requeued when `normal` needs the place), `short` (one minute).
A GPU is a link to /dev/null: slurmd takes character devices only. What it hands out is CUDA_VISIBLE_DEVICES, as real.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from processes import ClusterMissing, daemon, end, end_those_with, free_ports, need, until

PROGRAMMES = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
PACKAGES = "slurm-wlm munge"
OVER = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "OUT_OF_MEMORY",
    "BOOT_FAIL",
    "DEADLINE",
}
_START_S = 30.0
_COMMAND_S = 20.0


class SlurmCluster:
    """Started by `start`; `env` is what its clients need. Jobs of a test are cleared away with `clear`."""

    def __init__(self, *, nodes: int = 3, cpus: int = 4, gpus: int = 2, more: str = "") -> None:
        """`more`: further lines of slurm.conf; they may replace none of those below."""
        need(PROGRAMMES, PACKAGES)
        self.folder = Path(tempfile.mkdtemp(prefix="labq-slurm-"))
        self.folder.chmod(0o755)
        self.nodes = tuple(f"n{number}" for number in range(1, nodes + 1))
        self._cpus, self._gpus, self._more = cpus, gpus, more
        self._ports = free_ports(nodes + 1)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self._write()

    # ── life ──
    def start(self) -> None:
        """Until every node waits for jobs. Raises ClusterMissing, with the daemons' own words, and leaves nothing."""
        try:
            self._start_munge()
            self.start_controller()
            for node in self.nodes:
                self.start_node(node)
            until(self._is_ready, _START_S, self._complaints)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            complaints = self._complaints()
            self.stop()
            raise ClusterMissing(f"Slurm does not start: {error}; {complaints}") from error

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        files = {"key-file": "munge.key", "socket": "socket", "seed-file": "seed", "pid-file": "pid", "log-file": "log"}
        options = [f"--{option}={munge / file}" for option, file in files.items()]
        self._start("munged", ["munged", "--foreground", "--force", "--num-threads=2", *options])
        until((munge / "socket").exists, _START_S, "munged's socket")

    def start_controller(self) -> None:
        """Also after `kill`."""
        self._start("slurmctld", ["slurmctld", "-D", "-i"])

    def start_node(self, node: str) -> None:
        """Also after `kill`."""
        self._start(node, ["slurmd", "-D", "-N", node])

    def kill(self, name: str) -> None:
        """SIGKILL to `slurmctld`, `munged` or a node's slurmd; its jobs live on, as they do in a real cluster."""
        process = self._daemons.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End jobs and daemons, remove the folder."""
        if "slurmctld" in self._daemons:
            with suppress(AssertionError, subprocess.SubprocessError):
                self.clear()
        for name in (*self.nodes, "slurmctld", "munged"):
            if (process := self._daemons.pop(name, None)) is not None:
                end(process)
        end_those_with("SLURM_CONF", self.env["SLURM_CONF"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, command: list[str]) -> None:
        self._daemons[name] = daemon(command, self.folder / f"{name}.out", self.env)

    def _is_ready(self) -> bool:
        if dead := [name for name, process in self._daemons.items() if process.poll() is not None]:
            raise AssertionError(f"ended at once: {', '.join(dead)}")
        ready = self.run("sinfo", "-h", "-N", "-p", "normal", "-t", "idle", "-o", "%N", ok=False).stdout.split()
        return set(ready) == set(self.nodes)

    def _complaints(self) -> str:
        lines = [
            line for log in sorted(self.folder.glob("*.out")) for line in log.read_text(errors="replace").splitlines()
        ]
        bad = [line for line in lines if "fatal" in line or "error" in line]
        return " | ".join((bad or lines)[-5:])

    # ── use ──
    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """A Slurm command, its output as text."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        assert done.returncode == 0 or not ok, (command, done.stdout, done.stderr)
        return done

    def jobs(self, *options: str) -> dict[str, str]:
        """State of each job and array task that is still in the queue, such as {"12_1": "RUNNING"}."""
        lines = self.run("squeue", "-h", "-r", "-o", "%i %T", *options).stdout.splitlines()
        return dict(line.split() for line in lines)

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says, ended jobs included for some minutes: {"JobState": "COMPLETED", …}."""
        words = self.run("scontrol", "show", "job", "-o", number).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def is_over(self, number: str) -> bool:
        """Whether it has ended for good. A running job shows other words than RUNNING too, such as SIGNALING."""
        return self.job(number)["JobState"] in OVER

    def start_again_now(self, number: str) -> None:
        """A requeued job waits for two minutes of itself. Not after the death of a node: its late end would be ours.

        Never in the second of its end: its node knows ends by the second, and takes the new start for the old one
        ("Job credential revoked"). Said again for a few seconds: while Slurm still cleans up behind the job it sets
        the two minutes anew.
        """
        time.sleep(2.0)
        for _ in range(8):
            self.run("scontrol", "update", f"jobid={number}", "starttime=now", ok=False)
            time.sleep(1.0)
            if self.jobs().get(number) != "PENDING":
                return

    def clear(self) -> None:
        """Cancel every job, and wait until all nodes are free."""
        user = getpass.getuser()
        self.run("scancel", "--full", "--signal=KILL", "--state=RUNNING", f"--user={user}", ok=False)
        self.run("scancel", f"--user={user}", ok=False)
        until(lambda: not self.jobs(), 30, lambda: f"an empty queue: {self.jobs()}")
        until(self._is_ready, 30, "idle nodes")

    # ── files ──
    def _write(self) -> None:
        for name in ("munge", "state", "spool", "dev"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        (self.folder / "slurm.conf").write_text(self._slurm_conf())
        (self.folder / "gres.conf").write_text("".join(self._gres_lines()))
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _gres_lines(self) -> list[str]:
        lines = []
        for node in self.nodes:
            (self.folder / "dev" / node).mkdir()
            for number in range(self._gpus):
                gpu = self.folder / "dev" / node / f"gpu{number}"
                gpu.symlink_to("/dev/null")
                lines.append(f"NodeName={node} Name=gpu Type=fake File={gpu}\n")
        return lines

    def _slurm_conf(self) -> str:
        user, host = getpass.getuser(), socket.gethostname().split(".")[0]
        controller, *ports = self._ports
        gres = f"Gres=gpu:fake:{self._gpus}" if self._gpus else ""
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self._cpus} RealMemory=4000 {gres}"
            for node, port in zip(self.nodes, ports, strict=True)
        )
        return f"""
ClusterName=labqtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
CredType=cred/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=300
MaxArraySize=8
SlurmctldTimeout=30
SlurmdTimeout=30
MessageTimeout=10
DefMemPerCPU=100
GresTypes=gpu
{nodes}
PartitionName=normal Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=01:00:00 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low    Nodes=ALL MaxTime=INFINITE DefaultTime=01:00:00 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=short  Nodes=ALL MaxTime=00:01:00 State=UP PriorityTier=10 PreemptMode=OFF
{self._more}
"""
