"""Optuna's samplers over our trials. The only file that imports Optuna.

Its study lives in memory and is filled from MongoDB for every step. A sampler that is made anew has no memory either,
so its seed is a function of the trial's number: the same history gives the same proposal.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from queueing.optimize.coding import Coding, Kind, coding, values_in
from queueing.optimize.engine import Proposal
from queueing.optimize.spec import Spec
from queueing.space.space import Parameter
from queueing.space.streams import word
from store.errors import EngineMissing, NoProposal
from store.studies import Trial, TrialState

if TYPE_CHECKING:
    import optuna

_TRIES = 200


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise EngineMissing(f"the optimizer needs Optuna: pip install 'labq[optimize]' ({error})") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


class OptunaEngine:
    """TPE, GP, NSGA-II and NSGA-III."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._optuna = _optuna()
        self._sampler(0)

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal:
        """A configuration that the constraints allow: refused ones are told as failed and asked for again."""
        study = study_of(self._spec, past, self._sampler(number))
        for _ in range(_TRIES):
            trial = study.ask()
            values = self._suggested(trial)
            if self._spec.allows(values):
                return Proposal(values=values)
            study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        values_or_none = self._spec.drawn("trial", number)
        if values_or_none is None:
            raise NoProposal("no configuration satisfies the constraints")
        return Proposal(values=values_or_none)

    def _suggested(self, trial: "optuna.Trial") -> dict[str, Any]:
        def value(parameter: Parameter) -> Any:
            code = coding(parameter.domain)
            return code.decode(_suggest(trial, parameter.name, code))

        return self._spec.shaped(value)

    def _sampler(self, number: int) -> Any:
        table, samplers = self._spec.table, self._optuna.samplers
        seed = word(table.seed, "trial", number) & 0x7FFFFFFF
        if table.sampler == "tpe":
            grouped = {"group": True} if self._spec.space.is_conditional else {}
            return samplers.TPESampler(
                seed=seed, n_startup_trials=table.startup, multivariate=True, constant_liar=True, **grouped
            )
        if table.sampler == "gp":
            try:
                import torch  # noqa: F401
            except ImportError as error:
                raise EngineMissing("the sampler gp needs PyTorch: pip install torch") from error
            return samplers.GPSampler(seed=seed, n_startup_trials=table.startup)
        made = samplers.NSGAIISampler if table.sampler == "nsga2" else samplers.NSGAIIISampler
        return made(seed=seed, population_size=table.population or 50)


def study_of(spec: Spec, trials: Sequence[Trial], sampler: Any = None) -> Any:
    """Optuna's view of our trials: told ones with their values, open ones as running."""
    optuna = _optuna()
    directions = [objective.direction for objective in spec.objectives]
    study = optuna.create_study(directions=directions, sampler=sampler)
    generations = _generations(trials, sampler)
    made = [_frozen(spec, trial, generations.get(trial.number, {})) for trial in trials]
    study.add_trials([one for one in made if one is not None])
    return study


def _generations(trials: Sequence[Trial], sampler: Any) -> dict[int, dict[str, Any]]:
    """What a genetic sampler would have noted with its trials, counted anew: as many as a population, in their order.

    Kept from the asking, a generation could lose its parents when a run is requeued and told anew.
    """
    if not hasattr(sampler, "_get_generation_key"):
        return {}
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    told = sorted(complete, key=lambda one: (one.told_at or one.asked_at, one.number))
    size, key = sampler.population_size, sampler._get_generation_key()
    return {trial.number: {key: position // size} for position, trial in enumerate(told)}


def importances(spec: Spec, trials: Sequence[Trial], objective: int = 0) -> dict[str, float]:
    """PED-ANOVA (Watanabe et al. 2023): of the parameters that all complete trials share. It needs no scikit-learn."""
    optuna = _optuna()
    study = study_of(spec, [trial for trial in trials if trial.state is TrialState.COMPLETE])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    sign = -1.0 if spec.objectives[objective].direction == "maximize" else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that low targets are taken for the good ones: hence the sign
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, target=lambda trial: sign * trial.values[objective]
        )
    return {name: float(share) for name, share in found.items()}


def _suggest(trial: "optuna.Trial", name: str, code: Coding) -> float:
    if code.kind is Kind.CATEGORY:
        return int(trial.suggest_categorical(name, list(range(len(code.listed)))))
    if code.kind is Kind.INTEGER:
        return trial.suggest_int(name, int(code.low), int(code.high), log=code.log)
    return trial.suggest_float(name, code.low, code.high, log=code.log)


def _distribution(code: Coding) -> Any:
    distributions = _optuna().distributions
    if code.kind is Kind.CATEGORY:
        return distributions.CategoricalDistribution(list(range(len(code.listed))))
    if code.kind is Kind.INTEGER:
        return distributions.IntDistribution(int(code.low), int(code.high), log=code.log)
    return distributions.FloatDistribution(code.low, code.high, log=code.log)


def _frozen(spec: Spec, trial: Trial, attributes: Mapping[str, Any]) -> Any:
    """None for one that has parameters outside the space, as somebody may have asked for."""
    optuna = _optuna()
    values = values_in(spec.space, trial.params)
    if not spec.has(values):
        return None
    needed = set(spec.shaped(lambda one: values[one.name]))
    codings = {one.name: coding(one.domain) for one in spec.space.parameters if one.name in needed}
    states = optuna.trial.TrialState
    state = {
        TrialState.OPEN: states.RUNNING,
        TrialState.COMPLETE: states.COMPLETE,
        TrialState.PRUNED: states.PRUNED,
        TrialState.FAILED: states.FAIL,
    }[trial.state]
    return optuna.trial.create_trial(
        state=state,
        params={name: _number(code, values[name]) for name, code in codings.items()},
        distributions={name: _distribution(code) for name, code in codings.items()},
        values=list(trial.values) if trial.state is TrialState.COMPLETE else None,
        intermediate_values=dict(trial.points) if trial.state is TrialState.PRUNED else None,
        system_attrs=dict(attributes),
    )


def _number(code: Coding, value: Any) -> float:
    number = code.encode(value)
    return number if code.kind is Kind.REAL else int(number)
