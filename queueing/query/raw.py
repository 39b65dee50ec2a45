"""A filter in MongoDB's own words: `{"summary.val_loss.min": {"$lt": 0.25}}`. Checked before a server sees it. Pure."""

import json
from collections.abc import Iterator
from typing import Any

from store.errors import BadQuery
from store.query import RawMongo

_CODE = ("$where", "$function", "$accumulator", "$code", "$scope")
_LONGEST = 100_000
_DEEPEST = 50


def raw(text: str) -> RawMongo:
    """Raises BadQuery with the place of the mistake. Whatever would run JavaScript on the server is refused."""
    if len(text) > _LONGEST:
        raise BadQuery(f"--mongo has {len(text)} characters; allowed: {_LONGEST}")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text else ""
        raise BadQuery(f"--mongo is not JSON: {error.msg}\n  {line}\n  {' ' * (error.colno - 1)}^") from error
    except RecursionError as error:
        raise BadQuery("--mongo is nested too deeply") from error
    if not isinstance(found, dict):
        raise BadQuery(f'--mongo is {type(found).__name__}; expected a filter such as {{"state": "finished"}}')
    for key, depth in _keys(found, 1):
        if depth > _DEEPEST:
            raise BadQuery(f"--mongo is nested too deeply; allowed: {_DEEPEST} levels")
        if key in _CODE or key.startswith("$_internal"):
            raise BadQuery(f"--mongo: {key} would run a programme on the server, which is refused")
    return RawMongo(text=text)


def _keys(value: Any, depth: int) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, depth
            yield from _keys(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, depth + 1)
