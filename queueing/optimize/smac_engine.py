"""SMAC3 through its ask and tell. The only file that imports SMAC.

Its run history is filled from MongoDB for every step; open trials are in it as running, so they are not proposed twice.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from queueing.optimize.coding import coding, values_in
from queueing.optimize.config_space import to_config_space
from queueing.optimize.engine import Proposal
from queueing.optimize.spec import Spec
from queueing.space.space import Parameter
from store.errors import EngineMissing, NoProposal
from store.studies import Trial, TrialState

_TRIES = 50
_SEED = 0


class SmacEngine:
    """The facade for hyperparameters: a random forest and expected improvement of the logarithm."""

    def __init__(self, spec: Spec) -> None:
        try:
            import smac
        except ImportError as error:
            raise EngineMissing(f"engine smac needs SMAC3: pip install 'labq[smac]' ({error})") from error
        self._smac, self._spec = smac, spec
        self._space = to_config_space(spec.space, spec.table.seed & 0x7FFFFFFF)

    def ask(self, number: int, past: Sequence[Trial]) -> Proposal:
        """What SMAC proposes after this history."""
        del number
        with tempfile.TemporaryDirectory(prefix="labq-smac-") as folder:
            facade = self._facade(Path(folder), past)
            for _ in range(_TRIES):
                info = facade.ask()
                proposed = dict(info.config)
                values = self._spec.shaped(lambda one, p=proposed: coding(one.domain).decode(p[one.name]))
                if self._spec.allows(values):
                    return Proposal(values=values)
                facade.tell(info, self._crashed(past), save=False)
        raise NoProposal("SMAC proposes nothing that satisfies the constraints")

    def _facade(self, folder: Path, past: Sequence[Trial]) -> Any:
        from smac.runhistory import TrialInfo

        table = self._spec.table
        scenario = self._smac.Scenario(
            self._space, deterministic=True, n_trials=max(table.trials or 0, len(past) + 1, 2),
            seed=table.seed & 0x7FFFFFFF, output_directory=folder,
        )  # fmt: skip
        made = self._smac.HyperparameterOptimizationFacade
        facade = made(
            scenario, target_function=_never, logging_level=40, overwrite=True,
            initial_design=made.get_initial_design(scenario, n_configs=table.startup, max_ratio=1.0),
        )  # fmt: skip
        for trial in past:
            info = TrialInfo(config=self._configuration(trial), seed=_SEED) if self._is_inside(trial) else None
            if info is not None and trial.state is TrialState.OPEN:
                facade.runhistory.add_running_trial(info)
            elif info is not None:
                facade.tell(info, self._value(trial, past), save=False)
        return facade

    def _is_inside(self, trial: Trial) -> bool:
        return self._spec.has(values_in(self._spec.space, trial.params))

    def _configuration(self, trial: Trial) -> Any:
        from ConfigSpace import Configuration

        values = values_in(self._spec.space, trial.params)

        def code(one: Parameter) -> Any:
            return values[one.name]

        needed = self._spec.shaped(code)
        domains = {one.name: one.domain for one in self._spec.space.parameters}
        from queueing.optimize.config_space import as_told

        return Configuration(self._space, values={name: as_told(domains[name], v) for name, v in needed.items()})

    def _value(self, trial: Trial, past: Sequence[Trial]) -> Any:
        from smac.runhistory import StatusType, TrialValue

        if trial.state is TrialState.FAILED or not trial.values:
            return self._crashed(past)
        return TrialValue(cost=self._cost(trial), status=StatusType.SUCCESS)

    def _crashed(self, past: Sequence[Trial]) -> Any:
        """As bad as the worst one so far: infinity would flatten the model."""
        from smac.runhistory import StatusType, TrialValue

        worst = max((self._cost(one) for one in past if one.values), default=1.0)
        return TrialValue(cost=worst, status=StatusType.CRASHED)

    def _cost(self, trial: Trial) -> float:
        return -trial.values[0] if self._spec.objectives[0].direction == "maximize" else trial.values[0]


def _never(config: Any, seed: int = 0) -> float:  # noqa: ARG001 - SMAC looks for the names
    raise AssertionError("SMAC runs nothing itself here")
