"""Products of whole matrices, cut into tiles. Matrices are row-major memory with strides, in numbers.

The rows of B and C are whole vectors: their pitch is padded, so there are no left-over columns. Rows may be left over;
they are spread, so that 21 rows become tiles of 6, 5, 5 and 5 and not of 6, 6, 6 and 3.
"""

# ruff: noqa: ARG001  (Numba hands a typing context to every intrinsic)
from __future__ import annotations

from typing import Any

from trainer.jit import intrinsic, ir, kernel, types
from trainer.kernels.tiles.emit import dots_tile, listed_tile, product_tile
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.shape import shape_of_this_machine, widest

SHAPE = shape_of_this_machine()
_ROWS, _VECTORS = SHAPE.rows, SHAPE.vectors
_WIDEST = tuple(widest(SHAPE, max(1, rows)) for rows in range(SHAPE.rows + 1))
_DOT_ROWS, _DOT_COLUMNS = (4, 5) if SHAPE.registers >= 32 else (3, 3)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def lanes(typing_context: Any, pointer: Any) -> Any:
    """How many numbers of this precision a vector has."""
    count = SHAPE.vector_bytes * 8 // pointer.dtype.bitwidth

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, count)

    return types.intp(pointer), generate


@kernel
def product(c: Any, c_row: int, a: Any, a_row: int, a_k: int, b: Any, b_k: int, m: int, n: int, k: int,
            adds: bool) -> None:  # fmt: skip
    """C = A @ B, or C += A @ B if `adds`                       # (m, n) = (m, k) @ (k, n)

    c, a, b: pointers; c_row, a_row, a_k, b_k: pitches along rows of C and A and along k of A and B. A may be
    transposed in place: a_row = 1, a_k = the pitch. n is a multiple of the lanes of a vector. C[i, j] is
    fma(A[i, k], B[k, j], …) in rising order of k, whatever the tiles.
    """
    if m <= 0 or n <= 0:
        return
    vectors = n // lanes(c)
    strips = -(-vectors // _WIDEST[min(m, _ROWS)])
    column = 0
    for strip in range(strips):
        wide = vectors // strips + (strip < vectors % strips)
        _strip(ahead(c, column), c_row, a, a_row, a_k, ahead(b, column), b_k, m, wide, k, adds)
        column += wide * lanes(c)


@kernel
def _strip(c: Any, c_row: int, a: Any, a_row: int, a_k: int, b: Any, b_k: int, m: int, wide: int, k: int,
           adds: bool) -> None:  # fmt: skip
    """`product` for columns that are one tile wide."""
    tiles, row = -(-m // _ROWS), 0
    for tile in range(tiles):
        high = m // tiles + (tile < m % tiles)
        _one_product(high, wide, ahead(c, row * c_row), c_row, ahead(a, row * a_row), a_row, a_k, b, b_k, k, adds)
        row += high


@kernel
def listed_product(c: Any, c_row: int, a: Any, a_row: int, a_k: int, b: Any, b_k: int, m: int, n: int, ks: Any, k: int,
                   adds: bool) -> None:  # fmt: skip
    """`product` over the k numbers ks[0], ks[1], … in this order; ks: pointer to int64."""
    if m <= 0 or n <= 0:
        return
    vectors = n // lanes(c)
    strips = -(-vectors // _VECTORS)
    column = 0
    for strip in range(strips):
        wide = vectors // strips + (strip < vectors % strips)
        tiles, row = -(-m // _ROWS), 0
        for tile in range(tiles):
            high = m // tiles + (tile < m % tiles)
            _one_listed(high, wide, ahead(c, row * c_row + column), c_row, ahead(a, row * a_row), a_row, a_k,
                        ahead(b, column), b_k, ks, k, adds)  # fmt: skip
            row += high
        column += wide * lanes(c)


@kernel
def dots(c: Any, c_row: int, a: Any, a_row: int, b: Any, b_row: int, m: int, n: int, k: int) -> None:
    """C[i, j] += A[i, :] * B[j, :], lane by lane               # (m, n, lanes), (m, k), (n, k)

    The sum over the lanes is left to `sums_of_lanes`, so that many calls share it. c_row is the pitch of C in
    numbers, at least n * lanes. k is a multiple of the lanes.
    """
    strips, tiles = -(-n // _DOT_COLUMNS), -(-m // _DOT_ROWS)
    row = 0
    for tile in range(tiles):
        high, column = m // tiles + (tile < m % tiles), 0
        for strip in range(strips):
            wide = n // strips + (strip < n % strips)
            _one_dots(high, wide, ahead(c, row * c_row + column * lanes(c)), c_row, ahead(a, row * a_row), a_row,
                      ahead(b, column * b_row), b_row, k // lanes(c))  # fmt: skip
            column += wide
        row += high


_TILES = [
    (rows, vectors)
    for rows in range(1, SHAPE.rows + 1)
    for vectors in range(1, max(SHAPE.vectors, widest(SHAPE, rows)) + 1)
]
_LISTED_TILES = [(rows, vectors) for rows in range(1, SHAPE.rows + 1) for vectors in range(1, SHAPE.vectors + 1)]
_DOT_TILES = [(rows, columns) for rows in range(1, _DOT_ROWS + 1) for columns in range(1, _DOT_COLUMNS + 1)]


def _choice(tiles: Any, emit: Any) -> Any:
    """What emits a jump to the function of a tile of a size known only at run time: (rows, columns, arguments…)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, columns, *rest = arguments
        behind, never = builder.append_basic_block("tile.done"), builder.append_basic_block("tile.none")
        size = builder.add(builder.mul(rows, rows.type(16)), columns)
        jump = builder.switch(size, never)
        real = rest[0].type.pointee
        count = SHAPE.vector_bytes * 8 // signature.args[2].dtype.bitwidth
        for high, wide in tiles:
            block = builder.append_basic_block(f"tile.{high}x{wide}")
            jump.add_case(size.type(high * 16 + wide), block)
            builder.position_at_end(block)
            function = emit(builder.module, real, count, high, wide)
            kinds = function.function_type.args
            builder.call(function, [_as(builder, value, kind) for value, kind in zip(rest, kinds, strict=False)]
                         + [ir.Constant(kind, None) for kind in kinds[len(rest):]])  # fmt: skip
            builder.branch(behind)
        builder.position_at_end(never)
        builder.unreachable()
        builder.position_at_end(behind)
        return context.get_dummy_value()

    return generate


def _as(builder: Any, value: Any, kind: Any) -> Any:
    """A truth value is a byte in Numba's hands at times."""
    return builder.trunc(value, kind) if isinstance(kind, ir.IntType) and value.type != kind else value


_PITCH = types.intp


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _one_product(typing_context: Any, rows: Any, vectors: Any, c: Any, c_row: Any, a: Any, a_row: Any, a_k: Any,
                 b: Any, b_k: Any, k: Any, adds: Any) -> Any:  # fmt: skip
    signature = types.void(_PITCH, _PITCH, c, _PITCH, a, _PITCH, _PITCH, b, _PITCH, _PITCH, types.boolean)
    return signature, _choice(_TILES, product_tile)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _one_listed(typing_context: Any, rows: Any, vectors: Any, c: Any, c_row: Any, a: Any, a_row: Any, a_k: Any, b: Any,
                b_k: Any, ks: Any, k: Any, adds: Any) -> Any:  # fmt: skip
    signature = types.void(_PITCH, _PITCH, c, _PITCH, a, _PITCH, _PITCH, b, _PITCH, ks, _PITCH, types.boolean)
    choice = _choice(_LISTED_TILES, listed_tile)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *first, ks, k, adds = arguments
        return choice(context, builder, signature, [*first, k, adds, ks])

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _one_dots(typing_context: Any, rows: Any, columns: Any, c: Any, c_row: Any, a: Any, a_row: Any, b: Any, b_row: Any,
              k: Any) -> Any:  # fmt: skip
    signature = types.void(_PITCH, _PITCH, c, _PITCH, a, _PITCH, b, _PITCH, _PITCH)
    return signature, _choice(_DOT_TILES, dots_tile)
