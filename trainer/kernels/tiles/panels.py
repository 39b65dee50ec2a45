"""Matrices that are stored in panels as wide as a tile: sums along their rows, over a block of panels.

A panel is a matrix of the same rows and of a few vectors of the columns, so that a product which goes down a column
strip reads memory from one end to the other, and one that goes along the rows jumps from panel to panel.
"""

# ruff: noqa: ARG001  (Numba hands a typing context to every intrinsic)
from __future__ import annotations

from typing import Any

from trainer.jit import intrinsic, ir, kernel, types
from trainer.kernels.tiles.emit import Loop, bytes_of, call_llvm, load, store
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.shape import shape_of_this_machine

_SHAPE = shape_of_this_machine()
_INDEX, _LANE = ir.IntType(64), ir.IntType(32)
_ROWS, _COLUMNS = (6 if _SHAPE.registers >= 32 else 3), 4


def panel_width(item_bytes: int) -> int:
    """How many numbers of so many bytes a row of a panel holds: as many as a tile is wide."""
    return _SHAPE.vectors * _SHAPE.vector_bytes // item_bytes


@kernel
def add_row_dots(c: Any, c_row: int, a: Any, a_panel: int, b: Any, b_panel: int, m: int, n: int, panels: int) -> None:
    """C += A @ B.T                                            # (m, n) += (m, panels * width) @ (n, panels * width).T

    c, a, b: pointers; a_panel, b_panel: from one panel of A or B to the next; the rows of a panel are contiguous.
    Each number of C gets one sum: over the panels lane by lane, then over the lanes in pairs.
    """
    strips, tiles, column = -(-n // _COLUMNS), -(-m // _ROWS), 0
    for strip in range(strips):
        wide, row = n // strips + (strip < n % strips), 0
        for tile in range(tiles):
            high = m // tiles + (tile < m % tiles)
            _dots_tile(high, wide, ahead(c, row * c_row + column), c_row, ahead(a, row * _width(a)), a_panel,
                       ahead(b, column * _width(b)), b_panel, panels)  # fmt: skip
            row += high
        column += wide


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _width(typing_context: Any, pointer: Any) -> Any:
    """`panel_width` of the numbers a pointer points to."""
    width = panel_width(pointer.dtype.bitwidth // 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, width)

    return types.intp(pointer), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _dots_tile(typing_context: Any, rows: Any, columns: Any, c: Any, c_row: Any, a: Any, a_panel: Any, b: Any,
               b_panel: Any, panels: Any) -> Any:  # fmt: skip
    """One tile of `add_row_dots`, of a size known only at run time."""
    size = types.intp
    signature = types.void(size, size, c, size, a, size, b, size, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, columns, *rest = arguments
        behind = builder.append_basic_block("tile.done")
        jump = builder.switch(builder.add(builder.mul(rows, _INDEX(16)), columns), behind)
        for high in range(1, _ROWS + 1):
            for wide in range(1, _COLUMNS + 1):
                block = builder.append_basic_block(f"tile.{high}x{wide}")
                jump.add_case(_INDEX(high * 16 + wide), block)
                builder.position_at_end(block)
                _Dots(builder, rest, high, wide).emit()
                builder.branch(behind)
        builder.position_at_end(behind)
        return context.get_dummy_value()

    return signature, generate


class _Dots:
    """Emits one tile: all its sums stay in registers while it goes through the panels."""

    def __init__(self, builder: Any, arguments: Any, rows: int, columns: int) -> None:
        self.builder, self.rows, self.columns = builder, rows, columns
        self.c, self.c_row, self.a, self.a_panel, self.b, self.b_panel, self.panels = arguments
        real = self.c.type.pointee
        self.vector = ir.VectorType(real, _SHAPE.vector_bytes // bytes_of(real))

    def emit(self) -> None:
        builder = self.builder
        zero = ir.Constant(self.vector, [0.0] * self.vector.count)
        loop = Loop.begin(builder, self.panels, [self.a, self.b, *[zero] * (self.rows * self.columns)])
        a, b, *sums = loop.carried
        for v in range(_SHAPE.vectors):
            sums = self._multiply_add(a, b, v, sums)
        loop.end([builder.gep(a, [self.a_panel]), builder.gep(b, [self.b_panel]), *sums])
        for row in range(self.rows):
            self._add_to_row(row, sums[row * self.columns : (row + 1) * self.columns])

    def _multiply_add(self, a: Any, b: Any, v: int, sums: list[Any]) -> list[Any]:
        """sums[row, column] + a[row] * b[column] for vector v of a panel; each b is done with before the next."""
        left = [self._vector(a, row, v) for row in range(self.rows)]
        new = list(sums)
        for column in range(self.columns):
            right = self._vector(b, column, v)
            for row in range(self.rows):
                at = row * self.columns + column
                new[at] = call_llvm(self.builder, "fma", [left[row], right, sums[at]])
        return new

    def _vector(self, panel: Any, row: int, v: int) -> Any:
        place = _INDEX((row * _SHAPE.vectors + v) * self.vector.count)
        return load(self.builder, self.builder.gep(panel, [place]), self.vector)

    def _add_to_row(self, row: int, sums: list[Any]) -> None:
        """C[row] += the sums of the lanes of these vectors."""
        builder = self.builder
        place = builder.gep(self.c, [builder.mul(self.c_row, _INDEX(row))])
        total = sums_of_four(builder, [*sums, *[sums[0]] * (_COLUMNS - len(sums))])
        if len(sums) == _COLUMNS:
            store(builder, builder.fadd(load(builder, place, total.type), total), place)
            return
        for column in range(len(sums)):
            one = builder.gep(place, [_INDEX(column)])
            builder.store(builder.fadd(builder.load(one), builder.extract_element(total, _LANE(column))), one)


def sums_of_four(builder: Any, vectors: list[Any]) -> Any:
    """A vector of four numbers, the sum of the lanes of each of four vectors."""
    a, b, c, d = vectors
    pairs = [_neighbours(builder, a, b), _neighbours(builder, c, d)]
    if bytes_of(a.type.element) == 4:
        return halved(builder, _neighbours(builder, *pairs), 4, builder.fadd)
    first, second = (halved(builder, pair, 2, builder.fadd) for pair in pairs)
    return _shuffled(builder, first, second, [0, 1, 2, 3])


def _neighbours(builder: Any, a: Any, b: Any) -> Any:
    """Sums of neighbouring lanes, within each 16 bytes first those of a, then those of b: no lane travels far."""
    group, lanes = 16 // bytes_of(a.type.element), a.type.count
    even = [
        vector * lanes + first + lane
        for first in range(0, lanes, group)
        for vector in range(2)
        for lane in range(0, group, 2)
    ]
    odd = [lane + 1 for lane in even]
    return builder.fadd(_shuffled(builder, a, b, even), _shuffled(builder, a, b, odd))


def halved(builder: Any, vector: Any, count: int, combine: Any) -> Any:
    """Combine the upper half of the lanes with the lower until `count` are left."""
    while vector.type.count > count:
        half = vector.type.count // 2
        lower = _shuffled(builder, vector, vector, list(range(half)))
        upper = _shuffled(builder, vector, vector, list(range(half, 2 * half)))
        vector = combine(lower, upper)
    return vector


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes))
