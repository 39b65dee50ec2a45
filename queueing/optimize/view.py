"""A study as people look at it: counts, best trials, Pareto front. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from queueing.optimize.spec import Spec
from store.studies import Trial, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """`best`: one trial, or those that no other beats in all objectives at once."""

    counts: dict[str, int]
    best: tuple[Trial, ...]
    warm: int


def view_of(spec: Spec, trials: Sequence[Trial]) -> View:
    """Of all trials; those before the study take part in `best` only."""
    own = [trial for trial in trials if trial.number >= 0]
    counts = {state.value: sum(trial.state is state for trial in own) for state in TrialState}
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return View(counts=counts, best=tuple(front(spec, complete)), warm=len(trials) - len(own))


def front(spec: Spec, complete: Sequence[Trial]) -> list[Trial]:
    """The best one, the earliest of equals; of several objectives the Pareto front, by the first objective."""
    signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in spec.objectives]
    costs = {trial.number: [s * v for s, v in zip(signs, trial.values, strict=True)] for trial in complete}
    if len(signs) == 1:
        return sorted(complete, key=lambda one: (costs[one.number], abs(one.number)))[:1]
    kept = [one for one in complete if not any(_beats(costs[other.number], costs[one.number]) for other in complete)]
    return sorted(kept, key=lambda one: costs[one.number])


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


def history(spec: Spec, trials: Sequence[Trial], objective: int = 0) -> tuple[list[int], list[float], list[float]]:
    """Numbers, values, and the best value so far, of the study's own complete trials."""
    greatest = spec.objectives[objective].direction == "maximize"
    numbers, values, so_far = list[int](), list[float](), list[float]()
    for trial in trials:
        if trial.number < 0 or trial.state is not TrialState.COMPLETE:
            continue
        value = trial.values[objective]
        numbers.append(trial.number)
        values.append(value)
        best = so_far[-1] if so_far else value
        so_far.append(max(best, value) if greatest else min(best, value))
    return numbers, values, so_far
