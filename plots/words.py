"""Values in words. Pure."""

from typing import Any

from notify import words


def value_words(value: Any) -> str:
    """As files and queries write them: `1e-05`, `true`."""
    return str(value).lower() if isinstance(value, bool) else words.value_words(value)
