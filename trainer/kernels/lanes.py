"""A dot product whose sum is taken over fixed lanes, written as vector code.

The compiler may not reorder a sum by itself, and with fastmath the order would depend on the machine. Here the order
is part of the program: 32 partial sums, added up in pairs, then what is left over one by one.
"""

from __future__ import annotations

from typing import Any

from trainer.jit import cgutils, intrinsic, ir

_LANES = 8
_VECTORS = 4


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def dot(typing_context: Any, a: Any, b: Any) -> Any:
    """a @ b of two contiguous rows of the same length         # (n) @ (n)"""
    del typing_context
    if not (a.layout == b.layout == "C" and a.dtype == b.dtype):
        return None  # Numba then says that there is no such function for these types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = list(zip(signature.args, arguments, strict=True))
        rows = [context.make_array(kind)(context, builder, value) for kind, value in pairs]
        n = cgutils.unpack_tuple(builder, rows[0].shape)[0]
        return _Dot(builder, rows[0].data, rows[1].data, n).emit()

    return a.dtype(a, b), generate


class _Dot:
    """Emits the instructions of one dot product."""

    def __init__(self, builder: Any, a: Any, b: Any, n: Any) -> None:
        self.builder, self.a, self.b, self.n = builder, a, b, n
        self.real = a.type.pointee
        self.vector = ir.VectorType(self.real, _LANES)

    def emit(self) -> Any:
        builder, step = self.builder, _LANES * _VECTORS
        zero = ir.Constant(self.vector, [0.0] * _LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(_VECTORS)]
        blocks = builder.udiv(self.n, self.n.type(step))
        with cgutils.for_range(builder, blocks) as loop:
            for v in range(_VECTORS):
                at = builder.add(builder.mul(loop.index, self.n.type(step)), self.n.type(v * _LANES))
                self._add_product(sums[v], at, self.vector)
        total = cgutils.alloca_once_value(builder, self._add_up([builder.load(s) for s in sums]))
        rest = builder.mul(blocks, self.n.type(step))
        with cgutils.for_range_slice(builder, rest, self.n, self.n.type(1)) as (at, _):
            self._add_product(total, at, self.real)
        return builder.load(total)

    def _add_product(self, total: Any, at: Any, kind: Any) -> None:
        """total += a[at] * b[at], for one number or as many as a vector has."""
        x, y = self._load(self.a, at, kind), self._load(self.b, at, kind)
        self.builder.store(self.builder.fadd(self.builder.load(total), self.builder.fmul(x, y)), total)

    def _load(self, data: Any, at: Any, kind: Any) -> Any:
        place = self.builder.bitcast(self.builder.gep(data, [at]), kind.as_pointer())
        # An array begins anywhere, so only the alignment of one number is sure.
        return self.builder.load(place, align=4 if isinstance(self.real, ir.FloatType) else 8)

    def _add_up(self, sums: list[Any]) -> Any:
        """The sum of all lanes of all vectors, halving their number until one is left."""
        builder = self.builder
        while len(sums) > 1:
            sums = [builder.fadd(x, y) for x, y in zip(sums[::2], sums[1::2], strict=True)]
        lanes = [builder.extract_element(sums[0], ir.IntType(32)(lane)) for lane in range(_LANES)]
        while len(lanes) > 1:
            lanes = [builder.fadd(x, y) for x, y in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]
