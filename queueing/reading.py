"""An experiment file as a plain table: TOML, YAML or JSON, without silent duplicates."""

import json
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import yaml

from queueing.yaml_loader import Loader
from store.errors import BadExperiment

SUFFIXES = (".toml", ".yaml", ".yml", ".json")
TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods")
_KINDS: dict[type, str] = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
MAX_BYTES = 2 << 20


def read_file(path: Path) -> tuple[dict[str, Any], str]:
    """The table and the text it was read from. Raises BadExperiment with file and line."""
    source = str(path)
    if path.suffix.lower() in TABLES:
        said = f'is a table; an experiment file beside it has name, command, and below [sweep]: table = "{path.name}"'
        raise BadExperiment(source, [said])
    if path.suffix.lower() not in SUFFIXES:
        raise BadExperiment(source, [f"the name ends in {path.suffix!r}; allowed: {', '.join(SUFFIXES)}"])
    text = _text(path, source)
    table = parse_text(path.suffix.lower(), text, source)
    if not isinstance(table, dict) or not table:
        found = "nothing" if table in (None, {}) else _KINDS.get(type(table), "no table")
        raise BadExperiment(source, [f"holds {found}; an experiment is a table of keys, at least: name, command"])
    return table, text


def line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """The line of a TOML key, as well as a scan of headers and assignments can tell."""
    keys = [key for key in path if isinstance(key, str)]
    nth = next((key for key in path if isinstance(key, int)), None)  # of `[[sweep]]`, `[[notify.rule]]`
    many = list(path[: path.index(nth)]) if nth is not None else []
    header: list[str] = []
    tables = 0
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*(\[+)([^\[\]]+)\]+\s*(#.*)?$", line):
            header = _parts(found[2])
            tables += found[1] == "[[" and header == many
            if header == keys and (nth is None or not tables or nth == tables - 1):
                return number
        elif found := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            key = header + _parts(found[1])
            inside = nth is None or not tables or nth == tables - 1
            if inside and key == keys[: len(key)] and len(key) == len(keys):
                return number
    return None if len(keys) <= 1 else line_of(text, _shorter(path))


def _parts(key: str) -> list[str]:
    return [part.strip().strip("\"'") for part in key.split(".")]


def _shorter(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    last = max(position for position, key in enumerate(path) if isinstance(key, str))
    return path[:last]


def _text(path: Path, source: str) -> str:
    try:
        data = _bytes(path)
    except FileNotFoundError as error:
        raise BadExperiment(source, ["there is no such file"]) from error
    except (OSError, ValueError) as error:
        raise BadExperiment(source, [f"cannot be read: {getattr(error, 'strerror', None) or error}"]) from error
    if data is None:
        raise BadExperiment(source, ["is a folder" if path.is_dir() else "is no regular file"])
    if len(data) > MAX_BYTES:
        raise BadExperiment(source, [f"is larger than {MAX_BYTES} bytes; split the experiment"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadExperiment(source, [f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text"]) from error


def _bytes(path: Path) -> bytes | None:
    """A little more than is allowed at most; None for what is no file, which might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def parse_text(suffix: str, text: str, source: str) -> Any:
    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        if suffix == ".json":
            return json.loads(text, object_pairs_hook=_unique_pairs)
        return yaml.load(text, Loader)
    except tomllib.TOMLDecodeError as error:
        raise BadExperiment(source, [f"is not TOML: {error}"]) from error
    except json.JSONDecodeError as error:
        raise BadExperiment(source, [f"line {error.lineno}, column {error.colno}: is not JSON: {error.msg}"]) from error
    except yaml.MarkedYAMLError as error:
        raise BadExperiment(source, [_yaml_mistake(error)]) from error
    except RecursionError as error:
        raise BadExperiment(source, ["is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise BadExperiment(source, [f"cannot be understood: {(str(error).splitlines() or ['?'])[0][:200]}"]) from error


def _yaml_mistake(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = error.problem or error.context or "is not YAML"
    if "\\t" in problem:
        return f"{place}a tab; YAML is indented with spaces only"
    return f"{place}is not YAML: {problem}"


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"key {key!r} is given twice")
        table[key] = value
    return table
