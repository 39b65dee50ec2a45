"""How good answers are, one number each. Greater is better, as scikit-learn wants it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.arrays import Doubles
from trainer.config import Head, HeadKind


def score_of(found: Sequence[tuple[Head, Doubles]], targets: Doubles) -> float:
    """The mean of the scores of all heads; targets: (n, n_out)."""
    scores, first = [], 0
    for head, answers in found:
        scores.append(_score(head, answers, targets[:, first : first + head.size]))
        first += head.size
    return float(np.mean(scores))


def _score(head: Head, answers: Doubles, targets: Doubles) -> float:
    if head.kind is HeadKind.LINEAR:
        return r_squared(answers, targets)
    if head.kind is HeadKind.SOFTMAX:
        return float(np.mean(answers.argmax(axis=1) == targets.argmax(axis=1)))
    return float(np.mean((answers > 0.5) == (targets > 0.5)))


def r_squared(answers: Doubles, targets: Doubles) -> float:
    """1 - (sum of squared errors) / (sum of squares about the mean), mean over the columns   # (n, k), (n, k)

    Of a constant column: 1 when it is met, else 0.
    """
    errors = ((targets - answers) ** 2).sum(axis=0)
    spread = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    constant = spread == 0
    shares = np.where(constant, (errors == 0).astype(np.float64), 1 - errors / np.where(constant, 1.0, spread))
    return float(shares.mean())
