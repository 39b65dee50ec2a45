"""How wide vectors are and how many of them a tile of a product holds in registers, on this machine.

A tile of m rows and v vectors needs m v registers for its sums, v for the vectors of B and one for a number of A.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from trainer.jit import TILES, architecture, instruction_sets


class Shape(NamedTuple):
    """Of the tiles of one instruction set."""

    vector_bytes: int
    registers: int
    rows: int  # of the tile that most of a large product is made of
    vectors: int  # of the same


SHAPES = {
    "avx512": Shape(64, 32, 6, 4),
    "avx2": Shape(32, 16, 6, 2),
    "neon": Shape(16, 32, 6, 4),
    "plain": Shape(16, 16, 6, 2),
}

_MOST_VECTORS = 8


def shape_of_this_machine() -> Shape:
    """The shape LABQ_TILES names, or else the one that suits the processor. Any shape works on any machine."""
    named = os.environ.get(TILES)
    return SHAPES[named or best_name(architecture(), instruction_sets())]


def best_name(machine: str, instructions: frozenset[str]) -> str:
    """The name of the shape for a processor of this architecture and these instruction sets."""
    if "avx512f" in instructions:
        return "avx512"
    if "avx2" in instructions:
        return "avx2"
    return "neon" if machine.startswith(("aarch64", "arm64")) else "plain"


def widest(shape: Shape, rows: int) -> int:
    """How many vectors a tile of so many rows may have.

    Few rows with as many vectors as in a large tile would have too few sums to hide how long one multiply-add takes.
    """
    if rows == shape.rows:
        return shape.vectors
    return min(_MOST_VECTORS, (shape.registers - 1) // (rows + 1))
