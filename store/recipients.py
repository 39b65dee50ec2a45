"""Who can be told: an e-mail address, or the name of a chat target in the settings (`notify_targets`)."""

import re
from collections.abc import Collection
from difflib import get_close_matches

_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\\x00-\x20\x7f-\x9f]{1,64}@[^\s@,;:<>()\[\]\"\\\x00-\x20\x7f-\x9f]{1,253}")
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}:[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_address(recipient: str) -> bool:
    """Whether mail can be addressed to it: `me@lab.example`, without a name, without quotes."""
    return _ADDRESS.fullmatch(recipient) is not None


def is_target(recipient: str) -> bool:
    """Whether it has the form of a chat target's name: `ntfy:phone`, `slack:lab`. Never a URL: those hold tokens."""
    return _TARGET.fullmatch(recipient) is not None


def recipient_mistake(recipient: str, targets: Collection[str] | None = None) -> str:
    """What is wrong with it, for a person; empty when nothing is. With `targets`, a chat target must be among them."""
    if is_address(recipient):
        return ""
    shown = repr(recipient[:80])
    if not is_target(recipient):
        target = "the name of a chat target, such as slack:lab (notify_targets in labq.toml)"
        return f"{shown} is neither an e-mail address nor {target}"
    if targets is None or recipient in targets:
        return ""
    near = get_close_matches(recipient, list(targets), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(targets)) or 'none'}"
    return f"{shown} is no e-mail address and no chat target of notify_targets; {hint}"
