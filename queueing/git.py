"""What the repository looked like when a run was enqueued."""

import subprocess
from pathlib import Path
from typing import Any

MAX_DIFF_BYTES = 2 << 20
_GIT_S = 20


def snapshot(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """(facts, diff) of the repository that holds `folder`; (None, "") where there is none, or no git."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return None, ""
    commit = _git(folder, "rev-parse", "--verify", "-q", "HEAD")
    status = _git(folder, "status", "--porcelain") or ""
    diff = (_git(folder, "diff", "--no-ext-diff", "--binary", "HEAD") or "") if commit and status else ""
    facts = {
        "repository": top.strip(),
        "remote": _remote(folder),
        "commit": commit.strip() if commit else None,
        "branch": (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip() or None,
        "dirty": bool(status),
        "untracked": [line[3:] for line in status.splitlines() if line.startswith("??")][:100],
        "diff_truncated": len(diff) > MAX_DIFF_BYTES,
    }
    return facts, diff[:MAX_DIFF_BYTES]


def _remote(folder: Path) -> str | None:
    """The address of `origin`, without a password that may be part of it."""
    url = (_git(folder, "remote", "get-url", "origin") or "").strip()
    scheme, sep, rest = url.partition("://")
    if sep and "@" in rest.split("/")[0]:
        url = f"{scheme}://{rest.split('@', 1)[1]}"
    return url or None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None: no repository, no git, or too slow. No fact is worth losing the enqueue."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
