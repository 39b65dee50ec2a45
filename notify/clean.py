"""Output as a person can read it."""

from store.plain_text import clean, last_lines

__all__ = ["clean", "last_lines"]
