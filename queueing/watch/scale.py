"""From values to places on a canvas, and the figures beside it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from queueing.units import format_duration
from queueing.watch.curves import Axis, Curve, Numbers

_MOST = 1e300
"""What lies beyond is drawn there: differences of such numbers would be infinite."""
_FAR = 10.0
"""A curve that spans so many times more than the others is cut off at the edge: else all others were one flat line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The values at both ends. `log`: equal factors are equally long."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Numbers) -> Numbers:
        """0 at `low`, 1 at `high`; NaN for what has no place, such as a negative value on a logarithmic scale."""
        low, high = self._bent(np.array([self.low, self.high]))
        found: Numbers = (self._bent(values) - low) / ((high - low) or 1.0)
        return found

    def at(self, place: float) -> float:
        """The value there."""
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place

    def ticks(self, most: int) -> list[float]:
        """Round values between the ends."""
        found = _decades(self.low, self.high, most) if self.log else _round(self.low, self.high, most)
        return found if len(found) > 1 else [self.low, self.high]

    def _bent(self, values: Numbers) -> Numbers:
        if not self.log:
            return np.where(np.isfinite(values), np.clip(values, -_MOST, _MOST), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            bent = np.log10(np.clip(values, None, _MOST))
        return np.where(np.isfinite(bent), bent, np.nan)


def scale_of(curves: Sequence[Numbers], *, log: bool) -> Scale:
    """That shows what most of these show: a curve that explodes, or one spike, does not flatten the others."""
    known = [values[np.isfinite(values) & ((values > 0) if log else np.isfinite(values))] for values in curves]
    known = [values for values in known if len(values)]
    if not known:
        return Scale(low=0.1 if log else 0.0, high=1.0, log=log)
    every = np.clip(np.concatenate(known if log else _near(known)), -_MOST, _MOST)
    low, high = float(every.min()), float(every.max())
    if not log:
        some_low, some_high = (float(value) for value in np.quantile(every, [0.02, 0.98]))
        room = 3 * (some_high - some_low)
        if room > 0:
            low, high = max(low, some_low - room), min(high, some_high + room)
    return _wide(low, high, log=log)


def span_of(curves: Sequence[Curve], axis: Axis) -> Scale:
    """From the first to the last point of all."""
    ends = [(float(along.min()), float(along.max())) for curve in curves if len(along := curve.along(axis))]
    if not ends:
        return Scale(low=0.0, high=1.0)
    return _wide(min(low for low, _ in ends), max(high for _, high in ends), log=False)


def tick_words(value: float, span: float = 0.0) -> str:
    """At most seven characters, as many digits as tell neighbours apart."""
    if value == 0 or (span and abs(value) < span * 1e-9):
        return "0"
    if span and 1e-3 <= abs(value) < 1e5:
        digits = max(0, min(5, 1 - math.floor(math.log10(span))))
        return f"{value:.{digits}f}"
    return f"{value:.2g}" if not 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def along_words(value: float, axis: Axis) -> str:
    """A step or a time since the beginning."""
    return format_duration(value) if axis is Axis.TIME else f"{value:,.0f}".replace(",", " ")


def _near(curves: Sequence[Numbers]) -> list[Numbers]:
    ends = [np.quantile(np.clip(values, -_MOST, _MOST), [0.1, 0.9]) for values in curves]
    spans = [float(high - low) for low, high in ends]
    usual = median_low(spans)
    return [values for values, span in zip(curves, spans, strict=True) if span <= _FAR * usual] or list(curves)


def _wide(low: float, high: float, *, log: bool) -> Scale:
    """Ends that differ."""
    if high > low:
        return Scale(low=low, high=high, log=log)
    if log:
        return Scale(low=low / 2, high=high * 2, log=True)
    room = abs(low) / 10 or 1.0
    return Scale(low=low - room, high=high + room)


def _round(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    """Powers of ten; where these are too few, also two and five times as much."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for sizes, every in (((1, 2, 5), 1), ((1,), 1), ((1,), -(-(last - first + 1) // max(1, most)))):
        found = [size * 10.0**power for power in range(first, last + 1, every) for size in sizes]
        found = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(found) <= most:
            break
    return found
