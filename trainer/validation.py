"""From the JSON object of the parameters file to a configuration, or to the list of everything wrong with it."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any

from trainer.config import (
    MODELS,
    Config,
    Head,
    LanguageModelConfig,
    ModelKind,
    SequenceData,
    StoppingRule,
    TextData,
)
from trainer.data.consistency import problems_of_sequences, problems_of_text
from trainer.errors import UserMistake
from trainer.rules import Refused, choice
from trainer.unused import unused

_TABLES = {"data", "head"}


def load_config(params: object) -> Config:
    """The configuration. Raises UserMistake naming every problem, one a line."""
    config, problems = parse(params)
    if config is None:
        raise UserMistake("\n".join(problems))
    return config


def check(params: object) -> list[str]:
    """Everything wrong with the parameters; an empty list when they are fine."""
    return parse(params)[1]


def parse(params: object) -> tuple[Config | None, list[str]]:
    """The configuration (None when there are problems) and the problems."""
    if not isinstance(params, dict):
        return None, [f"the parameters are {_show(params)}; allowed: a JSON object"]
    try:
        model: ModelKind = choice(ModelKind).parse(params.get("model"))
    except Refused:
        found = f"model is {_show(params['model'])}" if "model" in params else "model is missing"
        return None, [f"{found}; allowed: {choice(ModelKind).allowed}"]
    return _parse_model(model, params)


def _parse_model(model: ModelKind, params: dict[str, Any]) -> tuple[Config | None, list[str]]:
    problems: list[str] = []
    values = _table(MODELS[model], params, "", problems)
    data_kind = TextData if model is ModelKind.LANGUAGE_MODEL else SequenceData
    values["data"] = _record(data_kind, params.get("data", {}), "data", problems)
    if model is ModelKind.CLASSIFIER:
        values["head"] = _heads(params.get("head", []), problems)
    if problems:
        return None, problems
    config = MODELS[model](**values)
    problems = _across(config)
    return (None if problems else config), problems


def _heads(found: object, problems: list[str]) -> tuple[Head, ...]:
    if not isinstance(found, list):
        problems.append(f"head is {_show(found)}; allowed: a list of tables with name, kind and size")
        return ()
    heads = [_record(Head, item, f"head[{index}]", problems) for index, item in enumerate(found)]
    return tuple(head for head in heads if head is not None)


def _record(kind: type[Any], found: object, where: str, problems: list[str]) -> Any:
    if not isinstance(found, dict):
        problems.append(f"{where} is {_show(found)}; allowed: a table")
        return None
    before = len(problems)
    values = _table(kind, found, where + ".", problems)
    return kind(**values) if len(problems) == before else None


def _table(kind: type[Any], found: dict[str, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    """The values of one table that are allowed; what is not goes to the problems."""
    known = {f.name: f for f in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name not in known:
            problems.append(_unknown(kind, name, prefix))
        elif name in _TABLES and not prefix:
            continue
        else:
            _parse_value(known[name].metadata["rule"], name, value, prefix, values, problems)
    for name, item in known.items():
        if item.default is MISSING and name not in found:
            problems.append(f"{prefix}{name} is missing; allowed: {item.metadata['rule'].allowed}")
    return values


def _parse_value(rule: Any, name: str, value: object, prefix: str, values: dict[str, Any], problems: list[str]) -> None:
    try:
        values[name] = rule.parse(value)
    except Refused:
        problems.append(f"{prefix}{name} is {_show(value)}; allowed: {rule.allowed}")


def _unknown(kind: type[Any], name: str, prefix: str) -> str:
    from difflib import get_close_matches

    for model, other in MODELS.items():
        if not prefix and name in {f.name for f in fields(other)} and other is not kind:
            return f"{name} is a parameter of the {model.value}, not of this model"
    known = [f.name for f in fields(kind)]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return f"unknown parameter {prefix}{name}; {hint}"


def _across(config: Config) -> list[str]:
    """What is wrong between parameters that are each fine by themselves."""
    problems = problems_of_text(config) if isinstance(config, LanguageModelConfig) else problems_of_sequences(config)
    data = config.data
    holds_back = data.valid is not None or data.valid_slice is not None or data.valid_fraction > 0
    if config.early_stopping is not StoppingRule.NONE and not holds_back:
        problems.append("early_stopping needs validation data; allowed: data.valid or data.valid_fraction > 0")
    return problems + unused(config)


def _show(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    return shown if len(shown) <= 60 else shown[:57] + "…"
