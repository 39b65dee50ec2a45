"""What `[stopping]` may say: one model per rule. Resources are counted in the unit of `by`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MOST_RULES = 20
LARGEST = 1e15
LONGEST_PATIENCE = 10_000

_Direction = Literal["min", "max"]


def _direction(value: object) -> object:
    return {"minimize": "min", "maximize": "max"}.get(value, value) if isinstance(value, str) else value


def _number(value: object) -> object:
    """A whole number is a number; true is none."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST else value


def _text(value: str) -> str:
    if not value.strip() or len(value) > 500 or "\0" in value:
        raise ValueError("allowed: a text of at most 500 characters")
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Resource = Annotated[Number, Field(gt=0, le=LARGEST)]
Text = Annotated[str, AfterValidator(_text)]
Factor = Annotated[Number, Field(ge=1.1, le=1000)]
Reports = Annotated[int, Field(ge=1, le=LONGEST_PATIENCE)]


class Model(BaseModel):
    """Unknown keys are mistakes; what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Asha(Model):
    """Asynchronous successive halving (Li et al. 2020): at each rung min, min·eta, … the best 1/eta go on.

    `promote = "resume"`: the others wait at the rung and go on from their checkpoint when more results make room.
    """

    rule: Literal["asha"] = "asha"
    min: Resource
    max: Resource | None = None
    eta: Factor = 3.0
    promote: Literal["resume"] | None = None


class Halving(Model):
    """Successive halving (Jamieson, Talwalkar 2016): all wait at a rung for the last one, then the best 1/eta go on."""

    rule: Literal["halving"] = "halving"
    min: Resource
    max: Resource | None = None
    eta: Factor = 3.0


class Hyperband(Model):
    """Hyperband (Li et al. 2018): runs are dealt into brackets whose halving begins earlier or later.

    Inside a bracket: ASHA, with `promote = "resume"` that variant, with `synchronous` halving as in the paper.
    """

    rule: Literal["hyperband"] = "hyperband"
    min: Resource
    max: Resource
    eta: Factor = 3.0
    promote: Literal["resume"] | None = None
    synchronous: bool = False


class Percentile(Model):
    """At `grace` and every `every` from there on: stopped when worse than the percentile of at least `siblings` others.

    25: only who would be among the best quarter goes on. Those that were stopped count on with what they had.
    """

    rule: Literal["percentile"] = "percentile"
    percentile: Annotated[Number, Field(gt=0, lt=100)]
    grace: Resource
    every: Resource | None = None
    siblings: Annotated[int, Field(ge=1, le=1_000_000)] = 3


class Median(Model):
    """The percentile 50 (Golovin et al. 2017, section 3.2, on best values)."""

    rule: Literal["median"] = "median"
    grace: Resource
    every: Resource | None = None
    siblings: Annotated[int, Field(ge=1, le=1_000_000)] = 3


class Patience(Model):
    """Stopped when `patience` has passed without a value better than the best by more than `delta`."""

    rule: Literal["patience"] = "patience"
    patience: Resource
    delta: Annotated[Number, Field(ge=0, le=LARGEST)] = 0.0
    grace: Annotated[Number, Field(ge=0, le=LARGEST)] = 0.0


class MovingAverage(Model):
    """Eq. 4.1 of Knight 2015, as in the trainer: worse than the mean of the `patience` reports before."""

    rule: Literal["moving-average"] = "moving-average"
    patience: Reports = 10


class Minimum(Model):
    """Eq. 4.4 of Knight 2015, as in the trainer: above (1 - alpha) of a minimum more than `patience` reports old."""

    rule: Literal["minimum"] = "minimum"
    patience: Reports = 10
    alpha: Annotated[Number, Field(ge=0, lt=1)] = 0.05


class Threshold(Model):
    """Stopped when a query holds for it: "val_loss > 2 and running_time > 10m", or "val_loss > 2 after 10m"."""

    rule: Literal["threshold"] = "threshold"
    when: Text


Ladder = Asha | Halving | Hyperband
Compared = Percentile | Median
Rung = Asha | Halving | Hyperband | Percentile | Median
Following = Patience | MovingAverage | Minimum
Rule = Rung | Following | Threshold

KINDS: dict[str, type[Rule]] = {
    "asha": Asha, "halving": Halving, "hyperband": Hyperband, "median": Median, "percentile": Percentile,
    "patience": Patience, "moving-average": MovingAverage, "minimum": Minimum, "threshold": Threshold,
}  # fmt: skip


class Common(Model):
    """What all rules of an experiment share.

    `by`: what counts as resource: "step", "reports" (how often the metric was reported), or another metric such as
    epoch. `value`: runs are compared at a rung by their best value so far, or by the last.
    """

    metric: Text | None = None
    direction: Annotated[_Direction, BeforeValidator(_direction)] | None = None
    by: Text = "step"
    value: Literal["best", "last"] = "best"


STEP, REPORTS = "step", "reports"


class Stopping(Model):
    """The rules of an experiment, each with the name under which people hear of it."""

    metric: str
    direction: _Direction
    by: str
    value: Literal["best", "last"]
    rules: dict[str, Rule]
    digest: str

    @property
    def series(self) -> tuple[str, ...]:
        """The metrics that are read: the one that is judged first."""
        if not self.metric:
            return ()
        return (self.metric,) if self.by in (STEP, REPORTS) else (self.metric, self.by)

    @property
    def ladders(self) -> dict[str, Rung]:
        """Rules that judge at rungs."""
        return {name: rule for name, rule in self.rules.items() if isinstance(rule, Rung)}

    @property
    def following(self) -> dict[str, Following]:
        """Rules that follow the values of a run by itself."""
        return {name: rule for name, rule in self.rules.items() if isinstance(rule, Following)}

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """Rules that are queries."""
        return {name: rule for name, rule in self.rules.items() if isinstance(rule, Threshold)}
