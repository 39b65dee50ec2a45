"""`labq tunnel`: MongoDB and Redis of here, on machines that cannot reach them."""

import argparse
import signal
import threading
from collections.abc import Callable
from types import FrameType

from queueing.cli.context import print_json, settings
from store.errors import ExitCode, LabqError
from store.logbook import open_logbook, warn
from store.settings import Settings, mask_url
from worker.cluster.hosts import chosen_hosts
from worker.cluster.hosts_cli import with_labq
from worker.cluster.ssh import Ssh
from worker.tunnel.keep import Tunnel, dry_line, forwards
from worker.tunnel.state import open_tunnels


def tunnel(options: argparse.Namespace) -> int:
    """In the foreground, until Ctrl-C or SIGTERM."""
    chosen = with_labq(settings(), options.labq)
    if options.list:
        return _list(options, chosen)
    hosts = chosen_hosts(options.hosts, chosen)
    if options.dry_run:
        for host in hosts:
            print(dry_line(chosen, host))
        return ExitCode.OK
    forwards(chosen)  # what cannot be forwarded is told before anything is begun
    open_logbook()
    return _keep_all(chosen, hosts)


def _list(options: argparse.Namespace, chosen: Settings) -> int:
    found = open_tunnels(chosen)
    if options.json:
        masked = {host: [mask_url(one.mongo_url), mask_url(one.redis_url)] for host, one in found.items()}
        print_json({"tunnels": masked})
        return ExitCode.OK
    for host, one in found.items():
        print(f"{host}: {mask_url(one.mongo_url)} {mask_url(one.redis_url)}")
    if not found:
        print("no tunnel is kept from here; one: labq tunnel --hosts HOST")
    return ExitCode.OK


def _keep_all(chosen: Settings, hosts: tuple[str, ...]) -> int:
    stop, ssh = threading.Event(), Ssh(chosen)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _sets(stop))
    refused: list[LabqError] = []

    def keep(host: str) -> None:
        try:
            Tunnel(chosen, host, ssh, stop).keep()
        except LabqError as error:
            refused.append(error)
            warn("no-tunnel", host=host, why=error)

    threads = [threading.Thread(target=keep, args=(host,), name=f"tunnel-{host}") for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():  # in pieces: signals are heard in this thread
            thread.join(0.5)
    return int(refused[0].exit_code) if len(refused) == len(hosts) else ExitCode.OK


def _sets(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    return handler
