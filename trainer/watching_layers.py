"""What happens inside the layers: lengths of gradients and updates, and units that no longer take part."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.arrays import Floats, Ints
from trainer.config import Activation, ClassifierConfig, Common, Watch
from trainer.kernels.activations import CAP
from trainer.kernels.linear import norm
from trainer.layout import Layout
from trainer.models import Model
from trainer.state import TrainingState

_WATCHED_SEQUENCES = 100
# A tanh this near to its end has a slope below 0.02; a sigmoid is half as steep and half as wide.
_SATURATED_TANH, _SATURATED_SIGMOID = 0.99, 0.005


def norms(layout: Layout, flat: Floats, prefix: str = "norm") -> dict[str, float]:
    """The Euclidean length of every matrix, where it lies: padding is zero and adds nothing."""
    panels = {part.name: layout.panels(flat, part.name) for part in layout.parts}
    return {f"{prefix}_{name}": norm(panel.reshape(-1, panel.shape[-1])) for name, panel in panels.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What is known before a watched update."""

    weights: Floats
    gradients: dict[str, float]


class WatchedUpdates:
    """Every watch_every-th update, and with watch = ["layers"] the last of each epoch: their gradients and lengths.

    Which ones are watched depends on their number alone. A watched update costs a second computation of its gradient.
    """

    def __init__(self, config: Common, model: Model, n_batches: int) -> None:
        self._model = model
        self._periods = [config.watch_every] if config.watch_every else []
        if Watch.LAYERS in config.watch and not config.optimizer.is_full_batch:
            self._periods.append(n_batches)

    def until_next(self, made: int) -> int | None:
        """Updates to be made before the next one that is watched, when so many are made; None: none is ever watched."""
        return min((period - 1 - made % period for period in self._periods), default=None)

    def before(self, state: TrainingState, chosen: Ints) -> _Before:
        """To be called before the watched update, which is by the sequences `chosen`."""
        gradient = state.layout.zeros()
        self._model.gradient(chosen, state.epoch, state.weights, gradient)
        return _Before(weights=state.weights.copy(), gradients=_lengths(state.layout, gradient, "gradient_norm"))

    def after(self, state: TrainingState, before: _Before) -> dict[str, float]:
        """Length of the gradient (before it is clipped), of each layer and of all, and |update| / |new weights|."""
        moved = norms(state.layout, state.weights - before.weights, "update_ratio")
        lengths = norms(state.layout, state.weights, "update_ratio")
        ratios = {name: moved[name] / lengths[name] if lengths[name] else 0.0 for name in moved}
        return before.gradients | ratios


def _lengths(layout: Layout, flat: Floats, prefix: str) -> dict[str, float]:
    found = norms(layout, flat, prefix)
    return found | {prefix: math.hypot(*found.values())}


def dead_units(config: Common, model: Model, weights: Floats) -> dict[str, float]:
    """`dead_units`: the share of hidden units whose slope is nought, or nearly, at every step of up to 100 validation
    sequences (training sequences where there are none), without noise. `flat_states`: the share of all their states.

    A rectified unit has slope 0 at 0 and at the cap; tanh and sigmoid count where they are within 0.01 of an end of
    a range that is 2 wide.
    """
    named, activation = model.layout.unpack(weights), _activation(config)
    states, offsets = _inputs(config, model, named)
    run(states, offsets, named["W"], _FUNCTIONS[activation])
    flat = _is_flat(states, activation)
    return {"dead_units": float(flat.all(axis=0).mean()), "flat_states": float(flat.mean())}


def run(inputs: Floats, offsets: Ints, recurrent: Floats, function: Callable[[Floats], Floats]) -> None:
    """inputs, (rows, H), become hidden states: h_t = f(inputs_t + h_{t-1} W), all sequences at once."""
    lengths = np.diff(offsets)
    inputs[offsets[:-1]] = function(inputs[offsets[:-1]])
    for t in range(1, int(lengths.max())):
        rows = offsets[:-1][lengths > t] + t
        inputs[rows] = function(inputs[rows] + inputs[rows - 1] @ recurrent)  # (n, H) + (n, H) @ (H, H)


def _inputs(config: Common, model: Model, named: dict[str, Floats]) -> tuple[Floats, Ints]:
    """What the first sequences put into the hidden units, (rows, H), and where each begins and the last ends."""
    train, valid = model.parts()
    part = valid if model.n_valid else train
    offsets = part[1][: _WATCHED_SEQUENCES + 1]
    values = part[0][offsets[0] : offsets[-1]]
    if isinstance(config, ClassifierConfig):
        return values @ named["W_in"] + named["b"], offsets - offsets[0]
    return named["U"][values], offsets - offsets[0]


def _activation(config: Common) -> Activation:
    return config.activation if isinstance(config, ClassifierConfig) else Activation.TANH


def _is_flat(states: Floats, activation: Activation) -> np.ndarray:
    if activation is Activation.TANH:
        return np.abs(states) > _SATURATED_TANH
    if activation is Activation.SIGMOID:
        return (states < _SATURATED_SIGMOID) | (states > 1 - _SATURATED_SIGMOID)
    return (states <= 0) | (states >= (CAP if activation is Activation.CAPPED_RELU else math.inf))


_FUNCTIONS: dict[Activation, Callable[[Floats], Floats]] = {
    Activation.TANH: np.tanh,
    Activation.SIGMOID: lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
    Activation.RELU: lambda x: np.maximum(x, 0),
    Activation.CAPPED_RELU: lambda x: np.clip(x, 0, CAP),
}
