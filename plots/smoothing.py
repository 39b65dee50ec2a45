"""Smoothing. Pure."""

import math

import numpy as np

from plots.picture import Floats

_LARGEST_POWER = 18.0  # of e, within one block: what is lost of a sum is far below what anybody sees


def smoothed(values: Floats, weight: float) -> Floats:
    """The exponential moving average s = weight s + (1 - weight) v from zero, divided by 1 - weight^n, so that its
    beginning is not pulled to zero (Kingma and Ba 2014, section 3). What is not finite stays, and is not averaged.
    """
    found = np.array(values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(found))
    if weight <= 0 or not len(known):
        return found
    counts = np.arange(1, len(known) + 1)
    found[known] = _from_zero(found[known], weight) / -np.expm1(counts * math.log(weight))
    return found


def _from_zero(values: Floats, weight: float) -> Floats:
    """In blocks, within which the powers of the weight stay in range."""
    size = max(1, min(len(values), int(_LARGEST_POWER / -math.log(weight))))
    padded = np.zeros(-(-len(values) // size) * size)
    padded[: len(values)] = values
    powers = weight ** np.arange(size)
    within = np.cumsum(padded.reshape(-1, size) / powers, axis=1) * powers * (1 - weight)
    before, carry = np.empty(len(within)), 0.0
    for place, last in enumerate(within[:, -1].tolist()):
        before[place] = carry
        carry = carry * float(powers[-1]) * weight + last
    whole: Floats = within + before[:, None] * (powers * weight)
    return whole.reshape(-1)[: len(values)]
