"""Our spaces as ConfigSpace's, which SMAC3 works with. Conditions must be of a kind that it can express."""

from typing import Any

from queueing.optimize.coding import Coding, Kind, coding
from queueing.space.domains import Domain
from queueing.space.space import Parameter, Space
from store.errors import EngineMissing, NoProposal


def to_config_space(space: Space, seed: int) -> Any:
    """Codes, not values: categories and listed values by their position. Raises EngineMissing, NoProposal."""
    try:
        from ConfigSpace import ConfigurationSpace
    except ImportError as error:
        raise EngineMissing(f"SMAC needs ConfigSpace: pip install 'labq[smac]' ({error})") from error
    made = ConfigurationSpace(seed=seed)
    known = {one.name: one for one in space.parameters}
    made.add([_hyperparameter(one) for one in space.parameters])
    conditions = [_condition(made, one, known) for one in space.parents_first() if one.when is not None]
    made.add([condition for condition in conditions if condition is not None])
    return made


def as_told(domain: Domain, value: Any) -> Any:
    """The code of a value, as the hyperparameter wants it."""
    code = coding(domain)
    number = code.encode(value)
    return number if code.kind is Kind.REAL else int(number)


def _hyperparameter(parameter: Parameter) -> Any:
    from ConfigSpace import CategoricalHyperparameter, UniformFloatHyperparameter, UniformIntegerHyperparameter

    code = coding(parameter.domain)
    if code.kind is Kind.CATEGORY or code.low == code.high:
        return CategoricalHyperparameter(parameter.name, list(range(int(code.high - code.low) + 1)))
    made = UniformIntegerHyperparameter if code.kind is Kind.INTEGER else UniformFloatHyperparameter
    low, high = (int(code.low), int(code.high)) if code.kind is Kind.INTEGER else (code.low, code.high)
    return made(parameter.name, lower=low, upper=high, log=code.log)


def _condition(made: Any, parameter: Parameter, known: dict[str, Parameter]) -> Any:
    from ConfigSpace import AndConjunction, InCondition

    assert parameter.when is not None
    if parameter.when.clauses is None:
        raise NoProposal(f"SMAC cannot express {parameter.when.text!r}; it can: a == x and b in [y, z]")
    parts = []
    for name, values in parameter.when.clauses:
        if name not in known:
            continue  # a fixed parameter: whether it holds is known without SMAC
        codes = _codes(coding(known[name].domain), values)
        parts.append(InCondition(made[parameter.name], made[name], codes))
    return AndConjunction(*parts) if len(parts) > 1 else parts[0] if parts else None


def _codes(code: Coding, values: tuple[Any, ...]) -> list[Any]:
    return [int(code.encode(value)) if code.kind is not Kind.REAL else code.encode(value) for value in values]
