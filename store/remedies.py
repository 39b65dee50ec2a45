"""What is done about a finding: decided by the rules of an experiment, kept before it is carried out."""

from dataclasses import dataclass
from typing import Any

from store.findings import Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """`rule`: the disease that called for it. `change`: new values of parameters by dotted name; None: just a stop.

    `number`: the how manieth run of its line the new one is, the first one being number 0. `done`: carried out.
    """

    rule: str
    because: str
    change: dict[str, Any] | None = None
    number: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something new was found about a run, and no rule has answered yet. `number` tells it from later cases of the run.

    `remedy`: what was decided last about the run; not done yet, when whoever decided it has died over it.
    """

    diagnosis: Diagnosis
    experiment: str
    number: int
    remedy: Remedy | None = None
