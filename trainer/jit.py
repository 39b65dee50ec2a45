"""The only door to Numba: a typed decorator, and where compiled kernels are kept between processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import llvmlite.ir
import numba
import numba.core.cgutils
import numba.core.codegen
import numba.core.compiler
import numba.core.types
import numba.core.typing.templates
import numba.extending

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba describes its own decorators for other uses than these.
_njit: Any = numba.njit
_config: Any = numba.config
intrinsic: Any = numba.extending.intrinsic
extending: Any = numba.extending
templates: Any = numba.core.typing.templates
types: Any = numba.core.types
cgutils: Any = numba.core.cgutils
ir: Any = llvmlite.ir
_processor: Any = llvmlite.binding
_JITCodeLibrary: Any = numba.core.codegen.JITCodeLibrary
_Compiler: Any = numba.core.compiler.Compiler

# Names a tile shape other than the machine's own; see trainer.kernels.tiles.shape.
TILES = "LABQ_TILES"

_HERE = Path(__file__).parent
_OPTIONS = {"error_model": "numpy", "nogil": True}
# Python never calls a kernel that is not an entry; the wrappers it would need are a third of the time to compile.
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Unfinished(_JITCodeLibrary):  # type: ignore[misc, unused-ignore]
    """The code of a function that is only ever part of another, which will optimize and translate all of it at once.

    Numba would do both for every function with all that it calls, time and again on the way up to the entry: ten
    minutes instead of twenty seconds. This reaches into Numba, so pyproject.toml admits the versions it was tried with.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        del name  # nobody calls it by itself
        return 0

    @property
    def codegen(self) -> Any:
        return _NoEnvironment()


class _NoEnvironment:
    """Takes what a function would need to call Python, which kernels never do."""

    def set_env(self, name: str, environment: Any) -> None:
        del name, environment


class _PartCompiler(_Compiler):  # type: ignore[misc, unused-ignore]
    """Numba's compiler, with such a library."""

    def __init__(self, typing_context: Any, target_context: Any, library: Any, *more: Any) -> None:
        unfinished = _Unfinished(target_context.codegen(), "part") if library is None else library
        super().__init__(typing_context, target_context, unfinished, *more)


def kernel(function: Function) -> Function:
    """Compile a function that is part of a kernel: it sees only numbers, arrays and named tuples of arrays.

    No fastmath: a sum is then taken in the order it is written, whatever the vector width of the machine.
    """
    compiled: Function = _njit(**_OPTIONS, **_INNER, pipeline_class=_PartCompiler)(function)
    return compiled


def inlined(function: Function) -> Function:
    """`kernel` for the small and hot: the compiler must put it in place of the call."""
    compiled: Function = _njit(**_OPTIONS, **_INNER, pipeline_class=_PartCompiler, forceinline=True)(function)
    return compiled


def entry(function: Function) -> Function:
    """`kernel` for one that Python calls: it and everything it calls is kept on disk, in one file."""
    compiled: Function = _njit(**_OPTIONS, cache=_config.CACHE_DIR != "")(function)
    return compiled


def instruction_sets() -> frozenset[str]:
    """What this machine's processor can do, in LLVM's words: "avx2", "avx512f", "neon" …"""
    features: dict[str, bool] = dict(_processor.get_host_cpu_features())
    return frozenset(name for name, present in features.items() if present)


def architecture() -> str:
    """Of this machine: "x86_64", "aarch64" …"""
    return str(_processor.get_process_triple()).partition("-")[0]


def keep_compiled_kernels_for(dtype: str) -> Path | None:
    """Choose the folder of compiled kernels; to be called before the first kernel module is imported.

    Numba notices only changes of the file an entry stands in, so the folder's name holds a hash of all sources, and
    of the tile shape that may have been asked for.
    One folder per precision: processes that compile different signatures of one entry at once would otherwise
    race for the same file name.
    """
    folder = _writable_folder()
    kept = None if folder is None else folder / f"kernels-{_source_hash()}" / dtype
    _config.CACHE_DIR = "" if kept is None else str(kept)
    return kept


@contextmanager
def compiled_kernels_kept_for(dtype: str) -> Iterator[None]:
    """Import kernel modules in here where others use Numba in this process, too: their folder stays what it is."""
    before = _config.CACHE_DIR
    keep_compiled_kernels_for(dtype)
    try:
        yield
    finally:
        _config.CACHE_DIR = before


def _writable_folder() -> Path | None:
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    for folder in (_HERE / "__pycache__", Path(home, "labq")):
        if _can_write(folder):
            return folder
    return None


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _source_hash() -> str:
    digest = hashlib.sha256(os.environ.get(TILES, "").encode())
    for source in sorted([*(_HERE / "kernels").rglob("*.py"), _HERE / "counter_rng.py", _HERE / "jit.py"]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
