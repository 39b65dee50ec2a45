"""Numbers in words for a mail."""

from store.runs import MetricSummary, Run


def metric_line(summary: MetricSummary) -> str:
    """`0.211 at step 900; least 0.209 at 850, most 1.2 at 0`"""
    line = f"{summary.last:.6g} at step {summary.last_step}"
    if summary.min is not None and summary.max is not None:
        line += f"; least {summary.min:.6g} at {summary.min_step}, most {summary.max:.6g} at {summary.max_step}"
    return line


def params_line(run: Run) -> str:
    """`lr=0.01, n_hidden=32`"""
    return ", ".join(f"{name}={value}" for name, value in run.params.items())[:500] or "none"


def took(run: Run) -> str:
    """From the first start to the end, waiting included."""
    if run.started_at is None or run.ended_at is None:
        return "not started"
    minutes, seconds = divmod(int((run.ended_at - run.started_at).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
