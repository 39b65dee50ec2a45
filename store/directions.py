"""Which metric stands for a run, and whether more of it is better: guesses from names, the same everywhere."""

from collections.abc import Iterable

_GREATER_IS_BETTER = frozenset(
    {"acc", "accuracy", "auc", "auroc", "auprc", "f1", "precision", "recall", "score", "r2", "bleu", "rouge", "iou",
     "dice", "map", "reward", "return", "likelihood"}
)  # fmt: skip
_LESS_IS_BETTER = frozenset({"loss", "error", "err"})
_HELD_OUT = ("val", "valid", "validation", "dev", "test", "eval")
_OF_THE_NETWORK = ("gradient", "norm", "update", "dead", "flat", "clock", "lr", "learning", "epoch")


def greater_is_better(metric: str) -> bool:
    """Whether `best.METRIC` is its greatest value: a guess from the words of the name; min and max say it outright."""
    words = set(_words(metric))
    return not _GREATER_IS_BETTER.isdisjoint(words) and _LESS_IS_BETTER.isdisjoint(words)


def main_metric(names: Iterable[str]) -> str | None:
    """The one that stands for a run: on held-out data before training data, a loss before others; None: none does."""
    return min(names, key=_rank, default=None)


def _rank(metric: str) -> tuple[bool, int, bool, str]:
    words = _words(metric)
    held_out = next((place for place, name in enumerate(_HELD_OUT) if name in words), len(_HELD_OUT))
    return words[0] in _OF_THE_NETWORK, held_out, "loss" not in words, metric


def _words(metric: str) -> list[str]:
    return metric.lower().replace("/", "_").replace("-", "_").replace(" ", "_").split("_")
