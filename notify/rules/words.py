"""One line about what happened. Pure."""

from store.events import Event
from store.findings import Finding
from store.occasions import Occasion
from store.runs import MetricSummary, Run
from store.workers import Worker

_LONGEST = 200


def ending_words(about: Occasion, run: Run, event: Event) -> str:
    """How the attempt of the event went: the run may have gone on since."""
    if about is Occasion.RESUMED:
        return f"attempt {event.attempt}, " + (f"from step {event.step}" if event.step is not None else "from scratch")
    if about is Occasion.FINISHED:
        return metric_words(run)
    told = next((one.ending for one in run.history if one.number == event.attempt), None)
    said = [str(event.reason) if event.reason else "", event.because, told.message if told else ""]
    return _short(": ".join(part for part in said if part))


def finding_words(finding: Finding) -> str:
    """`divergence of val_loss: …`"""
    about = f" of {finding.about}" if finding.about else ""
    return _short(f"{finding.disease}{about}: {finding.evidence}")


def metric_words(run: Run) -> str:
    """The last value of the metric that tells most of a result."""
    first = min(run.summary, key=_rank, default="")
    return f"{first} {run.summary[first].last:.4g}" if first else ""


def _rank(name: str) -> tuple[bool, bool, str]:
    return name.startswith("clock_"), not name.startswith(("val", "test")), name


def running_words(run: Run) -> str:
    """How far it is."""
    done = f"{run.progress.fraction:.0%}" if run.progress is not None else ""
    return ", ".join(part for part in (done, metric_words(run)) if part)


def best_words(metric: str, summary: MetricSummary, greatest: bool, before: float | None) -> str:
    """`val_loss 0.211, before 0.230`"""
    value = summary.max if greatest else summary.min
    return f"{metric} {value:.4g}" + (f", before {before:.4g}" if before is not None else "")


def lost_words(worker: Worker) -> str:
    """Who, and what it was doing."""
    held = f", it held run {worker.run}" if worker.run else ""
    return f"worker {worker.name} on {worker.host} was not seen since {worker.seen_at:%Y-%m-%d %H:%M:%S} UTC{held}"


def disk_words(host: str, free_bytes: int, floor_bytes: int) -> str:
    """How much is left."""
    return f"{host} has {free_bytes / 1e6:.0f} MB free, runs begin with {floor_bytes / 1e6:.0f} MB only"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
