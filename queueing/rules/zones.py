"""Which time zone is meant when nobody says it."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

_LINK = Path("/etc/localtime")


def local_zone() -> str:
    """The IANA name of this machine's time zone; UTC when it has none."""
    link = os.path.realpath(_LINK)
    _, _, linked = link.partition("zoneinfo/")
    for name in (os.environ.get("TZ", "").removeprefix(":"), linked.removeprefix("posix/")):
        if name and _is_zone(name):
            return name
    return "UTC"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
