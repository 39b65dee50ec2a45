"""`template = "train.py.in"`: text files in which `${lr:.3e}` stands for a parameter.

`$$` is a dollar; a dollar before anything else stays what it is. The text is kept with the runs, so every machine, and
every later attempt, fills in the same one.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from queueing.placeholders import check_field, formatted, guess, values_of
from store.blobs import blob_id
from store.runs import TaskFile

MOST_BYTES = 1 << 20
SUFFIXES = (".in", ".tmpl", ".template")
_FIELD = re.compile(r"\$(?:\$|\{([^{}\n]*)(\}?))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template of an experiment: the name its copy gets, and its text."""

    source: str
    text: str
    file: TaskFile


def read_templates(names: Sequence[str], folder: Path) -> tuple[list[Template], list[str]]:
    """The templates, and what is wrong with them; names are relative to `folder`."""
    read = [_read(name, folder / Path(name).expanduser()) for name in names]
    templates = [one for one in read if isinstance(one, Template)]
    mistakes = [one for one in read if isinstance(one, str)]
    copies = [template.file.name for template in templates]
    twice = next((name for name in copies if copies.count(name) > 1), None)
    return templates, mistakes + ([f"template: two of them would be copied to {twice!r}"] if twice else [])


def _read(name: str, path: Path) -> Template | str:
    try:
        if not path.is_file():
            return f"template: {name!r} is {'no regular file' if path.exists() else 'not there'}: {path}"
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
        if data is None:
            return f"template: {name!r} is larger than {MOST_BYTES} bytes"
        text = data.decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return f"template: {name!r}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8 text"
    except (OSError, ValueError) as error:
        return f"template: {name!r} cannot be read: {getattr(error, 'strerror', None) or error}"
    file = TaskFile(name=copy_name(path.name), blob=blob_id(text), executable=os.access(path, os.X_OK))
    return Template(source=name, text=text, file=file)


def copy_name(name: str) -> str:
    """`train.py.in` is copied to `train.py`; other names stay."""
    path = PurePath(name)
    return path.stem if path.suffix in SUFFIXES and path.stem else name


def mistakes_in_templates(templates: Sequence[Template], known: Iterable[str]) -> list[str]:
    """Fields that name nothing, or are broken, each with its line."""
    there = set(known)
    mistakes = []
    for template in templates:
        for field in _FIELD.finditer(template.text):
            if (said := _wrong(field, there)) is not None:
                line = template.text.count("\n", 0, field.start()) + 1
                mistakes.append(f"template: {template.source!r}, line {line}: {said}")
    return mistakes


def _wrong(field: re.Match[str], known: set[str]) -> str | None:
    inside, closed = field[1], field[2]
    if inside is None:
        return None
    if not closed:
        return f"'${{{inside[:40]}' has no end; allowed: ${{name}} or ${{name:.3e}}; a dollar is written $$"
    name, _, spec = inside.partition(":")
    try:
        check_field(name, spec)
    except ValueError as error:
        return str(error)
    return None if name in known else f"no parameter is named {name!r}{guess(name, known)}"


def names_in_templates(templates: Sequence[Template]) -> list[str]:
    """The parameters that they use."""
    inside = [field[1] for template in templates for field in _FIELD.finditer(template.text)]
    return list(dict.fromkeys(one.partition(":")[0] for one in inside if one))


def render(text: str, params: Mapping[str, Any], repeat: int) -> str:
    """The copy. Raises ValueError when a parameter is absent or a format does not fit its value."""
    values = values_of(params, repeat)

    def replaced(field: re.Match[str]) -> str:
        if field[1] is None:
            return "$"
        name, _, spec = field[1].partition(":")
        return formatted(values, name, spec, field[0])

    return _FIELD.sub(replaced, text)
