"""CMA-ES over numbers, from the library under Optuna's sampler; choices come from their random streams.

Optuna's sampler keeps its state pickled among the trials. Here the state is computed anew: the generations that are
complete are told in order, then one point is drawn with a seed that is a function of the trial's number.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from queueing.optimize.coding import Kind, coding
from queueing.optimize.engine import Proposal
from queueing.optimize.spec import Spec
from queueing.space.domains import value_at
from queueing.space.space import Parameter
from queueing.space.streams import uniform, word
from store.errors import EngineMissing, NoProposal
from store.studies import Trial, TrialState

_TRIES = 200
_SIGMA = 1 / 6


class CmaEngine:
    """In the unit cube, each numeric parameter one axis."""

    def __init__(self, spec: Spec) -> None:
        try:
            import cmaes
        except ImportError as error:
            raise EngineMissing(f"the sampler cma-es needs cmaes: pip install 'labq[optimize]' ({error})") from error
        self._spec, self._cmaes = spec, cast(Any, cmaes)
        self._axes = [one.name for one in spec.space.parameters if coding(one.domain).kind is not Kind.CATEGORY]

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal:
        """A point of the generation that is being filled."""
        table = self._spec.table
        for attempt in range(_TRIES):
            seed = word(table.seed, "trial", number, attempt) & 0x7FFFFFFF
            x, generation = self._drawn(seed, past)
            shares = dict(zip(self._axes, x, strict=True))

            def value(one: Parameter, shares: dict[str, float] = shares, attempt: int = attempt) -> Any:
                if one.name in shares:
                    return coding(one.domain).from_unit(shares[one.name])
                return value_at(one.domain, uniform(table.seed, one.name, "trial", number, attempt))

            values = self._spec.shaped(value)
            if self._spec.allows(values):
                return Proposal(values=values, notes={"generation": generation, "x": x})
        raise NoProposal("no point of the generation satisfies the constraints")

    def _drawn(self, seed: int, past: Sequence[Trial]) -> tuple[list[float], int]:
        if len(self._axes) < 2:  # the library has no covariance of one number
            return [uniform(seed, name) for name in self._axes], 0
        bounds = np.array([[0.0, 1.0]] * len(self._axes))
        cma = self._cmaes.CMA(
            mean=np.full(len(self._axes), 0.5), sigma=_SIGMA, bounds=bounds, seed=seed,
            population_size=self._spec.table.population,
        )  # fmt: skip
        while (solutions := self._solutions(past, cma.generation, cma.population_size)) is not None:
            cma.tell(solutions)
            if cma.should_stop():
                break
        return [float(share) for share in cma.ask()], cma.generation

    def _solutions(self, past: Sequence[Trial], generation: int, size: int) -> list[tuple[Any, float]] | None:
        """The first `size` trials of the generation that were told; None while there are fewer."""
        mine = [trial for trial in past if trial.notes.get("generation") == generation and "x" in trial.notes]
        told = sorted((trial for trial in mine if _has_value(trial)), key=lambda one: (one.told_at, one.number))
        if len(told) < size:
            return None
        sign = -1.0 if self._spec.objectives[0].direction == "maximize" else 1.0
        return [(np.array(trial.notes["x"]), sign * trial.values[0]) for trial in told[:size]]


def _has_value(trial: Trial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and bool(trial.values)
