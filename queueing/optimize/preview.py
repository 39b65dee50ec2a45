"""Configurations that an optimizer might propose: to show, and to check a command or a trainer with."""

from typing import Any

from queueing.optimize.spec import Spec
from queueing.space.names import flat
from queueing.sweep.block import Block, Method, Point, Points

_EXAMPLES = 8


def example_block(spec: Spec) -> Block:
    """Those that come first, then random ones."""
    drawn = [values for number in range(_EXAMPLES) if (values := spec.drawn("check", number)) is not None]
    examples: list[dict[str, Any]] = [*(flat(given) for given in spec.table.first), *drawn]
    points = Points(numbers=range(len(examples)), point=lambda number: Point(values=examples[number]))
    return Block(
        method=Method.RANDOM, space=spec.space, points=points, names=spec.space.names,
        repeat=min(spec.table.repeat, 2),
    )  # fmt: skip
