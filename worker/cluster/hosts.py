"""Lists of machines as people write them: `gpu1,gpu[3-9]`."""

import re
from collections.abc import Sequence
from typing import Any

from store.errors import UserError
from store.settings import Settings

MOST = 1000
"""More is a slip of the pen."""

_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}@)?[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,254}")
"""A name of ~/.ssh/config, a machine, an address; with a login before it or not. Never an option of ssh."""

_ALLOWED = "allowed: names as ssh knows them, such as gpu1,gpu[3-9],me@gpu[01-12]"


def chosen_hosts(given: str | None, settings: Settings) -> tuple[str, ...]:
    """Those of `--hosts`, else of the setting. Raises UserError."""
    if given is None and not settings.hosts:
        raise UserError("which machines? --hosts gpu1,gpu[3-9], or the setting hosts in labq.toml")
    # A comma inside of brackets has cut the setting in two.
    return expanded(given if given is not None else ",".join(settings.hosts), "--hosts" if given else "hosts")


def expanded(text: str, option: str = "--hosts") -> tuple[str, ...]:
    """Each machine once, in the order of their names, numbers by value. Raises UserError."""
    from ClusterShell.NodeSet import NodeSetException

    squeezed = re.sub(r"\s*,\s*", ",", text.strip())
    if wrong := re.search(r"[^A-Za-z0-9_.:%@,\[\]/-]", squeezed):
        raise UserError(f"{option} {text!r}: {wrong[0]!r} in it; {_ALLOWED}")
    try:
        found: Sequence[str] = _checked_size(_parsed(squeezed), option, text)
    except NodeSetException as error:
        raise UserError(f"{option} {text!r}: {_one_line(error)}; {_ALLOWED}") from error
    if not found:
        raise UserError(f"{option} {text!r} names no machine; {_ALLOWED}")
    if wrong_ones := [name for name in found if not _NAME.fullmatch(name)]:
        raise UserError(f"{option}: {wrong_ones[0]!r} is no name of a machine; {_ALLOWED}")
    return tuple(found)


def _parsed(text: str) -> Any:
    """Groups (`@gpus`) would be those of a file that nobody here knows."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    parse: Any = NodeSet
    return parse(text, resolver=RESOLVER_NOGROUP)


def _checked_size(nodes: "Sequence[str]", option: str, text: str) -> list[str]:
    if len(nodes) > MOST:
        raise UserError(f"{option} {text!r}: {len(nodes)} machines; allowed: {MOST} at once")
    return [str(node) for node in nodes]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
