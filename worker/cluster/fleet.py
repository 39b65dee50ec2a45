"""Workers on many machines: each by itself, all at once."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from store.errors import LabqError, SchedulerUnavailable
from store.settings import Settings
from store.store import Store
from worker.cluster.each import for_each
from worker.cluster.look import look, look_at_host
from worker.cluster.place import Place
from worker.cluster.remote import Remote, handed_to
from worker.cluster.ssh import Ssh
from worker.cluster.submit import Handing, Submitter

_LEASE_S = 180.0
"""Longer than starting takes: two who start at once on one machine would both find too few there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """On one host: ids of new places, those that were there, how workers last there and what would end them."""

    new: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    way: str = ""
    hint: str = ""


def start_everywhere(
    store: Store, settings: Settings, hosts: Sequence[str], place: Place, count: int, *, more: bool
) -> dict[str, Started | LabqError]:
    """`count` workers on each, those counted that are there; with `more`, besides them."""
    ssh = Ssh(settings)
    return for_each(hosts, lambda host: _start(store, settings, Remote(settings, host, ssh), place, count, more=more))


def _start(store: Store, settings: Settings, remote: Remote, place: Place, count: int, *, more: bool) -> Started:
    name, owner = f"start {remote.name()}", f"{socket.gethostname()}:{os.getpid()}"
    if store.lock(name, owner, _LEASE_S, gap_s=0.0) is None:
        raise SchedulerUnavailable("another labq workers start is at work there; try again in a moment")
    try:
        there = [one for one in look_at_host(store, remote) if not one.is_over and one.queue == place.queue]
        missing = count if more else max(0, count - len(there))
        new = _ask(store, settings, remote, place, missing) if missing else ()
    finally:
        store.lock(name, owner, 0.0, gap_s=0.0)
    return Started(
        new=new,
        before=tuple(one.id for one in there),
        way=str(remote.hello["how"]),
        hint=str(remote.hello["hint"]),
    )


def _ask(store: Store, settings: Settings, remote: Remote, place: Place, count: int) -> tuple[str, ...]:
    submitter = Submitter(store, remote, settings, handing_to(settings, remote.name(), str(remote.hello["logs"])))
    submitter.check(place)
    asked = submitter.ask(place, count)
    look(store, remote)  # what was just told: which machine it is
    return asked.ids


def handing_to(settings: Settings, host: str, logs: str) -> Handing:
    """To a machine that shares nothing with this one."""
    exports, hidden = handed_to(settings, host)
    return Handing(logs=logs, exports=exports, secrets=hidden)
