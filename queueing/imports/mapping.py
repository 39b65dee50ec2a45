"""Which column of a table is what. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from queueing.imports.cleaning import metric_name
from queueing.query.mistake import guess
from store.errors import UserError

_PARAMS = ("params.",)
_METRICS = ("metrics.", "last.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the command line says. Patterns may hold `*`; an empty tuple means: guess from the names."""

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    step: str = ""
    run: str = ""
    state: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Column names as the file has them: each parameter and metric with its name in labq."""

    params: dict[str, str]
    metrics: dict[str, str]
    step: str = ""
    run: str = ""
    state: str = ""
    time: str = ""


def mapped(columns: Sequence[str], chosen: Chosen) -> Mapping:
    """Raises UserError for names that no column has, or that are to be two things."""
    for option in ("step", "run", "state", "time"):
        name = getattr(chosen, option)
        if name and name not in columns:
            raise UserError(f"--{option} {name}: no column is called so{guess(name, columns)}")
    taken = {chosen.step, chosen.run, chosen.state, chosen.time} - {""}
    free = [name for name in columns if name not in taken]
    metrics = _matching("--metrics", chosen.metrics, columns) or _prefixed(free, _METRICS)
    if not metrics:
        raise UserError(f"say which columns are metrics: --metrics NAME,…; there are: {', '.join(free) or 'none'}")
    params = _matching("--params", chosen.params, columns) or _prefixed(free, _PARAMS)
    if not params and not chosen.params:
        params = [name for name in free if name not in metrics and not name.startswith("best.")]
    for name in (*params, *metrics):
        if name in taken or (name in params and name in metrics):
            raise UserError(
                f"column {name!r} cannot be two things: name it once in --params, --metrics, --run, --step, …"
            )
    return Mapping(
        params={name: _bare(name, _PARAMS) for name in params},
        metrics=_distinct({name: metric_name(_bare(name, _METRICS)) for name in metrics}),
        step=chosen.step,
        run=chosen.run,
        state=chosen.state,
        time=chosen.time,
    )


def _matching(option: str, patterns: Iterable[str], columns: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        some = [name for name in columns if name == pattern] or [name for name in columns if fnmatchcase(name, pattern)]
        if not some:
            raise UserError(f"{option} {pattern}: no column is called so{guess(pattern, columns)}")
        found |= dict.fromkeys(some)
    return list(found)


def _prefixed(columns: Sequence[str], prefixes: tuple[str, ...]) -> list[str]:
    return [name for name in columns if name.startswith(prefixes)]


def _bare(name: str, prefixes: tuple[str, ...]) -> str:
    prefix = next((one for one in prefixes if name.startswith(one) and len(name) > len(one)), "")
    return name.removeprefix(prefix)


def _distinct(metrics: dict[str, str]) -> dict[str, str]:
    names = list(metrics.values())
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        both = ", ".join(column for column, name in metrics.items() if name == twice)
        raise UserError(f"--metrics: {both} would all be the metric {twice!r}; choose one")
    return metrics
