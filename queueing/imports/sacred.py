"""What a run of Sacred is in labq: pure but for the files and series that are read when they are stored.

COMPLETED is finished, FAILED and TIMEOUT failed, INTERRUPTED and unknown words cancelled. A run that is RUNNING and has
beaten its heart lately is left for another import; one that has not is failed, lost.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from queueing.imports.cleaning import experiment_name, metric_name, number, param, tag, utc, whole
from queueing.imports.elsewhere import Elsewhere, File
from store.metrics import BUCKET_POINTS, Segment
from store.states import Reason, State

Document = Mapping[str, Any]
ALIVE = timedelta(minutes=5)
"""Sacred's heart beats every ten seconds."""
STATES: dict[str, tuple[State, Reason | None]] = {
    "COMPLETED": (State.FINISHED, None),
    "FAILED": (State.FAILED, Reason.ERROR),
    "TIMEOUT": (State.FAILED, Reason.TIME_LIMIT),
    "INTERRUPTED": (State.CANCELLED, Reason.STOPPED),
    "RUNNING": (State.FAILED, Reason.LOST),
}
_LONGEST = 500
_INT = 2**31


def waits(document: Document, now: datetime) -> str:
    """Why a run cannot be imported yet; "" when it can."""
    status = str(document.get("status"))
    if status == "QUEUED" or not document.get("start_time"):
        return "has not begun"
    beat = document.get("heartbeat") or document["start_time"]
    return "is running" if status == "RUNNING" and now - utc(beat) < ALIVE else ""


def elsewhere(
    document: Document,
    *,
    index: int,
    experiment: str,
    series: Callable[[], Iterable[Document]],
    fetch: Callable[[Any, Path], bool],
    with_files: bool = True,
) -> Elsewhere:
    """A run that has begun. `experiment`: "" takes Sacred's name."""
    status, began = str(document.get("status")), utc(document["start_time"])
    state, reason = STATES.get(status, (State.CANCELLED, Reason.STOPPED))
    ended = document.get("stop_time") or document.get("heartbeat")
    trace = [line for line in document.get("fail_trace") or [] if str(line).strip()]
    told = document.get("experiment") or {}
    name = experiment or experiment_name(str(told.get("name") or "")) or "sacred"
    return Elsewhere(
        original=f"run {document['_id']}",
        identity=("sacred", str(document["_id"]), began.isoformat()),
        experiment=name,
        params=_table(document.get("config")),
        state=state,
        reason=reason,
        message=str(trace[-1]).strip()[:_LONGEST] if trace else "",
        remark=_remark(document, status),
        index=document["_id"] if isinstance(document["_id"], int) and 0 <= document["_id"] < _INT else index,
        tags=_tags(document),
        command=tuple(filter(None, [str(told.get("mainfile") or ""), str(document.get("command") or "")])),
        queued_at=began,
        started_at=began,
        ended_at=max(utc(ended), began) if isinstance(ended, datetime) else began,
        facts=_facts(document),
        git=_git(told),
        output=_output(document, trace),
        points=partial(_points, document, series),
        files=tuple(_files(document, told, fetch)) if with_files else (),
    )


def _table(config: Any) -> dict[str, Any]:
    found = param(config or {})
    return found if isinstance(found, dict) else {"config": found}


def _remark(document: Document, status: str) -> str:
    result, said = document.get("result"), []
    if status not in STATES:
        said.append(f"Sacred's status: {status}")
    comment = ((document.get("meta") or {}).get("comment")) or (document.get("omniboard") or {}).get("notes")
    said += [str(comment)] if comment else []
    if result is not None and number(result) is None and not isinstance(result, dict):
        said.append(f"result: {param(result)}")
    return "; ".join(said)[:_LONGEST]


def _tags(document: Document) -> tuple[str, ...]:
    kept = [*((document.get("omniboard") or {}).get("tags") or []), *((document.get("meta") or {}).get("tags") or [])]
    return tuple(dict.fromkeys(cleaned for one in kept if (cleaned := tag(str(one)))))


def _facts(document: Document) -> dict[str, Any]:
    host = document.get("host") or {}
    facts = {"host": host.get("hostname"), "python": host.get("python_version"), "cpu": host.get("cpu")}
    os_name = host.get("os")
    facts["os"] = " ".join(map(str, os_name)) if isinstance(os_name, list | tuple) else os_name
    return {name: str(value) for name, value in facts.items() if value}


def _git(told: Document) -> dict[str, Any] | None:
    for one in told.get("repositories") or []:
        if isinstance(one, dict) and one.get("commit"):
            return {
                "commit": str(one["commit"]), "dirty": bool(one.get("dirty")), "branch": None,
                "repository": str(one.get("url") or ""), "remote": str(one.get("url") or ""), "diff": None,
            }  # fmt: skip
    return None


def _output(document: Document, trace: list[Any]) -> bytes:
    printed = str(document.get("captured_out") or "")
    traced = "".join(map(str, trace))
    if traced and traced.strip() not in printed:
        printed = f"{printed.rstrip()}\n{traced}" if printed.strip() else traced
    return printed.encode(errors="replace")


# ── points ──
def _points(document: Document, series: Callable[[], Iterable[Document]]) -> Iterator[Segment]:
    """A bucket at a time. The result comes last, as a metric of its own."""
    line, last_step, taken = 0, 0, set()
    for one in series():
        name = metric_name(str(one.get("name")))
        if name in taken:
            continue
        taken.add(name)
        rows = list(_rows(one, utc(document["start_time"]).timestamp()))
        for start in range(0, len(rows), BUCKET_POINTS):
            part = rows[start : start + BUCKET_POINTS]
            steps, times, values = zip(*part, strict=True)
            lines = range(line + start + 1, line + start + 1 + len(part))
            yield Segment(name=name, index=start, lines=list(lines), steps=steps, times=times, values=values)
        line += len(rows)
        last_step = max([last_step, *(step for step, _, _ in rows)])
    ended = document.get("stop_time") or document["start_time"]
    for name, value in _results(document.get("result")):
        if name not in taken:
            line += 1
            at = utc(ended).timestamp()
            yield Segment(name=name, index=0, lines=[line], steps=[last_step], times=[at], values=[value])


def _rows(one: Document, began: float) -> Iterator[tuple[int, float, float]]:
    """(step, time, value); values that are no numbers are left out, a step that is no whole number is counted."""
    steps, values = one.get("steps") or [], one.get("values") or []
    times = one.get("timestamps") or []
    for place, raw in enumerate(values):
        value = number(raw)
        if value is None:
            continue
        step = whole(steps[place]) if place < len(steps) else None
        at = times[place] if place < len(times) and isinstance(times[place], datetime) else None
        yield place if step is None else step, utc(at).timestamp() if at else began, value


def _results(result: Any) -> Iterator[tuple[str, float]]:
    value = number(result)
    if value is not None:
        yield "result", value
    elif isinstance(result, dict):
        for name, inner in result.items():
            if (found := number(inner)) is not None:
                yield metric_name(f"result.{name}"), found


# ── files ──
def _files(document: Document, told: Document, fetch: Callable[[Any, Path], bool]) -> Iterator[File]:
    for one in document.get("artifacts") or []:
        if isinstance(one, dict) and one.get("file_id") is not None:
            yield File(name=str(one.get("name") or "artifact"), fetch=partial(fetch, one["file_id"]))
    for one in told.get("sources") or []:
        if isinstance(one, list | tuple) and len(one) == 2:
            yield File(name=f"sources/{one[0]}", fetch=partial(fetch, one[1]))
