"""What proposes the next trial: one interface, several engines. None remembers anything between two questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from queueing.optimize.spec import Spec
from store.studies import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Flat values of the parameters that exist, and what the sampler wants back with the trial."""

    values: Mapping[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Asked in the order of the numbers; `past` holds all trials there are, open ones included."""

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal | None:
        """The next proposal, or None when there is none left. Raises EngineMissing, NoProposal."""


def engine_for(spec: Spec) -> Engine:
    """Raises EngineMissing with the command that installs it."""
    table = spec.table
    if table.engine == "smac":
        from queueing.optimize.smac_engine import SmacEngine

        return SmacEngine(spec)
    if table.sampler in ("random", "qmc", "grid"):
        from queueing.optimize.designs import design_for

        return design_for(spec)
    if table.sampler == "cma-es":
        from queueing.optimize.cma_engine import CmaEngine

        return CmaEngine(spec)
    from queueing.optimize.optuna_engine import OptunaEngine

    return OptunaEngine(spec)
