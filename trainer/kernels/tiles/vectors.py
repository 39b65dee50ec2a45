"""Vectors as values in kernels: operators, comparisons and the functions here work lane by lane.

    y = fma(x, x, 1.0)          # a plain number stands for a vector of it, in the precision of the others

A vector has as many lanes as a register of the machine has numbers of its type.
"""

# ruff: noqa: ARG001  (Numba hands a typing context to every intrinsic)
from __future__ import annotations

import operator
from typing import Any

from trainer.jit import extending, intrinsic, ir, templates, types
from trainer.kernels.tiles import emit
from trainer.kernels.tiles.products import SHAPE


class Vector(types.Type):  # type: ignore[misc]
    """`lanes` numbers of one type."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype} x {lanes})")


@extending.register_model(Vector)  # type: ignore[untyped-decorator, unused-ignore]
class _VectorModel(extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def vector_of(dtype: Any) -> Vector:
    """The type of vectors that fill a register."""
    return Vector(dtype, SHAPE.vector_bytes * 8 // dtype.bitwidth)


def _as_vector(context: Any, builder: Any, value: Any, kind: Any, vector: Vector) -> Any:
    """A value as a vector: itself, or a number in every lane."""
    if isinstance(kind, Vector):
        return value
    number = context.cast(builder, value, kind, vector.dtype)
    return emit.splat(builder, number, ir.VectorType(number.type, vector.lanes))


def _first_vector(kinds: Any) -> Any:
    return next((kind for kind in kinds if isinstance(kind, Vector)), None)


def _fits(kinds: Any, vector: Any) -> bool:
    """Whether all are this vector or plain numbers."""
    return vector is not None and all(kind == vector or isinstance(kind, types.Number) for kind in kinds)


# What the operators become, for floats and for unsigned integers.
_FLOAT = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
_WHOLE = {
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.and_: "and_",
    operator.or_: "or_",
    operator.xor: "xor",
    operator.lshift: "shl",
    operator.rshift: "lshr",
}
_COMPARISONS = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "=="}


def _register(function: Any, compares: bool) -> None:
    @templates.infer_global(function)  # type: ignore[untyped-decorator, unused-ignore]
    class _Template(templates.AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            del kws
            vector = _first_vector(args)
            if not _fits(args, vector):
                return None
            return templates.signature(Vector(types.boolean, vector.lanes) if compares else vector, *args)

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _first_vector(signature.args)
        pairs = zip(args, signature.args, strict=True)
        x, y = (_as_vector(context, builder, value, kind, vector) for value, kind in pairs)
        is_float = isinstance(vector.dtype, types.Float)
        if compares:
            compare = builder.fcmp_ordered if is_float else builder.icmp_unsigned
            return compare(_COMPARISONS[function], x, y)
        return getattr(builder, (_FLOAT if is_float else _WHOLE)[function])(x, y)

    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        extending.lower_builtin(function, *kinds)(lower)


for _function in _FLOAT | _WHOLE:
    _register(_function, compares=False)
for _function in _COMPARISONS:
    _register(_function, compares=True)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load(typing_context: Any, pointer: Any) -> Any:
    """The vector that begins where a pointer points to."""
    result = vector_of(pointer.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit.load(builder, arguments[0], context.get_value_type(result))

    return result(pointer), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def store(typing_context: Any, pointer: Any, value: Any) -> Any:
    """Put a vector, or a number in every lane of one, where a pointer points to."""
    vector = value if isinstance(value, Vector) else vector_of(pointer.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit.store(builder, _as_vector(context, builder, arguments[1], signature.args[1], vector), arguments[0])
        return context.get_dummy_value()

    return types.void(pointer, value), generate


def _lane_by_lane(name: str, kinds: Any) -> Any:
    """Typing and code of a function that LLVM has for vectors."""
    vector = _first_vector(kinds)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return emit.call_llvm(builder, name, [_as_vector(context, builder, v, k, vector) for v, k in pairs])

    return (vector(*kinds), generate) if _fits(kinds, vector) else None


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""
    return _lane_by_lane("fma", (a, b, c))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def root(typing_context: Any, a: Any) -> Any:
    """The square root."""
    return _lane_by_lane("sqrt", (a,))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def magnitude(typing_context: Any, a: Any) -> Any:
    """|a|"""
    return _lane_by_lane("fabs", (a,))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def with_sign(typing_context: Any, a: Any, b: Any) -> Any:
    """|a| with the sign of b."""
    return _lane_by_lane("copysign", (a, b))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def choose(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    vector = _first_vector((a, b))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y = (_as_vector(context, builder, arguments[i], signature.args[i], vector) for i in (1, 2))
        return builder.select(arguments[0], x, y)

    return (vector(condition, a, b), generate) if _fits((a, b), vector) else None


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def bits(typing_context: Any, a: Any) -> Any:
    """The floats as unsigned integers of the same size, bit by bit; and unsigned integers as floats."""
    size = a.dtype.bitwidth
    unsigned, real = (types.uint32, types.float32) if size == 32 else (types.uint64, types.float64)
    result = Vector(unsigned if isinstance(a.dtype, types.Float) else real, a.lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(a), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def polynomial(typing_context: Any, x: Any, coefficients: Any) -> Any:
    """c[0] + c[1] x + c[2] x^2 + … by Estrin's scheme; coefficients: a constant tuple of floats.

    c[0] + c[1] x, c[2] + c[3] x … are computed at once, then pairs of them with x^2, and so on: Horner's rule has fewer
    operations, but each waits for the one before. Every step is one fma.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[1]
        numbers = [builder.extract_value(arguments[1], i) for i in range(kind.count)]
        cs = [_as_vector(context, builder, number, kind.dtype, x) for number in numbers]
        power = arguments[0]
        while len(cs) > 1:
            pairs = zip(cs[::2], cs[1::2], strict=False)
            cs = [emit.call_llvm(builder, "fma", [c1, power, c0]) for c0, c1 in pairs] + cs[len(cs) // 2 * 2 :]
            power = builder.fmul(power, power)
        return cs[0]

    return x(x, coefficients), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def is_single(typing_context: Any, a: Any) -> Any:
    """Whether a vector is of float32: known while compiling, so only one branch is left."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.boolean, a.dtype.bitwidth == 32)

    return types.boolean(a), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def sum_of_lanes(typing_context: Any, a: Any) -> Any:
    """The sum of all lanes: the upper half is added to the lower until one is left."""
    return _fold(a, lambda builder, x, y: builder.fadd(x, y))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def greatest_lane(typing_context: Any, a: Any) -> Any:
    """The greatest of all lanes."""
    return _fold(a, lambda builder, x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y))


def _fold(a: Any, combine: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        index, value, count = ir.IntType(32), arguments[0], a.lanes
        while count > 1:
            count //= 2
            half = ir.VectorType(index, count)
            parts = [half(list(range(first, first + count))) for first in (0, count)]
            value = combine(builder, *(builder.shuffle_vector(value, value, part) for part in parts))
        return builder.extract_element(value, index(0))

    return a.dtype(a), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def numbered_lanes(typing_context: Any, like: Any, which: Any) -> Any:
    """The numbers of the lanes of `like` as a vector of uint64, if it is of float64: 0, 1, 2, …

    A vector of float32 has twice the lanes: then the even ones (which = 0) or the odd ones (which = 1).
    """
    step = 2 if like.dtype.bitwidth == 32 else 1
    result = Vector(types.uint64, like.lanes // step)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(result)
        first = _as_vector(context, builder, arguments[1], which, result)
        return builder.add(vector([step * lane for lane in range(result.lanes)]), first)

    return result(like, which), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def merged_words(typing_context: Any, even: Any, odd: Any, like: Any) -> Any:
    """The lower halves of uint64 as unsigned integers of the size of `like`, in the order of `numbered_lanes`."""
    single = like.dtype.bitwidth == 32
    result = Vector(types.uint32 if single else types.uint64, like.lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = arguments[0].type
        low = builder.and_(arguments[0], wide([0xFFFFFFFF] * wide.count))
        if not single:
            return low
        high = builder.shl(arguments[1], wide([32] * wide.count))
        return builder.bitcast(builder.or_(low, high), context.get_value_type(result))

    return result(even, odd, like), generate
