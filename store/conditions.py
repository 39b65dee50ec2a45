"""A condition as plain values and back, so that it can be stored: MongoDB and JSON know no classes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.errors import BadQuery
from store.query import (
    All,
    Among,
    Compared,
    Condition,
    Contains,
    Field,
    Like,
    Metric,
    Missing,
    Not,
    Op,
    Param,
    RunField,
    Some,
    Stat,
)

_MANY: dict[str, type[All] | type[Some]] = {"all": All, "some": Some}


def as_plain(condition: Condition) -> dict[str, Any]:
    """One key says what it is. Raises BadQuery for a raw filter, which only MongoDB can answer."""
    match condition:
        case All(parts=parts):
            return {"all": [as_plain(part) for part in parts]}
        case Some(parts=parts):
            return {"some": [as_plain(part) for part in parts]}
        case Not(part=part):
            return {"not": as_plain(part)}
        case Compared(field=field, op=op, value=value):
            return {"compared": _field(field), "op": op.value, "value": value}
        case Among(field=field, values=values):
            return {"among": _field(field), "values": list(values)}
        case Like(field=field, pieces=pieces):
            return {"like": _field(field), "pieces": list(pieces)}
        case Contains(field=field, text=text):
            return {"contains": _field(field), "text": text}
        case Missing(field=field):
            return {"missing": _field(field)}
    raise BadQuery("a filter in MongoDB's own words can only be asked of MongoDB")


def from_plain(value: Mapping[str, Any]) -> Condition:
    """Raises BadQuery for what a newer version has written."""
    for kind, make in _MANY.items():
        if kind in value:
            return make(parts=tuple(from_plain(part) for part in value[kind]))
    match value:
        case {"not": part}:
            return Not(part=from_plain(part))
        case {"compared": field, "op": str(op), "value": bool() | int() | float() | str() | datetime() as wanted}:
            return Compared(field=_read(field), op=Op(op), value=wanted)
        case {"among": field, "values": list(values)}:
            return Among(field=_read(field), values=tuple(values))
        case {"like": field, "pieces": list(pieces)}:
            return Like(field=_read(field), pieces=tuple(pieces))
        case {"contains": field, "text": str(text)}:
            return Contains(field=_read(field), text=text)
        case {"missing": field}:
            return Missing(field=_read(field))
    raise BadQuery(f"no condition of this version: {', '.join(value)}")


def _field(field: Field) -> dict[str, Any]:
    if isinstance(field, Metric):
        return {"metric": field.name, "stat": field.stat.value}
    return {"param": list(field.path)} if isinstance(field, Param) else {"run": field.value}


def _read(value: Mapping[str, Any]) -> Field:
    match value:
        case {"metric": str(name), "stat": str(stat)}:
            return Metric(name=name, stat=Stat(stat))
        case {"param": list(path)}:
            return Param(path=tuple(path))
        case {"run": str(name)}:
            return RunField(name)
    raise BadQuery(f"no field of this version: {value}")
