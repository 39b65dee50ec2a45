"""Which field a name means. Pure.

A name is looked up among the run's own fields, then among metrics (`val_loss` is `last.val_loss`) and parameters (`lr`
is `params.lr`); one that is both a metric and a parameter must say which.
"""

from queueing.query.mistake import guess, mistake
from queueing.query.syntax import Name
from store.directions import greater_is_better
from store.errors import BadQuery
from store.query import Field, Metric, Names, Param, RunField, Stat

ALIASES: dict[str, RunField] = {
    "run": RunField.ID,
    "exp": RunField.EXPERIMENT,
    "tags": RunField.TAG,
    "commit": RunField.GIT,
    "git.commit": RunField.GIT,
    "git.branch": RunField.BRANCH,
    "git.dirty": RunField.DIRTY,
    "queued_at": RunField.CREATED,
    "started_at": RunField.STARTED,
    "ended_at": RunField.ENDED,
    **{field.value: field for field in RunField},
}
BEST = "best"
PARAMS = "params"
STATS: dict[str, Stat] = {stat.value: stat for stat in Stat}
_PREFIXES = (PARAMS, BEST, *STATS)


def field_of(name: Name, names: Names, query: str) -> Field:
    """Raises BadQuery, with what was probably meant."""
    if name.text.lower() in ALIASES:
        return ALIASES[name.text.lower()]
    head, rest = name.parts[0].lower(), name.parts[1:]
    if rest and head in ("param", PARAMS):
        return _param(name, rest, names, query)
    if rest and (head == BEST or head in STATS):
        return _metric(name, head, "/".join(rest), names, query)
    if len(name.parts) > 2 and head == "summary" and name.parts[-1] in STATS:
        return _metric(name, name.parts[-1], "/".join(name.parts[1:-1]), names, query)
    return _bare(name, names, query)


def _param(name: Name, path: tuple[str, ...], names: Names, query: str) -> Param:
    if all(path) and (_is_param(path, names) or not names.complete):
        return Param(path=path)
    said = guess(".".join(path), names.params)
    raise mistake(query, name.span, f"no run has a parameter {'.'.join(path)!r}{said}")


def _metric(name: Name, head: str, metric: str, names: Names, query: str) -> Metric:
    if metric not in names.metrics and (names.complete or not metric):
        raise mistake(query, name.span, f"no run has reported a metric {metric!r}{guess(metric, names.metrics)}")
    if head == BEST:
        return Metric(name=metric, stat=Stat.MAX if greater_is_better(metric) else Stat.MIN)
    return Metric(name=metric, stat=STATS[head])


def _bare(name: Name, names: Names, query: str) -> Field:
    metric = "/".join(name.parts)
    is_metric, is_param = metric in names.metrics, _is_param(name.parts, names)
    if is_metric and is_param:
        said = f"{name.text!r} is a metric and a parameter; write last.{name.text} or params.{name.text}"
        raise mistake(query, name.span, said)
    if is_metric:
        return Metric(name=metric)
    if is_param:
        return Param(path=name.parts)
    raise _unknown(name, names, query)


def _is_param(path: tuple[str, ...], names: Names) -> bool:
    """Numbers choose an item of a list: `params.head.0.kind` is known as `head.kind`."""
    named = ".".join((path[0], *(part for part in path[1:] if not part.isdecimal())))
    return ".".join(path) in names.params or named in names.params


def _unknown(name: Name, names: Names, query: str) -> BadQuery:
    known = [*RunField, *names.metrics, *names.params]
    if name.parts[0].lower() in _PREFIXES and len(name.parts) == 1:
        of = "a parameter" if name.parts[0].lower() == PARAMS else "a metric"
        return mistake(query, name.span, f"{name.text!r} is followed by a dot and the name of {of}")
    said = guess(name.text, (str(one) for one in known), most=0) or "; it is no field of a run"
    if "did you mean" not in said:
        said = _what_there_is(names)
    return mistake(query, name.span, f"unknown field {name.text!r}{said}")


def _what_there_is(names: Names) -> str:
    told = "; no metric has been reported and no parameter is known yet"
    if names.metrics or names.params:
        some = [f"{kind} {', '.join(sorted(found)[:12])}{', …' if len(found) > 12 else ''}"
                for kind, found in (("metrics", names.metrics), ("parameters", names.params)) if found]  # fmt: skip
        told = f"; there are {'; '.join(some)}"
    return f"{told}; and of every run {', '.join(RunField)}"
