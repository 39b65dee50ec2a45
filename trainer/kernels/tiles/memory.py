"""Where numbers lie: pointers into arrays, for kernels that walk through memory by strides.

    p = begin(array); p[3] = p[0] + 1; q = ahead(p, 5)

A pointer keeps no array alive and knows no bounds: the arrays are arguments of the entry, which outlive the call, and
the sizes are the caller's duty. In return it is one machine word, where an array is seven and is counted by whoever
holds it: a kernel called for every row can afford a tuple of pointers, and not one of arrays.
"""

# ruff: noqa: ARG001  (Numba hands a typing context to every intrinsic)
from __future__ import annotations

import operator
from typing import Any

from trainer.jit import extending, intrinsic, templates, types


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def begin(typing_context: Any, memory: Any) -> Any:
    """The pointer to the first number of an array; of a named tuple, the same tuple with pointers for its arrays."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _pointers(context, builder, arguments[0], signature.args[0])

    return _pointer_type(memory)(memory), generate


def _pointer_type(kind: Any) -> Any:
    if isinstance(kind, types.Array):
        return types.CPointer(kind.dtype)
    if isinstance(kind, types.BaseNamedTuple):
        return types.BaseTuple.from_types([_pointer_type(inner) for inner in kind.types], kind.instance_class)
    return kind


def _pointers(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    if not isinstance(kind, types.BaseNamedTuple):
        return value
    inner = [_pointers(context, builder, builder.extract_value(value, i), k) for i, k in enumerate(kind.types)]
    return context.make_tuple(builder, _pointer_type(kind), inner)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def ahead(typing_context: Any, pointer: Any, count: Any) -> Any:
    """The pointer `count` numbers further."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _place(context, builder, signature, arguments)

    return pointer(pointer, count), generate


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.gep(arguments[0], [context.cast(builder, arguments[1], signature.args[1], types.intp)])


@templates.infer_global(operator.getitem)  # type: ignore[untyped-decorator, unused-ignore]
class _Get(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        del kws
        pointer, index = args
        if isinstance(pointer, types.CPointer) and isinstance(index, types.Integer):
            return templates.signature(pointer.dtype, pointer, index)
        return None


@templates.infer_global(operator.setitem)  # type: ignore[untyped-decorator, unused-ignore]
class _Set(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        del kws
        pointer, index, value = args
        if isinstance(pointer, types.CPointer) and isinstance(index, types.Integer):
            return templates.signature(types.void, pointer, index, value)
        return None


@extending.lower_builtin(operator.getitem, types.CPointer, types.Integer)  # type: ignore[untyped-decorator, unused-ignore]
def _get(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.load(_place(context, builder, signature, arguments))


@extending.lower_builtin(operator.setitem, types.CPointer, types.Integer, types.Any)  # type: ignore[untyped-decorator, unused-ignore]
def _set(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    number = context.cast(builder, arguments[2], signature.args[2], signature.args[0].dtype)
    builder.store(number, _place(context, builder, signature, arguments))
    return context.get_dummy_value()
