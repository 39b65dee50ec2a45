"""The text of --help, made from the parameters themselves."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from enum import Enum
from typing import Any

from trainer.config import ClassifierConfig, Common, Head, LanguageModelConfig, SequenceData, TextData

_INTRO = """\
python -P -m trainer            train; parameters from the JSON file that LABQ_PARAMS names, results through labq
python -P -m trainer --check    read a JSON object of parameters a line, print a JSON list of its problems a line
python -P -m trainer --bench    threads x batches, in both ways of training in parallel; --bench --help says more
python -P -m trainer --help     this text

Prepared data is kept for later runs in the folder that RNN_DATA_CACHE names (off: nowhere), else in LABQ_HOME or the
user's cache folder, up to RNN_DATA_CACHE_GB gigabytes (4).

Metrics whose names begin with clock_ are read from the clock; all others are the same bits in every repetition.
Exit codes: 0 finished, or told to stop and checkpointed; 2 the parameters or the data are wrong.
"""


def help_text() -> str:
    """All parameters with defaults, allowed values and meanings."""
    common = {f.name for f in fields(Common)}
    parts = [
        _INTRO,
        _section("Both models", list(fields(Common))),
        _section('model = "language-model"', _own(LanguageModelConfig, common)),
        _section('model = "language-model", table [data]', list(fields(TextData))),
        _section('model = "classifier"', _own(ClassifierConfig, common)),
        _section('model = "classifier", table [data]', list(fields(SequenceData))),
        _section('model = "classifier", tables [[head]]', list(fields(Head))),
    ]
    return "\n".join(parts)


def _own(kind: type[Any], common: set[str]) -> list[Field[Any]]:
    """The parameters of one model that the other has not, or has with another default."""
    defaults = {f.name: f.default for f in fields(Common)}
    return [f for f in fields(kind) if "rule" in f.metadata and (f.name not in common or f.default != defaults[f.name])]


def _section(title: str, parameters: list[Field[Any]]) -> str:
    return "\n".join([title, *(_line(f) for f in parameters), ""])


def _line(f: Field[Any]) -> str:
    default = "required" if f.default is MISSING else _shown(f.default)
    return f"  {f.name:<20} {default:<16} {f.metadata['doc']} ({f.metadata['rule'].allowed})"


def _shown(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else json.dumps(value)
