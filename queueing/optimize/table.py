"""`[optimizer]` of an experiment file, as it is written and as a study keeps it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_TRIALS = 100_000
MODEL_FREE = ("random", "qmc", "grid")
"""Samplers that need no history: a trial's number says what it is."""
MULTI_OBJECTIVE = ("tpe", "nsga2", "nsga3", "gp", "random", "qmc", "grid")

Direction = Literal["minimize", "maximize"]
Value = Literal["best", "last", "min", "max"]
Positive = Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)]
Amount = Annotated[float, Field(gt=0, le=1e12)]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ObjectiveTable(_Table):
    """`[[optimizer.objective]]`: one of several things to optimize at once."""

    metric: Annotated[str, Field(min_length=1)]
    direction: Direction = "minimize"
    value: Value = "best"
    at: str | None = None
    """Take the value at the step where this metric was best."""


class OptimizerTable(_Table):
    """`[optimizer]`"""

    engine: Literal["optuna", "smac", "ask"] = "optuna"
    sampler: Literal["tpe", "gp", "cma-es", "nsga2", "nsga3", "qmc", "random", "grid"] = "tpe"
    metric: Annotated[str, Field(min_length=1)] | None = None
    direction: Direction = "minimize"
    value: Value = "best"
    at: str | None = None
    objective: list[ObjectiveTable] = Field(default_factory=list)
    trials: Positive | None = None
    hours: Amount | None = None
    epochs: Amount | None = None
    epochs_metric: str | None = None
    parallel: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 4
    repeat: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    seed: Annotated[int, Field(ge=0, le=2**62, strict=True)] = 0
    startup: Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)] = 10
    population: Annotated[int, Field(ge=2, le=10_000, strict=True)] | None = None
    warm_start: str | None = None
    first: list[dict[str, Any]] = Field(default_factory=list)
    space: str | None = None
    where: Annotated[list[str], BeforeValidator(_one_or_many)] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
