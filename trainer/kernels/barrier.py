"""Where threads that compute wait for each other: a barrier that spins for a moment and then lets others run.

Its state is an array of `SIZE` int64 zeros: how many have come, and, on a cache line of its own, how often all came.
"""

# ruff: noqa: ARG001  (Numba hands a typing context to every intrinsic)
from __future__ import annotations

from typing import Any

from trainer.jit import intrinsic, ir, kernel, types
from trainer.kernels.tiles.memory import ahead

SIZE = 16
_ROUND = 8
_SPINS = 4000

_sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _add_one(typing_context: Any, pointer: Any) -> Any:
    """Add 1 in one piece; returns the number before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", arguments[0], ir.IntType(64)(1), "seq_cst")

    return types.int64(pointer), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _read(typing_context: Any, pointer: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(arguments[0], "acquire", 8)

    return types.int64(pointer), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _write(typing_context: Any, pointer: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.cast(builder, arguments[1], signature.args[1], types.int64)
        builder.store_atomic(value, arguments[0], "release", 8)
        return context.get_dummy_value()

    return types.void(pointer, value), generate


@kernel
def meet(state: Any, n: int) -> None:
    """Come back when all of n threads have come; what they wrote before can be read after. state: pointer."""
    if n == 1:
        return
    come, round_ = state, ahead(state, _ROUND)
    this = _read(round_)
    if _add_one(come) == n - 1:
        _write(come, 0)
        _write(round_, this + 1)
        return
    spins = 0
    while _read(round_) == this:
        spins += 1
        if spins > _SPINS:
            # Another run, or more threads than cores: waiting must not take their time.
            _sched_yield()
