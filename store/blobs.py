"""Texts that are kept once, under the hash of their content."""

import hashlib


def blob_id(text: str) -> str:
    """96 bits of SHA-256, as 24 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
