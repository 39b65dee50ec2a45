"""History and importances of a study as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queueing.optimize.spec import Spec
from queueing.optimize.view import front, history
from store.errors import UserError
from store.studies import Study, Trial, TrialState

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_study(
    study: Study, spec: Spec, trials: Sequence[Trial], shares: Sequence[dict[str, float]], path: str
) -> None:
    """One row per objective: every trial and the best so far; beside it what mattered. Two objectives: their front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = len(spec.objectives)
    fig, axes = plt.subplots(rows, 2, figsize=(11, 3.6 * rows), squeeze=False, layout="constrained")
    for row in range(rows):
        _draw_history(axes[row][0], spec, trials, row)
        if rows == 2 and row == 1:
            _draw_front(axes[row][1], spec, trials)
        else:
            _draw_importances(axes[row][1], shares[row] if row < len(shares) else {})
    fig.suptitle(study.name)
    try:
        fig.savefig(Path(path), dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        plt.close(fig)


def _draw_history(axes: "Axes", spec: Spec, trials: Sequence[Trial], row: int) -> None:
    numbers, values, so_far = history(spec, trials, row)
    axes.plot(numbers, values, "o", markersize=3.5, alpha=0.6, label="trial")
    axes.step(numbers, so_far, where="post", label="best so far")
    lost = [trial.number for trial in trials if trial.number >= 0 and trial.state in _LOST]
    if lost and values:
        axes.plot(lost, [max(values)] * len(lost), "x", markersize=4, color="grey", label="failed or stopped")
    positive = bool(values) and min(values) > 0
    if positive and max(values) > 50 * min(values):
        axes.set_yscale("log")
    axes.set_xlabel("trial")
    axes.set_ylabel(spec.objectives[row].metric)
    axes.legend(frameon=False)


def _draw_importances(axes: "Axes", found: dict[str, float]) -> None:
    if not found:
        axes.set_axis_off()
        return
    shown: list[tuple[str, Any]] = list(reversed(list(found.items())[:15]))
    axes.barh([name for name, _ in shown], [share for _, share in shown])
    axes.set_xlabel("importance (PED-ANOVA)")


def _draw_front(axes: "Axes", spec: Spec, trials: Sequence[Trial]) -> None:
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = front(spec, complete)
    axes.plot([t.values[0] for t in complete], [t.values[1] for t in complete], "o", markersize=3.5, alpha=0.5)
    axes.plot([t.values[0] for t in best], [t.values[1] for t in best], "o-", label="front")
    axes.set_xlabel(spec.objectives[0].metric)
    axes.set_ylabel(spec.objectives[1].metric)
    axes.legend(frameon=False)


_LOST = (TrialState.FAILED, TrialState.PRUNED)
