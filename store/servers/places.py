"""Where the embedded servers keep things."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from store.errors import ServerFailed

SOCKET_PATH_LIMIT = 100
"""A Unix socket path may have 107 bytes; a few are kept for the longest file name below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders and files of one user's servers."""

    home: Path
    sockets: Path

    @property
    def servers(self) -> Path:
        """Everything the servers write."""
        return self.home / "servers"

    @property
    def mongo_data(self) -> Path:
        """mongod's dbpath."""
        return self.servers / "mongo"

    @property
    def redis_data(self) -> Path:
        """Redis' append-only file."""
        return self.servers / "redis"

    @property
    def mongo_socket(self) -> Path:
        """Where mongod listens."""
        return self.sockets / "mongodb.sock"

    @property
    def redis_socket(self) -> Path:
        """Where Redis listens."""
        return self.sockets / "redis.sock"

    @property
    def host_file(self) -> Path:
        """Which machine the servers run on: a home may be shared by several."""
        return self.servers / "host"

    @property
    def lock_file(self) -> Path:
        """Held while servers are started or stopped."""
        return self.servers / "lock"

    @property
    def mongo_url(self) -> str:
        """The URL of the embedded MongoDB."""
        return f"mongodb://{quote(str(self.mongo_socket), safe='')}/?replicaSet=rs0"

    @property
    def redis_url(self) -> str:
        """The URL of the embedded Redis."""
        return f"unix://{quote(str(self.redis_socket))}?db=0"


def places(home: Path) -> Places:
    """The places under `home`; sockets move to a short private folder when the path is too long for a socket."""
    home = home.resolve()  # one lab, whichever link leads to it
    sockets = home / "servers" / "run"
    if len(os.fsencode(sockets / "mongodb.sock")) > SOCKET_PATH_LIMIT:
        mark = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        sockets = Path("/tmp") / f"labq-{os.getuid()}-{mark}"
    return Places(home=home, sockets=sockets)


def make_private(folder: Path) -> None:
    """Create the folder with mode 0700. Raises ServerFailed if it belongs to somebody else or is no folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ServerFailed(f"{folder} cannot be made: {error.strerror}; choose another place: LABQ_HOME") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ServerFailed(f"{folder} is not a folder of yours; choose another place: LABQ_HOME")
    folder.chmod(0o700)
