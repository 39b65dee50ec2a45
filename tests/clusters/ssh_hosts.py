"""Machines that ssh reaches: real sshds in a network of their own, each with its own processes and its own name."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
from lab import Lab
from partition import THERE, Namespace
from processes import DAEMONS, ClusterMissing, daemon, end, need, until

NAMES = ("gpu1", "gpu2")
_LOGIN = re.compile(r"sshd: \w+(@\S+| \[priv\])?")
_SSHD = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/user_key.pub
SetEnv LABQ_HOME={home}
{more}
"""
_OWN_CGROUP = """\
mkdir -p {groups} && mount -t cgroup2 none {groups} && mkdir -p {groups}/{group} &&
echo $$ >{groups}/{group}/cgroup.procs && exec """
"""What systemd does to its root must not reach the machine that the tests run on."""

_NO_CGROUP = """\
[ ! -d {groups} ] || {{ mount -t cgroup2 none {groups} && find {groups}/{group} -depth -type d -exec rmdir {{}} +; }}
"""
_SYSTEMD = """\
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user/0 /run/sshd && chmod 700 /run/user/0 &&
mount -t cgroup2 none /sys/fs/cgroup &&
mount -t tmpfs none /var/lib/systemd && mkdir /var/lib/systemd/linger && touch /var/lib/systemd/linger/root &&
{ XDG_RUNTIME_DIR=/run/user/0 /lib/systemd/systemd --user & } && """
_CONFIG = """\
Host {name}
    HostName {address}
    Port {port}
    HostKeyAlias {name}
"""
_COMMON = """\
Host *
    User {user}
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""


class SshHosts:
    """Hosts of names and ports of their own. `env`: how `labq` here reaches them."""

    def __init__(self, lab: Lab) -> None:
        need(("sshd", "ssh", "ssh-keygen", "unshare"), "openssh-server openssh-client util-linux")
        if os.geteuid() != 0:
            raise ClusterMissing("only root may make a network of its own for them")
        self.net = Namespace(lab)
        self._sockets = lab.home / "ssh"
        self.folder = Path(tempfile.mkdtemp(prefix="labq-ssh-"))
        self._group = f"labq-test-{os.getpid()}"
        self._ports = {name: 2201 + number for number, name in enumerate(NAMES)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for key in ("host_key", "user_key", "other_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)], check=True, timeout=20
            )
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.write_config()
        self.trust("host_key")
        self.env = {
            "LABQ_SSH": f"ssh -F {self.folder}/config",
            "LABQ_SSH_TIMEOUT_S": "5",
            "LABQ_REMOTE_LABQ": f"{sys.executable} -P -m queueing.cli.main",
        }

    def home(self, name: str) -> Path:
        """labq's folder over there."""
        return self.folder / name

    def write_config(self, more: str = "") -> None:
        """`more` comes first, so it wins."""
        hosts = [_CONFIG.format(name=name, address=THERE, port=port) for name, port in self._ports.items()]
        common = _COMMON.format(folder=self.folder, user=psutil.Process().username())
        (self.folder / "config").write_text("\n".join([more, *hosts, common]))

    def trust(self, key: str) -> None:
        """What the user believes the hosts' key to be."""
        public = (self.folder / f"{key}.pub").read_text()
        (self.folder / "known_hosts").write_text("".join(f"{name} {public}" for name in NAMES))

    def start(self, name: str, more: str = "", *, systemd: bool = False) -> None:
        """Its own processes, its own name; they end with its first one. `systemd`: the user has one, and lingers."""
        file = self.folder / f"sshd-{name}"
        settings = {"folder": self.folder, "home": self.home(name), "more": more}
        file.write_text(_SSHD.format(port=self._ports[name], address=THERE, **settings))
        sshd = shutil.which("sshd", path=DAEMONS)
        alone = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
        begin = f"hostname {name} && exec {sshd} -D -e -f {file}"
        line = [*alone, "sh", "-c", begin]
        if systemd:
            groups = {"groups": self.folder / "cgroups", "group": self._group}
            inner = shlex.join([*alone, "--cgroup", "sh", "-c", _SYSTEMD + begin])
            line = ["unshare", "--mount", "sh", "-c", _OWN_CGROUP.format(**groups) + inner]
        self._running[name] = daemon([*self.net.prefix, *line], self._log(name), os.environ)
        until(lambda: "Server listening" in self._log(name).read_text(), 10, lambda: self._log(name).read_text())

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def switch_off(self, name: str) -> None:
        """As if somebody pulled the plug: all that runs there is gone at once."""
        process = self._running.pop(name, None)
        if process is not None:
            children = psutil.Process(process.pid).children(recursive=True)
            for child in children[:1]:
                child.kill()
            end(process)
            psutil.wait_procs(children, timeout=5)
        self._log(name).unlink(missing_ok=True)

    def on(self, name: str) -> list[psutil.Process]:
        """All processes of that machine."""
        return psutil.Process(self._running[name].pid).children(recursive=True)

    def workers(self, name: str) -> list[psutil.Process]:
        """The workers there: first processes of their sessions."""
        found = []
        for process in self.on(name):
            try:
                words, known = process.cmdline(), process.environ()
            except psutil.Error:
                continue
            if "worker" in words and "LABQ_ALLOCATION" in known and os.getsid(process.pid) == process.pid:
                found.append(process)
        return found

    def logins(self, name: str) -> list[psutil.Process]:
        """sshd's processes for those who are logged in."""
        found = [process for process in self.on(name) if process.name() == "sshd"]
        return [process for process in found if _LOGIN.fullmatch(" ".join(process.cmdline()).strip())]

    def close_connections(self) -> None:
        """Those that labq keeps open from here."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "ssh" and str(self._sockets) in process.cmdline()[0]:
                    process.kill()

    def stop(self) -> None:
        """Leave nothing behind."""
        for name in list(self._running):
            self.switch_off(name)
        self.close_connections()
        groups = {"groups": self.folder / "cgroups", "group": self._group}
        subprocess.run(["unshare", "--mount", "sh", "-c", _NO_CGROUP.format(**groups)], check=False, timeout=20)
        self.net.close()
        shutil.rmtree(self.folder, ignore_errors=True)
