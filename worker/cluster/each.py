"""The same for many machines at once: one that is broken keeps nobody else waiting."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from store.errors import LabqError

AT_ONCE = 16
"""Each is a process of ssh here; sshd itself takes ten new connections at once, but from all hosts apart."""

T = TypeVar("T")


def for_each(hosts: Sequence[str], work: Callable[[str], T]) -> dict[str, T | LabqError]:
    """What came of each, in the order given; a mistake of labq itself is raised."""
    if not hosts:
        return {}

    def caught(host: str) -> T | LabqError:
        try:
            return work(host)
        except LabqError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(hosts)), thread_name_prefix="host") as pool:
        return dict(zip(hosts, pool.map(caught, hosts), strict=True))
