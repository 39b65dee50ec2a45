"""What the optimizer is told of a trial: a pure function of its runs, as they ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan

from queueing.optimize.spec import Spec
from queueing.optimize.table import ObjectiveTable
from store.metrics import Series
from store.runs import MetricSummary, Run
from store.states import ENDED, Reason, State
from store.studies import Trial, TrialState

MOST_POINTS = 100

SeriesOf = Callable[[Run, str], Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to tell. `points`: (step, value) of a trial that was stopped on the way."""

    state: TrialState
    values: tuple[float, ...] = ()
    points: tuple[tuple[int, float], ...] = ()
    why: str = ""


def have_ended(trial: Trial, runs: Sequence[Run]) -> bool:
    """Whether all runs of the trial have."""
    return len(runs) == len(trial.runs) and all(run.state in ENDED for run in runs)


def token(spec: Spec, runs: Sequence[Run]) -> str:
    """Names these endings: another attempt, or figures that were added later, make another token."""
    metrics = [objective.metric for objective in spec.objectives]
    counts = {run.id: sum(run.summary[name].count for name in metrics if name in run.summary) for run in runs}
    return " ".join(f"{run.id}/{run.attempt}/{run.state}/{counts[run.id]}" for run in runs)


def judge(spec: Spec, runs: Sequence[Run], series: SeriesOf) -> Verdict:
    """Of several repeats: the mean of those that have a value."""
    verdicts = [_judge_one(spec, run, series) for run in runs]
    complete = [one for one in verdicts if one.state is TrialState.COMPLETE]
    if not complete:
        pruned = [one for one in verdicts if one.state is TrialState.PRUNED]
        return (pruned or verdicts)[0]
    columns = zip(*(one.values for one in complete), strict=True)
    means = tuple(sum(column) / len(complete) for column in columns)
    lost = [one.why for one in verdicts if one.state is not TrialState.COMPLETE]
    return Verdict(
        state=TrialState.COMPLETE, values=means, why=f"without {len(lost)} repeats: {lost[0]}" if lost else ""
    )


def _judge_one(spec: Spec, run: Run, series: SeriesOf) -> Verdict:
    if run.state is State.FINISHED:
        return _finished(spec, run, series)
    if run.state is State.CANCELLED or run.reason is Reason.DIVERGED:
        return _stopped(spec, run, series)
    said = run.ending.message.strip().splitlines() if run.ending and run.ending.message else []
    return Verdict(state=TrialState.FAILED, why=": ".join([str(run.reason or run.state), *said[-1:]])[:300])


def _finished(spec: Spec, run: Run, series: SeriesOf) -> Verdict:
    values = []
    for objective in spec.objectives:
        value = value_of(objective, run, series)
        if value is None:
            known = ", ".join(sorted(run.summary)[:10]) or "nothing"
            return Verdict(state=TrialState.FAILED, why=f"reported no {_named(objective)}; it has: {known}")
        if not isfinite(value):
            return _diverged(spec, f"{objective.metric} is {value}")
        values.append(value)
    return Verdict(state=TrialState.COMPLETE, values=tuple(values))


def _named(objective: ObjectiveTable) -> str:
    return f"{objective.metric} at the best {objective.at}" if objective.at else objective.metric


def _diverged(spec: Spec, why: str) -> Verdict:
    """Worse than all others, where a sampler can be told so: as pruned without any point."""
    return Verdict(state=TrialState.PRUNED if len(spec.objectives) == 1 else TrialState.FAILED, why=why)


def _stopped(spec: Spec, run: Run, series: SeriesOf) -> Verdict:
    """With the values it had on the way: the sampler learns from them. Of several objectives none can."""
    why = run.remark or (run.ending.message if run.ending else "") or str(run.reason or run.state)
    objective = spec.objectives[0]
    if len(spec.objectives) > 1 or objective.metric not in run.summary:
        return _diverged(spec, why) if run.reason is Reason.DIVERGED else Verdict(state=TrialState.FAILED, why=why)
    reported = series(run, objective.metric)
    points = [(step, v) for step, v in zip(reported.steps, reported.values, strict=True) if isfinite(v)]
    summary = run.summary[objective.metric]
    best = summary.max if objective.direction == "maximize" else summary.min
    values = (best,) if best is not None and isfinite(best) else ()
    return Verdict(state=TrialState.PRUNED, values=values, points=_thinned(points), why=why)


def value_of(objective: ObjectiveTable, run: Run, series: SeriesOf) -> float | None:
    """The number the objective means, or None when the run did not report it. NaN is one, where it came last."""
    summary = run.summary.get(objective.metric)
    if summary is None:
        return None
    if objective.at is not None:
        return _at_best(objective, run, series)
    return _stat(objective, summary)


def _stat(objective: ObjectiveTable, summary: MetricSummary) -> float | None:
    if objective.value == "last":
        return summary.last
    greatest = objective.value == "max" or (objective.value == "best" and objective.direction == "maximize")
    found = summary.max if greatest else summary.min
    return summary.last if found is None else found


def _at_best(objective: ObjectiveTable, run: Run, series: SeriesOf) -> float | None:
    """The value at the step where another metric was best; that one is minimized unless its name says otherwise."""
    assert objective.at is not None
    name, greatest = objective.at.removesuffix(":max"), objective.at.endswith(":max")
    guide = run.summary.get(name)
    step = None if guide is None else guide.max_step if greatest else guide.min_step
    if step is None:
        return None
    reported = series(run, objective.metric)
    at = [value for s, value in zip(reported.steps, reported.values, strict=True) if s == step]
    return at[-1] if at else None


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Evenly, the last one always; one value per step."""
    once = list({step: (step, value) for step, value in points if not isnan(value)}.values())
    if len(once) <= MOST_POINTS:
        return tuple(once)
    spacing = (len(once) - 1) / (MOST_POINTS - 1)
    return tuple(once[round(k * spacing)] for k in range(MOST_POINTS))
