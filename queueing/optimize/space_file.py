"""A space from a file: SMAC's `.pcs`, classic and new, and ConfigSpace's JSON, all read by ConfigSpace.

What comes out is the syntax of `[optimizer.params]` and `where`, so everything else knows one kind of space.
"""

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from queueing.values import Mistake
from queueing.values import Path as Place
from store.errors import EngineMissing

MAX_BYTES = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFile:
    """Parameters in our syntax, constraints, and the default configuration (flat names, nested tables)."""

    params: dict[str, Any]
    where: list[str] = field(default_factory=list)
    default: dict[str, Any] = field(default_factory=dict)


def read_space_file(path: Path) -> SpaceFile | str:
    """The space, or what is wrong with the file. Raises EngineMissing."""
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    if text is None:
        return f"{path} is larger than {MAX_BYTES} bytes"
    if path.suffix.lower() not in (".pcs", ".json", ".txt"):
        return f"{path.name} ends in {path.suffix!r}; allowed: .pcs (classic or new), .json (ConfigSpace)"
    try:
        return _translated(_parsed(path, text), typed=path.suffix.lower() != ".json")
    except _Untranslatable as error:
        return f"{path.name}: {error}"


def with_space_file(name: str, params: Mapping[str, Any], folder: Path, at: Place) -> tuple[SpaceFile, list[Mistake]]:
    """The space of the file `name`, and the parameters beside it. `at`: the table that names the file."""
    read = read_space_file(folder / Path(name).expanduser())
    if isinstance(read, str):
        return SpaceFile(params=dict(params)), [((*at, "space"), read)]
    twice = sorted(set(read.params) & set(params))
    mistakes: list[Mistake] = [((*at, "params", one), f"is given in {name} too; keep one of them") for one in twice]
    return replace(read, params={**read.params, **params}), mistakes


class _Untranslatable(Exception):
    """The file says what our spaces cannot hold, or what nobody can read."""


def _parsed(path: Path, text: str) -> Any:
    try:
        from ConfigSpace import ConfigurationSpace
    except ImportError as error:
        raise EngineMissing(f"{path.name} is read by ConfigSpace: pip install 'labq[smac]' ({error})") from error
    try:
        if path.suffix.lower() == ".json":
            return ConfigurationSpace.from_json(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from ConfigSpace.read_and_write import pcs_new

            lines = [_modern(line) for line in text.splitlines()]
            _check_lines(lines, text.splitlines())
            return pcs_new.read(lines)
    except _Untranslatable:
        raise
    except Exception as error:
        raise _Untranslatable(f"ConfigSpace cannot read it: {' '.join(str(error).split())[:300]}") from error


# ── the classic syntax ──
_RANGE = re.compile(r"^(?P<name>\S+)\s*(?P<range>\[[^\]]*\])\s*(?P<default>\[[^\]]*\])\s*(?P<flags>[il]*)\s*$")
_CHOICE = re.compile(r"^(?P<name>\S+?)\s*(?P<values>\{[^}]*\})\s*(?P<default>\[[^\]]*\])\s*$")


def _modern(line: str) -> str:
    """A line of the classic syntax as the new one has it; any other line as it is, without its comment."""
    bare = line.split("#")[0].strip()
    if "|" in bare or bare.startswith("{"):
        return bare
    if found := _RANGE.match(bare):
        kind = "integer" if "i" in found["flags"] else "real"
        return f"{found['name']} {kind} {found['range']} {found['default']}{' log' if 'l' in found['flags'] else ''}"
    if found := _CHOICE.match(bare):
        return f"{found['name']} categorical {found['values']} {found['default']}"
    return bare


def _check_lines(lines: list[str], original: list[str]) -> None:
    """ConfigSpace skips some lines that it does not understand, or complains without a place."""
    for number, line in enumerate(lines, 1):
        known = line == "" or "|" in line or line.startswith("{") or _NEW.match(line) or "forbidden" in line.lower()
        if not known and not re.match(r"^(conditionals|forbidden|\w+:)", line, re.IGNORECASE):
            raise _Untranslatable(
                f"line {number}: {original[number - 1].strip()[:80]!r} is no parameter, condition or forbidden "
                "combination; such as: lr real [1e-5, 0.1] [0.01] log"
            )


_NEW = re.compile(r"^\S+\s+(real|integer|categorical|ordinal)\s*[\[{].*[\]}]\s*(log)?\s*$")


# ── ConfigSpace's objects in our syntax ──
@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Our names for theirs. `typed`: a `.pcs` knows texts only, so a category `32` means the number."""

    names: dict[str, str]
    typed: bool

    def value(self, value: Any) -> Any:
        """A NumPy scalar as Python has it."""
        plain = value.item() if hasattr(value, "item") else value
        return literal(plain) if self.typed and isinstance(plain, str) else plain

    def values(self, values: Any) -> list[Any]:
        """All of them."""
        return [self.value(value) for value in values]


def literal(text: str) -> Any:
    """`32` as a number, `true` as a truth value, all else as it is."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _translated(space: Any, *, typed: bool) -> SpaceFile:
    words = _Words(names=_names(list(space.keys())), typed=typed)
    params: dict[str, Any] = {}
    for name in space:
        _place(params, words.names[name], _spec(space[name], words))
    for condition in space.conditions:
        _table(params, words.names[condition.child.name])["when"] = _condition(condition, words)
    where = [f"not ({_forbidden(clause, words)})" for clause in space.forbidden_clauses]
    default: dict[str, Any] = {}
    for name, value in dict(space.get_default_configuration()).items():
        _place(default, words.names[name], words.value(value))
    return SpaceFile(params=params, where=where, default=default)


def _names(given: list[str]) -> dict[str, str]:
    """Our names: `sp-rand` becomes `sp_rand`; a dot makes a nested table."""
    made = {name: ".".join(parameter_name(part) for part in name.split(".")) for name in given}
    for name, other in made.items():
        same = [one for one in given if made[one] == other]
        if len(same) > 1:
            raise _Untranslatable(f"parameters {same[0]!r} and {same[1]!r} would both be called {other!r}")
        if not all(part.isidentifier() for part in other.split(".")):
            raise _Untranslatable(f"parameter {name!r}: allowed: letters, digits and _, no digit in front")
    return made


def parameter_name(part: str) -> str:
    """What a parameter of a `.pcs` file is called here."""
    return re.sub(r"[^0-9A-Za-z_]", "_", part)


def _spec(one: Any, words: _Words) -> dict[str, Any]:
    kind = type(one).__name__
    if kind == "Constant":
        return {"choice": [words.value(one.value)]}
    if kind == "OrdinalHyperparameter":
        return {"choice": words.values(one.sequence)}
    if kind == "CategoricalHyperparameter":
        weights = None if one.weights is None else [float(weight) for weight in one.weights]
        return {"choice": words.values(one.choices), **({"weights": weights} if weights else {})}
    whole = {"type": "int"} if "Integer" in kind else {}
    log = {"log": True} if getattr(one, "log", False) else {}
    low, high = words.value(one.lower), words.value(one.upper)
    if kind in ("UniformFloatHyperparameter", "UniformIntegerHyperparameter"):
        return {"low": low, "high": high, **whole, **log}
    if kind in ("NormalFloatHyperparameter", "NormalIntegerHyperparameter") and not log:
        return {"mean": float(one.mu), "sd": float(one.sigma), "low": low, "high": high, **whole}
    raise _Untranslatable(f"parameter {one.name!r} is a {kind}{' with log' if log else ''}, which has no counterpart")


def _condition(one: Any, words: _Words) -> str:
    kind = type(one).__name__
    if kind in ("AndConjunction", "OrConjunction"):
        word = " and " if kind == "AndConjunction" else " or "
        return word.join(f"({_condition(part, words)})" for part in one.components)
    name = words.names[one.parent.name]
    if kind == "InCondition":
        return f"{name} in {words.values(one.values)!r}"
    signs = {"EqualsCondition": "==", "NotEqualsCondition": "!=", "LessThanCondition": "<", "GreaterThanCondition": ">"}
    if kind not in signs:
        raise _Untranslatable(f"a condition of {one.child.name!r} is a {kind}, which has no counterpart")
    return f"{name} {signs[kind]} {words.value(one.value)!r}"


def _forbidden(one: Any, words: _Words) -> str:
    kind = type(one).__name__
    if kind == "ForbiddenAndConjunction":
        return " and ".join(f"({_forbidden(part, words)})" for part in one.components)
    if kind == "ForbiddenEqualsClause":
        return f"{words.names[one.hyperparameter.name]} == {words.value(one.value)!r}"
    if kind == "ForbiddenInClause":
        return f"{words.names[one.hyperparameter.name]} in {words.values(one.values)!r}"
    signs = {"ForbiddenLessThanRelation": "<", "ForbiddenEqualsRelation": "==", "ForbiddenGreaterThanRelation": ">"}
    if kind in signs:
        return f"{words.names[one.left.name]} {signs[kind]} {words.names[one.right.name]}"
    raise _Untranslatable(f"a forbidden combination is a {kind}, which has no counterpart")


def _place(table: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
    table[last] = value


def _table(table: dict[str, Any], name: str) -> dict[str, Any]:
    for part in name.split("."):
        table = table[part]
    return table
