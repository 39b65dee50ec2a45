"""What a tunnel leads to, and how workers at its other end call it: pure functions of the settings."""

import hashlib
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from store.errors import UserError
from worker.tunnel.state import Servers

_NO_TLS = (
    "TLS checks the name of the server, which a forwarded socket does not have; a tunnel is encrypted by ssh: "
    "give labq tunnel an address without TLS, or open the way to the server for those machines"
)
_MEMBERS = (
    "the members of a replica set tell their own addresses, which only some tunnel each could serve; name one member, "
    "the primary, or open the way to all of them for those machines"
)
_OWN = frozenset({"replicaset", "directconnection", "loadbalanced"})


def mark_of(host: str, home: str) -> str:
    """Tells the tunnels of several labs to one machine apart."""
    return hashlib.sha256(f"{host}:{home}".encode()).hexdigest()[:8]


def near_mongo(url: str) -> str:
    """For `ssh -R there:HERE`: a path or host:port. Raises UserError where a tunnel would not be reliable."""
    scheme, _, rest = url.partition("://")
    if scheme != "mongodb":
        raise UserError(f"mongo_url is a {scheme}:// address: {_MEMBERS}")
    _, hosts, tail = _parts(rest)
    if "," in hosts:
        raise UserError(f"mongo_url names several servers: {_MEMBERS}")
    known = {name.lower(): value.lower() for name, value in parse_qsl(tail.partition("?")[2])}
    if "true" in (known.get("tls"), known.get("ssl")):
        raise UserError(f"mongo_url wants TLS: {_NO_TLS}")
    where = unquote(hosts)
    return where if where.startswith("/") else _with_port(where, 27017)


def near_redis(url: str) -> str:
    """For `ssh -R there:HERE`: a path or host:port. Raises UserError."""
    parts = urlsplit(url)
    if parts.scheme == "rediss":
        raise UserError(f"redis_url wants TLS: {_NO_TLS}")
    if parts.scheme == "unix":
        return unquote(parts.path)
    return _with_port(parts.netloc.rpartition("@")[2] or "localhost", 6379)


def far_servers(mongo_url: str, redis_url: str, links: dict[str, str]) -> Servers:
    """The same logins and databases, by the sockets at the other end."""
    return Servers(mongo_url=_far_mongo(mongo_url, links["mongo"]), redis_url=_far_redis(redis_url, links["redis"]))


def _far_mongo(url: str, socket: str) -> str:
    """Direct: a replica set would tell its own address, past the tunnel."""
    login, _, tail = _parts(url.partition("://")[2])
    database, _, query = tail.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name.lower() not in _OWN]
    return f"mongodb://{login}{quote(socket, safe='')}/{database}?{urlencode([*kept, ('directConnection', 'true')])}"


def _far_redis(url: str, socket: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme != "unix" and parts.path.strip("/"):
        query.setdefault("db", parts.path.strip("/"))
    login, at, _ = parts.netloc.rpartition("@")
    return f"unix://{login}{at}{quote(socket)}" + (f"?{urlencode(query)}" if query else "")


def _parts(rest: str) -> tuple[str, str, str]:
    """`login@`, hosts, `database?options`."""
    where, _, tail = rest.partition("/")
    login, at, hosts = where.rpartition("@")
    return f"{login}{at}", hosts.partition("?")[0], tail if "?" not in hosts else f"?{hosts.partition('?')[2]}"


def _with_port(where: str, port: int) -> str:
    has_port = where.rpartition("]")[2].count(":") == 1 if where.startswith("[") else where.count(":") == 1
    return where if has_port else f"{where}:{port}"
