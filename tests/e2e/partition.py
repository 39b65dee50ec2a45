"""Ways to cut one worker off from the servers: a network of its own whose packets are dropped, or a relay."""

import os
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Protocol

import pytest
from lab import Lab
from lines import Flow, Network

from store.servers.places import places

_NET = f"198.19.{os.getpid() % 256}"  # kept for benchmarks (RFC 2544): nobody's network
HERE, THERE = f"{_NET}.1", f"{_NET}.2"


class Cut(Protocol):
    """The network between one worker and the servers."""

    env: dict[str, str]
    prefix: tuple[str, ...]

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""

    def heal(self) -> None:
        """As before."""

    def close(self) -> None:
        """Leave nothing behind."""


class Relay:
    """Works everywhere: what the relay swallows comes out once it is healed, as TCP sends again what was lost."""

    prefix: tuple[str, ...] = ()

    def __init__(self, lab: Lab, host: str = "127.0.0.1") -> None:
        where = places(lab.home)
        self._network = Network()
        ports = {"mongo": free_port(host), "redis": free_port(host)}
        self._lines = [
            self._network.lay((host, ports["mongo"]), where.mongo_socket),
            self._network.lay((host, ports["redis"]), where.redis_socket),
        ]
        self.env = {
            # Direct: the replica set would tell its own address, past the line.
            "LABQ_MONGO_URL": f"mongodb://{host}:{ports['mongo']}/?directConnection=true",
            "LABQ_REDIS_URL": f"redis://{host}:{ports['redis']}/0",
            "LABQ_HOME": str(lab.home / f"far-{uuid.uuid4().hex[:4]}"),
        }

    def cut(self) -> None:
        self._network.turn(self._lines, Flow.HOLE)

    def heal(self) -> None:
        self._network.turn(self._lines, Flow.OPEN)

    def close(self) -> None:
        self._network.close()


class Namespace:
    """A network namespace with a virtual cable to ours. Its firewall drops every packet when it is cut."""

    def __init__(self, lab: Lab) -> None:
        self._name = f"labq-{uuid.uuid4().hex[:6]}"
        self.prefix = ("ip", "netns", "exec", self._name)
        allowed_or_skip(self._name)
        cable = f"lq{self._name[-6:]}"
        run("ip", "link", "add", cable, "type", "veth", "peer", "name", "far", "netns", self._name)
        run("ip", "addr", "add", f"{HERE}/30", "dev", cable)
        run("ip", "link", "set", cable, "up")
        run(*self.prefix, "ip", "addr", "add", f"{THERE}/30", "dev", "far")
        run(*self.prefix, "ip", "link", "set", "far", "up")
        run(*self.prefix, "ip", "link", "set", "lo", "up")
        self._relay = Relay(lab, HERE)
        self.env = self._relay.env

    def cut(self) -> None:
        for chain in ("INPUT", "OUTPUT"):
            run(*self.prefix, "iptables", "-I", chain, "-j", "DROP")

    def heal(self) -> None:
        run(*self.prefix, "iptables", "-F")

    def close(self) -> None:
        self._relay.close()
        run("ip", "netns", "delete", self._name)


def allowed_or_skip(name: str) -> None:
    """Make the namespace. A machine that may not has a reason; one that CI could have prepared has none."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a network namespace")
    missing = [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]
    if missing and os.environ.get("CI"):
        raise AssertionError(f"missing: {missing}; apt-get install iproute2 iptables")
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (Debian: iproute2, iptables)")
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this container may not make a network namespace: {made.stderr.strip()}")


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
