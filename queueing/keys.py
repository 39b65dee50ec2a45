"""A run's identity: the canonical hash of what it is. The same configuration is the same run, whoever enqueues it."""

import hashlib
import json
from base64 import b32encode
from collections.abc import Callable, Sequence
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
    return run_keys(experiment, command, trainer, templates)(params, repeat)


def run_keys(
    experiment: str, command: Sequence[str], trainer: str | None, templates: Sequence[str] = ()
) -> Callable[[dict[str, Any], int], str]:
    """The keys of many runs: what they share is written, and hashed, once."""
    shared = canonical([experiment, list(command), trainer])
    begun = hashlib.sha256(f"{shared[:-1]},".encode())
    rest = f",{canonical(list(templates))}]" if templates else "]"

    def key(params: dict[str, Any], repeat: int) -> str:
        made = begun.copy()
        made.update(f"{canonical(params)},{repeat}{rest}".encode())
        return made.hexdigest()

    return key


def canonical(value: Any) -> str:
    """JSON with sorted keys and the shortest numbers that read back the same."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def run_id(key: str) -> str:
    """60 bits of the key as 12 characters: two different runs among a million share one in about 2 million labs."""
    return b32encode(bytes.fromhex(key[:16])).decode()[:ID_LENGTH].translate(_CROCKFORD)


_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET)
