"""A study's specification in a few lines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queueing.optimize.spec import Spec


def study_lines(spec: "Spec") -> list[str]:
    """What is optimized, over what, how long."""
    table = spec.table
    engine = {"smac": "SMAC3", "ask": "yours, through labq ask"}.get(
        table.engine, f"{table.sampler}, seed {table.seed}"
    )
    goals = [
        f"{one.direction} {one.metric} ({f'at the best {one.at}' if one.at else one.value})" for one in spec.objectives
    ]
    lines = [f"  optimizer {engine}", f"  goal      {', '.join(goals)}", f"  over      {', '.join(spec.space.names)}"]
    lines += [f"  where     {text}" for text in table.where]
    budget = [
        f"{table.trials} trials" if table.trials else "",
        f"{table.hours:g} h of runs" if table.hours else "",
        f"{table.epochs:g} {table.epochs_metric or 'epochs'}" if table.epochs else "",
    ]
    repeats = f", each {table.repeat} times" if table.repeat > 1 else ""
    lines.append(
        f"  budget    {' or '.join(one for one in budget if one) or 'none'}{repeats}, {table.parallel} at once"
    )
    spoiled = [one.metric for one in spec.objectives if one.metric.lower().startswith("test")]
    if spoiled:
        lines.append(
            f"  careful   {spoiled[0]} looks like a test metric: what is optimized on it says nothing any more"
        )
    return lines
