"""Which metrics belong together, from their names. Pure."""

from collections.abc import Sequence

MOST_PANELS = 4
_SETS = ("train", "val", "valid", "validation", "dev", "test", "eval")


def panels(names: Sequence[str], most: int = MOST_PANELS) -> list[list[str]]:
    """Which series share a picture: `loss` with `train_loss`, `val_loss`, `test_loss`; `most` pictures at most."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(stem(name), []).append(name)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), "loss" not in item[0], item[0]))
    return [members for _, members in ordered][:most]


def stem(name: str) -> str:
    """The name without the set of data that it was measured on."""
    for prefix in (f"{of}{separator}" for of in _SETS for separator in "_/-. "):
        if name.lower().startswith(prefix) and len(name) > len(prefix):
            return name[len(prefix) :]
    return name


def is_validation(name: str) -> bool:
    """Whether it was measured on data that is not trained on."""
    return name.lower().replace("/", "_").split("_")[0] in ("val", "valid", "validation", "dev")
