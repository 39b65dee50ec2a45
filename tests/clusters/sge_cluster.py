"""A real SGE (Son of Grid Engine 8.1.9, as Debian has it) of this machine's user: own SGE_ROOT, own ports, no service.

Queue `all.q`, parallel environment `smp`, consumable `gpu`. SGE knows one execution daemon per host, so one node.
SGE hands out no GPUs of its own: it counts them.
"""

import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from processes import ClusterMissing, daemon, end, end_those_with, free_ports, need, until

PROGRAMMES = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qdel", "qconf")
PACKAGES = "gridengine-master gridengine-exec gridengine-client"
NOTIFY_S = 5
"""From the notifying signal to SIGKILL."""
_START_S = 60.0
_COMMAND_S = 20.0
_TOOLS = Path("/usr/lib/gridengine")
_SHARE = Path("/usr/share/gridengine")


class SgeCluster:
    """Started by `start`; `env` is what its clients need. Jobs of a test are cleared away with `clear`."""

    def __init__(self, *, slots: int = 4, gpus: int = 2, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: lines of the global configuration to be otherwise, such as {"max_u_jobs": "3"}."""
        need(PROGRAMMES, PACKAGES)
        if not (_TOOLS / "spooldefaults").exists() or not (_SHARE / "default-configuration").exists():
            raise ClusterMissing(f"an SGE that is not Debian's: no {_TOOLS}/spooldefaults")
        self.folder = Path(tempfile.mkdtemp(prefix="labq-sge-"))
        self.folder.chmod(0o755)
        self._slots, self._gpus, self._settings = slots, gpus, dict(settings or {})
        self._host = socket.gethostname().split(".")[0]
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        master, execution = free_ports(2)
        self.env = {
            **os.environ,
            "SGE_ROOT": str(self.folder / "root"),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(master),
            "SGE_EXECD_PORT": str(execution),
            "SGE_CLUSTER_NAME": f"t{master}",
            "SGE_SINGLE_LINE": "1",
        }
        self._common = self.folder / "root" / "default" / "common"

    # ── life ──
    def start(self) -> None:
        """Until the queue takes jobs. Raises ClusterMissing, with the daemons' own words, and leaves nothing."""
        try:
            self._write()
            self._spool()
            self._start("sge_qmaster")
            until(lambda: self.run("qconf", "-sh", ok=False).returncode == 0, _START_S, self._complaints)
            self._configure()
            self._start("sge_execd")
            until(lambda: self.run("qconf", "-sel", ok=False).stdout.strip(), _START_S, self._complaints)
            self._add_queue()
            until(self._is_ready, _START_S, self._complaints)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            complaints = self._complaints()
            self.stop()
            raise ClusterMissing(f"SGE does not start: {error}; {complaints}") from error

    def stop(self) -> None:
        """End jobs and daemons, remove the folder."""
        if "sge_execd" in self._daemons:
            with suppress(AssertionError, subprocess.SubprocessError):
                self.clear()
        for name in ("sge_execd", "sge_qmaster"):
            if (process := self._daemons.pop(name, None)) is not None:
                end(process, patience_s=1)  # its data goes anyway; of itself it would take ten seconds
        end_those_with("SGE_ROOT", self.env["SGE_ROOT"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str) -> None:
        self._daemons[name] = daemon([name], self.folder / f"{name}.out", {**self.env, "SGE_ND": "1"})

    def _is_ready(self) -> bool:
        found = self.run("qstat", "-f", ok=False).stdout
        return bool(re.search(r"^all\.q\S*\s.*lx-\w+ *$", found, re.MULTILINE))

    def _complaints(self) -> str:
        files = [*self.folder.glob("*.out"), *self.folder.glob("spool/qmaster/messages")]
        lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return " | ".join(lines[-5:])

    # ── use ──
    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """An SGE command, its output as text."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        assert done.returncode == 0 or not ok, (command, done.stdout, done.stderr)
        return done

    def jobs(self) -> dict[str, str]:
        """State letters of every job in the queue by number, such as {"3": "qw"}; of an array the last line counts."""
        lines = [line.split() for line in self.run("qstat", "-u", "*", "-g", "d").stdout.splitlines()[2:]]
        return {words[0]: words[4] for words in lines if words}

    def accounts(self, number: str) -> dict[str, str]:
        """What `qacct` remembers of an ended job: {"exit_status": "0", "failed": "0", …}; empty while it runs."""
        lines = self.run("qacct", "-j", number, ok=False).stdout.splitlines()
        pairs = [line.strip().split(maxsplit=1) for line in lines]
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    def clear(self) -> None:
        """Delete every job, and wait until the queue is empty."""
        if self.jobs():
            self.run("qdel", "-f", "-u", "*", ok=False)
        until(lambda: not self.jobs(), 40, lambda: f"an empty queue: {self.jobs()}")

    # ── files and set-up ──
    def _write(self) -> None:
        self._common.mkdir(parents=True)
        for name in ("qmaster/job_scripts", "execd", "db"):
            (self.folder / "spool" / name).mkdir(parents=True)
        for name in ("bin", "lib", "util", "utilbin"):
            (self.folder / "root" / name).symlink_to(Path("/var/lib/gridengine") / name)
        # Connections come from 127.0.0.1, whose name is localhost.
        (self._common / "host_aliases").write_text(f"{self._host} localhost\n")
        (self._common / "act_qmaster").write_text(f"{self._host}\n")
        (self._common / "cluster_name").write_text(f"{self.env['SGE_CLUSTER_NAME']}\n")
        (self._common / "bootstrap").write_text(f"""\
admin_user              {getpass.getuser()}
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         {self.folder}/spool/db
binary_path             /usr/sbin
qmaster_spool_dir       {self.folder}/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
""")

    def _spool(self) -> None:
        """The database of the qmaster, with a configuration that is quick and lets every user run jobs."""
        chosen = {
            "execd_spool_dir": f"{self.folder}/spool/execd",
            "mailer": "/bin/true",
            "min_uid": "0",
            "min_gid": "0",
            "load_report_time": "00:00:05",
            "max_unheard": "00:00:30",
            "shell_start_mode": "unix_behavior",
            "reporting_params": "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:01 "
            "joblog=false sharelog=00:00:00",
            "execd_params": "ENABLE_ADDGRP_KILL=true",
            "qmaster_params": "ENABLE_RESCHEDULE_KILL=true",
            **self._settings,
        }
        text = _with_values((_SHARE / "default-configuration").read_text(), chosen)
        self._file("global.conf", text)
        database = f"{self.folder}/spool/db"
        self._tool("spoolinit", "berkeleydb", "libspoolb", database, "init")
        self._tool("spooldefaults", "configuration", str(self.folder / "global.conf"))
        self._tool("spooldefaults", "complexes", str(_SHARE / "util/resources/centry"))
        self._tool("spooldefaults", "usersets", str(_SHARE / "util/resources/usersets"))
        self._tool("spooldefaults", "managers", getpass.getuser())

    def _tool(self, name: str, *arguments: str) -> None:
        env = {**self.env, "LD_LIBRARY_PATH": str(_TOOLS)}
        command = [str(_TOOLS / name), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def _configure(self) -> None:
        self.run("qconf", "-ah", self._host, ok=False)  # it may be known already
        self.run("qconf", "-as", self._host, ok=False)
        quick = {
            "schedule_interval": "0:0:1",
            "flush_submit_sec": "1",
            "flush_finish_sec": "1",
            "load_formula": "slots",
            "job_load_adjustments": "NONE",
        }
        self.run("qconf", "-Msconf", self._file("scheduler", _with_values(self.run("qconf", "-ssconf").stdout, quick)))
        complexes = self.run("qconf", "-sc").stdout.splitlines()[:-1]
        self.run("qconf", "-Mc", self._file("complexes", "\n".join([*complexes, "gpu gpu INT <= YES YES 0 0", ""])))
        self.run("qconf", "-Ahgrp", self._file("hosts", f"group_name @allhosts\nhostlist {self._host}\n"))
        self.run("qconf", "-Ap", str(_SHARE / "util/resources/pe/smp"))

    def _add_queue(self) -> None:
        self.run("qconf", "-rattr", "exechost", "complex_values", f"slots={self._slots},gpu={self._gpus}", self._host)
        chosen = {
            "qname": "all.q",
            "hostlist": "@allhosts",
            "slots": str(self._slots),
            "pe_list": "smp",
            "rerun": "FALSE",
            "notify": f"00:00:{NOTIFY_S:02}",
            "load_thresholds": "NONE",
            "shell": "/bin/bash",
            "shell_start_mode": "unix_behavior",
            "tmpdir": "/tmp",
        }
        self.run("qconf", "-Aq", self._file("queue", _with_values(self.run("qconf", "-sq").stdout, chosen)))

    def _file(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(text)
        return str(file)


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """A configuration of `name value` lines with some values replaced."""
    for name, value in values.items():
        text, count = re.subn(rf"^{name}\s.*$", f"{name} {value}", text, flags=re.MULTILINE)
        assert count == 1, f"{name} is in no line, or in several"
    return text
