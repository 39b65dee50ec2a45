"""The parameters of an estimator: those of trainer.config that make sense without files, under the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from trainer.config import ClassifierConfig, Config, LanguageModelConfig, ModelKind
from trainer.validation import parse

ConfigKind = type[LanguageModelConfig] | type[ClassifierConfig]

# Data are arguments of fit, nothing is written while fitting, and the seed is called random_state.
_NOT_OF_ESTIMATORS = {"model", "data", "n_in", "seed", "checkpoint_every", "checkpoint_every_s"}
_OF_TABLE_FILES = {"columns", "thresholds"}  # of a head
_OF_DATA = {"valid_fraction", "split_seed", "max_words", "tokenizer"}
_FILES = {
    ModelKind.CLASSIFIER: {"train": "X.npz", "valid": "X_valid.npz"},
    ModelKind.LANGUAGE_MODEL: {"train": "X.txt", "valid": "X_valid.txt"},
}
_WORDS = (
    ("seed is ", "random_state is "),
    ("data.valid or data.valid_fraction > 0", "X_valid or valid_fraction > 0"),
    ("data.", ""),
)


def defaults(kind: ConfigKind) -> dict[str, Any]:
    """Every parameter with its default as a plain value."""
    found = {f.name: plain(f.default) for f in _fields(kind)}
    return {**found, "valid_fraction": 0.0, "random_state": 0, **({"head": None} if "head" in found else {})}


def documentation(kind: ConfigKind) -> str:
    """A line for every parameter, as in `python -P -m trainer --help`."""
    lines = [f"{f.name}: {f.metadata['doc']} ({f.metadata['rule'].allowed})" for f in _fields(kind) if f.name != "head"]
    return "\n".join(f"        {line}" for line in sorted(lines))


def _fields(kind: ConfigKind) -> list[Field[Any]]:
    known = {f.name: f for f in fields(kind)}
    table: Any = known["data"].default
    of_data = [f for f in fields(table) if f.name in _OF_DATA]
    return [f for f in known.values() if f.name not in _NOT_OF_ESTIMATORS] + of_data


def to_config(model: ModelKind, parameters: Mapping[str, Any], seed: int, *, has_valid: bool) -> Config:
    """The configuration of a training. Raises ValueError naming every problem, one a line."""
    files = {name: path for name, path in _FILES[model].items() if name == "train" or has_valid}
    of_data = {name: plain(value) for name, value in parameters.items() if name in _OF_DATA}
    own = {name: plain(value) for name, value in parameters.items() if name not in _OF_DATA | {"random_state"}}
    head = {"head": own.pop("head") or []} if "head" in own else {}
    config, problems = parse({**own, **head, "model": model.value, "seed": seed, "data": {**files, **of_data}})
    if config is None:
        raise ValueError("\n".join(map(_in_words_of_estimators, problems)))
    nameless: Any = replace(config.data, train=None, valid=None)
    return replace(config, data=nameless)


def from_config(kind: ConfigKind, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an estimator from those in a checkpoint, where tables are flat: `data.valid_fraction`."""
    known = defaults(kind)
    found = {name.removeprefix("data."): value for name, value in saved.items()}
    found["random_state"] = found.get("seed", 0)
    found["head"] = without_columns(found.get("head") or []) or None
    return {name: found[name] for name in known if name in found}


def without_columns(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Heads without what only says where in a file their labels stood."""
    return [{name: value for name, value in table.items() if name not in _OF_TABLE_FILES} for table in tables]


def seed_of(random_state: Any) -> int:
    """None: another seed each time; a generator of NumPy is asked for one."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    seed: int = plain(random_state)  # whether it may be one, the rules of the parameters say
    return seed


def plain(value: Any) -> Any:
    """The value as it would stand in a file of parameters."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is MISSING or isinstance(value, type):
        return value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _in_words_of_estimators(sentence: str) -> str:
    for of_files, of_estimators in _WORDS:
        sentence = sentence.replace(of_files, of_estimators)
    return sentence
