"""Emits the functions that compute one tile, as LLVM vector code. All sums of a tile stay in registers.

Every multiply-add is an explicit fma, and each number of a product is one chain of them in the order of k. So the
result does not depend on the shape of the tile it was computed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainer.jit import ir

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)


def splat(builder: Any, number: Any, vector: Any) -> Any:
    """A vector with the same number in every lane."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, _LANE(0))
    mask = ir.Constant(ir.VectorType(_LANE, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def load(builder: Any, pointer: Any, vector: Any) -> Any:
    """The vector that begins at a number; it may begin at any number."""
    place = builder.bitcast(pointer, vector.as_pointer())
    return builder.load(place, align=bytes_of(vector.element))


def store(builder: Any, value: Any, pointer: Any) -> None:
    """Put a vector where a number is, and behind it."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, place, align=bytes_of(value.type.element))


def call_llvm(builder: Any, name: str, values: list[Any]) -> Any:
    """One of LLVM's own functions, lane by lane: call_llvm(builder, "fma", [a, b, c])."""
    kind = values[0].type
    vector = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    letter = "i" if isinstance(element, ir.IntType) else "f"
    full = f"llvm.{name}.{vector}{letter}{8 * bytes_of(element)}"
    function = builder.module.globals.get(full)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [value.type for value in values]), full)
    return builder.call(function, values)


def bytes_of(element: Any) -> int:
    """The size of one number."""
    if isinstance(element, ir.IntType):
        return max(1, int(element.width) // 8)
    return 4 if isinstance(element, ir.FloatType) else 8


@dataclass(frozen=True, slots=True)
class Loop:
    """A counted loop being emitted: `index` of this round, `carried` values of the round before."""

    builder: Any
    head: Any
    before: Any
    index: Any
    count: Any
    carried: list[Any]

    @classmethod
    def begin(cls, builder: Any, count: Any, initial: list[Any]) -> Loop:
        """Jump into the first round. The count must be at least 1."""
        before = builder.block
        head = builder.append_basic_block("loop")
        builder.branch(head)
        builder.position_at_end(head)
        values = [_INDEX(0), *initial]
        phis = [builder.phi(value.type) for value in values]
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, before)
        return cls(builder, head, before, phis[0], count, phis[1:])

    def end(self, values: list[Any]) -> None:
        """Go round again with these values, or on behind the loop, where the values are the results."""
        builder = self.builder
        following = builder.add(self.index, _INDEX(1))
        for phi, value in zip([self.index, *self.carried], [following, *values], strict=True):
            phi.add_incoming(value, builder.block)
        behind = builder.append_basic_block("behind")
        builder.cbranch(builder.icmp_signed("<", following, self.count), self.head, behind)
        builder.position_at_end(behind)


def product_tile(module: Any, real: Any, lanes: int, rows: int, vectors: int) -> Any:
    """The function C (+)= A @ B for C of `rows` rows and `vectors` vectors.

    Arguments: C, its row pitch; A, its pitches along rows and along k; B, its pitch along k; how many k; whether to
    add to C; a null pointer.
    """
    return _product(module, real, lanes, (rows, vectors), listed=False)


def listed_tile(module: Any, real: Any, lanes: int, rows: int, vectors: int) -> Any:
    """`product_tile` over chosen k: the last argument is a list of them."""
    return _product(module, real, lanes, (rows, vectors), listed=True)


def _product(module: Any, real: Any, lanes: int, size: tuple[int, int], *, listed: bool) -> Any:
    name = f"tiles.product.{bytes_of(real)}.{lanes}.{size[0]}x{size[1]}" + (".listed" if listed else "")
    pointer, flag = real.as_pointer(), ir.IntType(1)
    kinds = [pointer, _INDEX, pointer, _INDEX, _INDEX, pointer, _INDEX, _INDEX, flag, _INDEX.as_pointer()]
    function, builder = _new_function(module, name, kinds)
    if builder is not None:
        _Product(builder, function.args, ir.VectorType(real, lanes), *size, listed).emit()
        builder.ret_void()
    return function


def dots_tile(module: Any, real: Any, lanes: int, rows: int, columns: int) -> Any:
    """The function C[m, n] += A[m, v] B[n, v] summed over vectors v, for C of rows x columns vectors.

    Arguments: C, its row pitch (in numbers); A, its row pitch; B, its row pitch; how many vectors v.
    """
    name = f"tiles.dots.{bytes_of(real)}.{lanes}.{rows}x{columns}"
    pointer = real.as_pointer()
    function, builder = _new_function(module, name, [pointer, _INDEX, pointer, _INDEX, pointer, _INDEX, _INDEX])
    if builder is not None:
        _emit_dots(builder, function.args, ir.VectorType(real, lanes), rows, columns)
        builder.ret_void()
    return function


def _new_function(module: Any, name: str, kinds: list[Any]) -> Any:
    """A function of the module, and the builder of its body unless it has one already."""
    if name in module.globals:
        return module.globals[name], None
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    # Every module that uses it carries a copy, and the linker keeps one.
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function, ir.IRBuilder(function.append_basic_block("entry"))


class _Product:
    """Emits the body of one product tile."""

    def __init__(self, builder: Any, args: Any, vector: Any, rows: int, vectors: int, listed: bool) -> None:
        self.builder, self.vector, self.rows, self.vectors, self.listed = builder, vector, rows, vectors, listed
        self.c, self.c_row, self.a, self.a_row, self.a_k, self.b, self.b_k, self.count, self.adds, self.list = args
        self.row_starts = [builder.mul(self.a_row, _INDEX(m)) for m in range(rows)]

    def emit(self) -> None:
        builder, step = self.builder, self.vector.count
        places = [
            builder.gep(self.c, [builder.add(builder.mul(self.c_row, _INDEX(m)), _INDEX(v * step))])
            for m in range(self.rows)
            for v in range(self.vectors)
        ]
        loop = Loop.begin(builder, self.count, [self.a, self.b, *self._initial(places)])
        a, b, *sums = loop.carried
        if self.listed:
            k = builder.load(builder.gep(self.list, [loop.index]))
            sums = self._multiply_add(self._along(self.a, self.a_k, k), self._along(self.b, self.b_k, k), sums)
            loop.end([a, b, *sums])
        else:
            sums = self._multiply_add(a, b, sums)
            loop.end([builder.gep(a, [self.a_k]), builder.gep(b, [self.b_k]), *sums])
        for total, place in zip(sums, places, strict=True):
            store(builder, total, place)

    def _along(self, begin: Any, pitch: Any, k: Any) -> Any:
        return self.builder.gep(begin, [self.builder.mul(pitch, k)])

    def _initial(self, places: list[Any]) -> list[Any]:
        """What C holds if it is added to, else zero."""
        builder = self.builder
        start, loading, ready = builder.block, builder.append_basic_block("add"), builder.append_basic_block("ready")
        builder.cbranch(self.adds, loading, ready)
        builder.position_at_end(loading)
        held = [load(builder, place, self.vector) for place in places]
        builder.branch(ready)
        builder.position_at_end(ready)
        sums = [builder.phi(self.vector) for _ in places]
        for total, value in zip(sums, held, strict=True):
            total.add_incoming(ir.Constant(self.vector, [0.0] * self.vector.count), start)
            total.add_incoming(value, loading)
        return sums

    def _multiply_add(self, a: Any, b: Any, sums: list[Any]) -> list[Any]:
        """sums[m, v] + a[m] * b[v] for one k."""
        builder, step = self.builder, self.vector.count
        bs = [load(builder, builder.gep(b, [_INDEX(v * step)]), self.vector) for v in range(self.vectors)]
        new = []
        for m in range(self.rows):
            factor = splat(builder, builder.load(builder.gep(a, [self.row_starts[m]])), self.vector)
            new += [call_llvm(builder, "fma", [factor, bs[v], sums[m * self.vectors + v]]) for v in range(self.vectors)]
        return new


def _emit_dots(builder: Any, args: Any, vector: Any, rows: int, columns: int) -> None:
    c, c_row, a, a_row, b, b_row, count = args
    places = [
        builder.gep(c, [builder.add(builder.mul(c_row, _INDEX(m)), _INDEX(n * vector.count))])
        for m in range(rows)
        for n in range(columns)
    ]
    starts_a = [builder.mul(a_row, _INDEX(m)) for m in range(rows)]
    starts_b = [builder.mul(b_row, _INDEX(n)) for n in range(columns)]
    loop = Loop.begin(builder, count, [load(builder, place, vector) for place in places])
    at = builder.mul(loop.index, _INDEX(vector.count))
    left = [load(builder, builder.gep(a, [builder.add(start, at)]), vector) for start in starts_a]
    right = [load(builder, builder.gep(b, [builder.add(start, at)]), vector) for start in starts_b]
    pairs = [(m, n) for m in range(rows) for n in range(columns)]
    sums = [call_llvm(builder, "fma", [left[m], right[n], loop.carried[i]]) for i, (m, n) in enumerate(pairs)]
    loop.end(sums)
    for total, place in zip(sums, places, strict=True):
        store(builder, total, place)
