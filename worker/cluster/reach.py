"""Whether jobs on other machines would reach MongoDB and Redis, as far as the settings tell."""

import re
import socket
from urllib.parse import unquote

from store.connect import mongo_url, redis_url
from store.errors import UserError
from store.settings import Settings

_HERE = frozenset({"localhost", "127.0.0.1", "::1", "ip6-localhost"})


def check_reach(settings: Settings, hosts: frozenset[str]) -> None:
    """Raises UserError when a server answers on this machine only and the jobs would run elsewhere."""
    others = sorted(host for host in hosts if _short(host) != _short(socket.gethostname()))
    if hosts and not others:
        return
    for server, setting, embedded, url in (
        ("MongoDB", "mongo_url", settings.uses_embedded_mongo, mongo_url(settings)),
        ("Redis", "redis_url", settings.uses_embedded_redis, redis_url(settings)),
    ):
        if answers_here_only(url):
            which = "the embedded server of labq up" if embedded else setting
            raise UserError(
                f"{server} ({which}) answers on this machine only, but the jobs would run on {_named(others)}: "
                f"set {setting} to a server that they reach (labq config shows where)"
            )


def answers_here_only(url: str) -> bool:
    """A socket file, or an address that every machine calls itself by."""
    _, _, rest = url.partition("://")
    if url.startswith("unix:") or not rest:
        return True
    where = unquote(rest.rpartition("@")[2].split("?")[0]) if "%2F" in rest else rest.rpartition("@")[2]
    if where.startswith("/"):
        return True
    hosts = [re.sub(r":\d+$", "", host).strip("[]") for host in re.split(r"[/?]", where)[0].split(",")]
    return all(host in _HERE for host in hosts)


def _short(host: str) -> str:
    return host.split(".")[0].lower()


def _named(others: list[str]) -> str:
    if not others:
        return "others"
    return ", ".join(others[:3]) + (f" and {len(others) - 3} others" if len(others) > 3 else "")
