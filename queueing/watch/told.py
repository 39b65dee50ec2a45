"""The picture as plain data, for programmes. Pure."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from queueing.watch.curves import Curve, thinned
from queueing.watch.picture import Picture

MOST_POINTS = 400


def told(picture: Picture) -> dict[str, Any]:
    """Curves are thinned to 400 points each; the least and the greatest values stay."""
    shown = picture.single or picture.sweep
    if shown is None:
        return {"at": picture.at}
    said = {one.name: getattr(shown, one.name) for one in fields(shown) if one.name != "curves"}
    return {"at": picture.at, **said, "curves": _arrays(shown.curves)}


def _arrays(curves: Mapping[str, Curve]) -> dict[str, dict[str, list[float]]]:
    return {name: _array(thinned(curve, MOST_POINTS)) for name, curve in curves.items()}


def _array(curve: Curve) -> dict[str, list[float]]:
    return {"steps": curve.steps.tolist(), "times": curve.times.tolist(), "values": curve.values.tolist()}
