"""Workers on many machines: each by itself, all at once."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from store.errors import LabqError, SchedulerUnavailable, UserError
from store.settings import Settings
from store.store import Store
from worker.cluster.each import for_each
from worker.cluster.look import look, look_at_host, mine
from worker.cluster.place import Place
from worker.cluster.remote import Remote, handed_to
from worker.cluster.ssh import Ssh
from worker.cluster.submit import Handing, Submitter
from worker.tunnel.state import through_tunnel

_PAUSE_S = 0.3
_LEASE_S = 20.0
"""Two who start at once on one machine would both find too few there. What is recorded counts: no longer than that."""


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
    look_at_host(store, remote)
    with _alone(store, remote.name()):
        there = [one for one in mine(store, remote) if not one.is_over and one.queue == place.queue]
        missing = count if more else max(0, count - len(there))
        new = _ask(store, settings, remote, place, missing) if missing else ()
    return Started(
        new=new,
        before=tuple(one.id for one in there),
        way=str(remote.hello["how"]),
        hint=str(remote.hello["hint"]),
    )


@contextmanager
def _alone(store: Store, host: str) -> Iterator[None]:
    """Raises SchedulerUnavailable when somebody else is for longer than anybody should."""
    name, owner = f"start {host}", f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
    deadline = time.monotonic() + 3 * _LEASE_S
    while store.lock(name, owner, _LEASE_S, gap_s=0.0) is None:
        if time.monotonic() > deadline:
            raise SchedulerUnavailable("others start workers there just now; try again in a moment")
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        store.lock(name, owner, 0.0, gap_s=0.0)


def _ask(store: Store, settings: Settings, remote: Remote, place: Place, count: int) -> tuple[str, ...]:
    submitter = Submitter(store, remote, settings, handing_to(settings, remote.name(), str(remote.hello["logs"])))
    if through_tunnel(settings, remote.name()) is None:
        _check_reach(submitter, place, remote.name())
    asked = submitter.ask(place, count)
    look(store, remote)  # what was just told: which machine it is
    return asked.ids


def _check_reach(submitter: Submitter, place: Place, host: str) -> None:
    try:
        submitter.check(place)
    except UserError as error:
        raise UserError(f"{error}; or lead it here: labq tunnel --hosts {host}") from error


def handing_to(settings: Settings, host: str, logs: str) -> Handing:
    """To a machine that shares nothing with this one."""
    exports, hidden = handed_to(settings, host)
    return Handing(logs=logs, exports=exports, secrets=hidden)
