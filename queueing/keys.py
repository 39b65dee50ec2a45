"""A run's identity: the canonical hash of what it is. The same configuration is the same run, whoever enqueues it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u, so an id can be read aloud and typed."""
ID_LENGTH = 12


def run_key(
    experiment: str,
    command: Sequence[str],
    trainer: str | None,
    params: dict[str, Any],
    repeat: int,
    templates: Sequence[str] = (),
) -> str:
    """SHA-256 over the canonical text of what a run is. `templates`: the ids of their texts."""
    told = [experiment, list(command), trainer, params, repeat, *([list(templates)] if templates else [])]
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and the shortest numbers that read back the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def run_id(key: str) -> str:
    """60 bits of the key as 12 characters: two different runs among a million share one in about 2 million labs."""
    number = int(key[:15], 16)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(55, -1, -5))
