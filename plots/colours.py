"""Who is drawn in which colour. Pure."""

from collections.abc import Sequence
from typing import Any

from notify.choosing import is_training
from notify.pictures.palette import HUES, MANY, OTHERS, RAMP, RUN, RUN_TRAINING, along
from notify.siblings import key_of

_DARKER = tuple(reversed(RAMP[1:]))


def of_values(values: Sequence[Any]) -> dict[str, str]:
    """A few: colours that differ; many numbers: from dark to light in their order."""
    if len(values) <= len(HUES) or not all(is_number(value) for value in values):
        return {key_of(value): MANY[place % len(MANY)] for place, value in enumerate(values)}
    return {key_of(value): along(place / (len(values) - 1), _DARKER) for place, value in enumerate(values)}


def of_metrics(names: Sequence[str]) -> list[str]:
    """Of one run: the first in its own colour, training data paler, further ones in others; as in mails."""
    others = iter((*OTHERS, *MANY[4:], *MANY))
    found = [RUN]
    for name in names[1:]:
        found.append(RUN_TRAINING if is_training(name) and RUN_TRAINING not in found else next(others))
    return found[: len(names)]


def is_number(value: Any) -> bool:
    """Whether it can lie on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
