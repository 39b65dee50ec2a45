"""Which metrics of a run are drawn. Pure."""

from collections.abc import Iterable, Sequence

from store.directions import main_metric
from store.families import stem

MOST_PANELS, MOST_LINES = 3, 4
_LITTLE_INTEREST = ("clock", "norm", "gradient", "update", "lr", "learning", "dead", "flat")


def is_training(name: str) -> bool:
    """Whether it speaks of the training data: by its name, or because it does not say of which."""
    return name.lower().startswith("train") or stem(name) == name


def partner(metric: str, names: Iterable[str]) -> str | None:
    """The same figure of the training data: `train_loss`, or `loss`, for `val_loss`."""
    others = [name for name in names if name != metric and stem(name) == stem(metric) and is_training(name)]
    return min(others, key=lambda name: (not name.lower().startswith("train"), name), default=None)


def panels(names: Sequence[str], about: str = "") -> tuple[tuple[str, ...], ...]:
    """Which metrics share a picture, three pictures at most: that of the main metric first, then that of `about`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(stem(name), []).append(name)
    first = main_metric(names)

    def rank(item: tuple[str, list[str]]) -> tuple[bool, bool, bool, int, str]:
        found, members = item
        is_dull = found.lower().split("_")[0].split("/")[0] in _LITTLE_INTEREST
        return first not in members, about not in members, is_dull, -len(members), found

    ordered = [(found, members) for found, members in sorted(groups.items(), key=rank)]
    kept = [one for place, one in enumerate(ordered) if place == 0 or about in one[1] or not rank(one)[2]]
    return tuple(tuple(_in_order(members)) for _, members in kept[:MOST_PANELS])


def _in_order(members: list[str]) -> list[str]:
    main = main_metric(members)
    return sorted(members, key=lambda name: (name != main, not is_training(name), name))[:MOST_LINES]
