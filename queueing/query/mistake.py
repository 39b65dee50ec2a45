"""A mistake in a query: what is wrong, and the place with a caret under it."""

from collections.abc import Iterable
from difflib import get_close_matches

from queueing.query.syntax import Span
from store.errors import BadQuery

_WIDTH = 100


def mistake(text: str, span: Span, said: str) -> BadQuery:
    """The error to raise: the sentence, the query, and carets under the place."""
    line = "".join(character if character.isprintable() else " " for character in text)
    start = max(0, span.start - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = line[start : start + _WIDTH]
    front, back = ("…" if start else ""), ("…" if start + _WIDTH < len(line) else "")
    length = min(max(1, span.end - span.start), _WIDTH - (span.start - start))
    return BadQuery(f"{said}\n  {front}{shown}{back}\n  {' ' * (len(front) + span.start - start)}{'^' * length}")


def guess(word: str, allowed: Iterable[str], *, most: int = 12) -> str:
    """`, did you mean 'val_loss'?`, else what there is."""
    known = sorted(set(allowed))
    near = get_close_matches(word, known, n=1, cutoff=0.6) or [one for one in known if one.lower() == word.lower()]
    if near:
        return f", did you mean {near[0]!r}?"
    return f"; there are: {', '.join(known[:most])}{', …' if len(known) > most else ''}" if known else ""
