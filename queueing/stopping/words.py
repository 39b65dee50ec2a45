"""Rules as people read them."""

from queueing.stopping.rules import (
    Asha,
    Halving,
    Hyperband,
    Median,
    Minimum,
    MovingAverage,
    Patience,
    Percentile,
    Rule,
    Stopping,
)
from queueing.stopping.rungs import brackets, rungs_between


def better_words(stopping: Stopping) -> str:
    """What is judged."""
    if not stopping.metric:
        return "stopped by queries"
    better = "the smaller the better" if stopping.direction == "min" else "the greater the better"
    return f"{stopping.metric}, {better}, by {stopping.by}"


def rule_lines(stopping: Stopping) -> list[str]:
    """One line per rule."""
    return [f"{name}: {_words(rule)}" for name, rule in stopping.rules.items()]


def _words(rule: Rule) -> str:
    if isinstance(rule, Asha):
        waits = ", the others wait to be promoted" if rule.promote else ""
        return f"the best 1/{rule.eta:g} go on at {_first(rule)}{waits}"
    if isinstance(rule, Halving):
        return f"all wait at {_first(rule)}, then the best 1/{rule.eta:g} go on"
    if isinstance(rule, Hyperband):
        firsts = ", ".join(f"{rungs[0]:g}" for rungs in brackets(rule)[:-1])
        return f"{len(brackets(rule))} brackets, beginning at {firsts} and never; the best 1/{rule.eta:g} go on"
    if isinstance(rule, Median | Percentile):
        share = "the median" if isinstance(rule, Median) else f"the best {rule.percentile:g} %"
        return f"at {_first(rule)} no worse than {share} of at least {rule.siblings} others"
    if isinstance(rule, Patience):
        return f"stopped after {rule.patience:g} without a gain of more than {rule.delta:g}"
    if isinstance(rule, MovingAverage):
        return f"stopped when worse than the mean of {rule.patience} reports before"
    if isinstance(rule, Minimum):
        return f"stopped when above {1 - rule.alpha:g} of a minimum that is more than {rule.patience} reports old"
    return f"stopped when {rule.when}"


def _first(rule: Asha | Halving | Median | Percentile) -> str:
    rungs = rungs_between(rule, float("-inf"), 1e15)[:5]
    end = ", …" if len(rungs) == 5 else ""
    return f"{', '.join(f'{rung:g}' for rung in rungs)}{end}"
