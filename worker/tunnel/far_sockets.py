"""Where a tunnel listens on the machine that it leads to.

Each connection listens at new paths: one that was cut may hold the old ones for minutes. Workers know two links, which
always lead to the newest.
"""

import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from store.errors import UserError
from store.servers.places import SOCKET_PATH_LIMIT
from store.settings import Settings
from worker.cluster.ssh import private_folder

NAMES = {"mongo": "mongodb.sock", "redis": "redis.sock"}


def make_room(settings: Settings, mark: str) -> dict[str, Any]:
    """`listen`: free paths for one connection; `links`: what workers are told. Raises UserError."""
    if not re.fullmatch("[0-9a-f]{8}", mark):
        raise UserError(f"mark {mark!r}: allowed: eight hexadecimal digits")
    folder = private_folder(_folder(settings, mark))
    new = private_folder(folder / secrets.token_hex(4))
    for server, name in NAMES.items():
        _lead(folder / name, Path(new.name) / NAMES[server])
    for old in folder.iterdir():
        if old.is_dir() and not old.is_symlink() and old != new:
            shutil.rmtree(old, ignore_errors=True)
    return {
        "listen": {server: str(new / name) for server, name in NAMES.items()},
        "links": {server: str(folder / name) for server, name in NAMES.items()},
    }


def _folder(settings: Settings, mark: str) -> Path:
    folder = settings.home.absolute() / "tunnels" / mark
    longest = folder / "01234567" / NAMES["mongo"]
    if len(os.fsencode(longest)) <= SOCKET_PATH_LIMIT:
        return folder
    of = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:8]
    return Path("/tmp") / f"labq-tunnel-{os.getuid()}-{of}-{mark}"


def _lead(link: Path, to: Path) -> None:
    """Whoever follows the link finds the old end or the new one, never none."""
    hidden = link.with_suffix(".new")
    hidden.unlink(missing_ok=True)
    hidden.symlink_to(to)
    hidden.replace(link)
