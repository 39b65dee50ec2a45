"""Random, quasi-random and grid: a trial is a function of seed and number. They need no library and no history."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from queueing.keys import canonical
from queueing.optimize.coding import values_in
from queueing.optimize.engine import Engine, Proposal
from queueing.optimize.spec import Spec
from queueing.space.domains import count_of, value_at, values_of
from queueing.space.space import Parameter
from store.errors import NoProposal
from store.studies import Trial

_TRIES = 10_000


def design_for(spec: Spec) -> Engine:
    """The design that the table names."""
    if spec.table.sampler == "random":
        return Random(spec)
    return Grid(spec) if spec.table.sampler == "grid" else QuasiRandom(spec)


class Random:
    """Each parameter from a stream of its own."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal:
        """Depends on the number alone."""
        del past
        values = self._spec.drawn("trial", number)
        if values is None:
            raise NoProposal("no random configuration satisfies the constraints")
        return Proposal(values=values)


class _Numbered(ABC):
    """Points with numbers; those that the constraints refuse, or that were had before, are passed over."""

    skips_known = False

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal | None:
        """The first point behind those of the past that is allowed."""
        del number
        begin = max((trial.notes["point"] + 1 for trial in past if "point" in trial.notes), default=0)
        had = {canonical(values_in(self._spec.space, trial.params)) for trial in past} if self.skips_known else set()
        for point, values in self.points(begin):
            if self._spec.allows(values) and canonical(values) not in had:
                return Proposal(values=values, notes={"point": point})
        return None

    @abstractmethod
    def points(self, begin: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, flat values) from `begin` on."""


class Grid(_Numbered):
    """Every combination once, the last parameter fastest."""

    skips_known = True

    def points(self, begin: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Mixed radix: the digits of the number."""
        space = self._spec.space
        counts = [count_of(parameter.domain) for parameter in space.parameters]
        listed = {parameter.name: values_of(parameter.domain) for parameter in space.parameters}
        for number in range(begin, prod(counts)):
            digits, rest = {}, number
            for name, count in zip(reversed(space.names), reversed(counts), strict=True):
                rest, digits[name] = divmod(rest, count)
            yield number, self._spec.shaped(lambda one, digits=digits: listed[one.name][digits[one.name]])


class QuasiRandom(_Numbered):
    """Scrambled Sobol points: every parameter has its dimension, also where it does not exist."""

    def points(self, begin: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """From SciPy's generator, fast-forwarded."""
        from scipy.stats import qmc

        names = self._spec.space.names
        sobol = qmc.Sobol(len(names), scramble=True, seed=self._spec.table.seed)
        if begin:
            sobol.fast_forward(begin)
        for number in range(begin, begin + _TRIES):
            row = dict(zip(names, sobol.random(1)[0].tolist(), strict=True))

            def value(one: Parameter, row: dict[str, float] = row) -> Any:
                return value_at(one.domain, min(max(row[one.name], 2**-53), 1 - 2**-53))

            yield number, self._spec.shaped(value)
