"""The validation library's findings as sentences: place, what was found, what is allowed."""

from collections.abc import Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from queueing.reading import line_of
from queueing.values import Mistake

MOST_MISTAKES = 20
_NO_PLACES = ("[key]", "[one]", "[many]")
"""What the validation library puts into a path, and no file has: names of alternatives."""


def sentences(error: ValidationError, model: type[BaseModel], text: str, *, is_toml: bool) -> list[str]:
    """One sentence per mistake, each with the line where the file format lets us find it."""
    return [_sentence(details, model, text, is_toml) for details in error.errors()[: MOST_MISTAKES + 1]]


def findings(error: ValidationError, model: type[BaseModel], also: Sequence[str] = ()) -> list[Mistake]:
    """One finding per mistake, with its path, in a table checked by itself; `also`: further keys that it may have."""
    found: list[Mistake] = []
    for details in error.errors()[: MOST_MISTAKES + 1]:
        path = tuple(part for part in details["loc"] if part != "[key]")
        if details["type"] == "extra_forbidden":
            found.append((path, f"unknown key{_nearest(str(path[-1])[:60], [*_keys_at(model, path[:-1]), *also])}"))
        else:
            found.append((path, _cause(details, model, path)))
    return found


def shortened(mistakes: list[str]) -> list[str]:
    """The first ones, and how many more there are; none longer than a few lines."""
    once = [mistake if len(mistake) <= 600 else f"{mistake[:597]}…" for mistake in dict.fromkeys(mistakes)]
    more = len(once) - MOST_MISTAKES
    return once if more <= 0 else [*once[:MOST_MISTAKES], f"… and {more} more" if more > 1 else "… and more"]


def at(path: tuple[str | int, ...], said: str, text: str, *, is_toml: bool) -> str:
    """A sentence with its place in front."""
    line = line_of(text, path) if is_toml else None
    return f"{f'line {line}: ' if line else ''}{place(path)}: {said}" if path else said


def place(path: tuple[str | int, ...]) -> str:
    """`('sweep', 'params', 'lr', 0)` as `sweep.params.lr[0]`."""
    out = ""
    for part in path:
        name = part if isinstance(part, int) else part[:60] or '""'
        out += f"[{part}]" if isinstance(part, int) else f".{name}" if out else str(name)
    return out


def _sentence(details: ErrorDetails, model: type[BaseModel], text: str, is_toml: bool) -> str:
    path = tuple(part for part in details["loc"] if part not in _NO_PLACES)
    return at(path, _cause(details, model, path), text, is_toml=is_toml)


def _cause(details: ErrorDetails, model: type[BaseModel], path: tuple[str | int, ...]) -> str:
    kind, found = details["type"], _shown(details["input"])
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"unknown key{_nearest(str(path[-1])[:60], _keys_at(model, path[:-1]))}"
    if kind in ("value_error", "assertion_error"):
        said = details["msg"].removeprefix("Value error, ")
        return (
            f"is {found}; {said}"
            if said.startswith("allowed")
            else f"{found} {said}"
            if said.startswith("is ")
            else said
        )
    return f"is {found}; {_allowed(kind, details)}"


def _allowed(kind: str, details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    words = {
        "string_type": "allowed: a text in quotes",
        "int_type": "allowed: a whole number",
        "int_from_float": "allowed: a whole number",
        "float_type": "allowed: a number",
        "bool_type": "allowed: true or false",
        "list_type": 'allowed: a list, such as ["python", "train.py"]',
        "dict_type": "allowed: a table of keys and values",
        "model_type": "allowed: a table of keys and values",
        "greater_than": f"allowed: more than {context.get('gt')}",
        "less_than": f"allowed: less than {context.get('lt')}",
        "finite_number": "allowed: a finite number",
        "greater_than_equal": f"allowed: {context.get('ge')} or more",
        "less_than_equal": f"allowed: at most {context.get('le')}",
        "literal_error": f"allowed: {context.get('expected')}",
        "enum": f"allowed: {context.get('expected')}",
    }
    return words.get(kind, details["msg"])


def _nearest(key: str, allowed: list[str]) -> str:
    near = get_close_matches(key, allowed, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"{guess}; allowed: {', '.join(allowed)}" if allowed else guess


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = None if field is None else _model_in(field.annotation)
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model that an annotation such as `Table | list[Table]` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def _shown(value: Any) -> str:
    """As the file would have it, cut before it gets long: the value may be huge."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    shorten = Repr()
    shorten.maxstring = shorten.maxother = 60
    shorten.maxlevel = 2
    text = shorten.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
