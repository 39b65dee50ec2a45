from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiles_process import EXP, LOG, SHAPE, SIGMOID, SINE, TANH, apply

from trainer.kernels.tiles.shape import SHAPES, best_name, widest

SIZES = [(1, 16, 1), (2, 48, 5), (3, 64, 71), (5, 112, 9), (7, 16, 33), (13, 32, 8), (25, 160, 20), (4, 176, 3)]
DTYPES = [np.float32, np.float64]
PI = np.longdouble("3.14159265358979323846264338327950288")
FUNCTIONS: dict[int, Any] = {
    EXP: (np.exp, -86, 88.5),
    TANH: (np.tanh, -25, 25),
    SIGMOID: (lambda x: 1 / (1 + np.exp(-x)), -80, 80),
    LOG: (np.log, 1e-6, 9),
    SINE: (lambda y: np.sin(PI * y), -0.5, 0.5),
}


def cases() -> dict[str, np.ndarray]:
    """Inputs for every size, function and precision."""
    draw, out = np.random.default_rng(5), {}
    for dtype in DTYPES:
        for m, n, k in SIZES:
            case = f"{m}x{n}x{k} {np.dtype(dtype).name}"
            arrays = {"a": (m, k), "b": (k, n), "e": (m, n)}
            out |= {f"{case}/{name}": draw.normal(0, 1, shape).astype(dtype) for name, shape in arrays.items()}
            out[f"{case}/chosen"] = draw.permutation(m)[: max(1, m // 2)]
        for which, (_, low, high) in FUNCTIONS.items():
            out[f"{which} {np.dtype(dtype).name}/x"] = draw.uniform(low, high, 1024).astype(dtype)
            out[f"{which} {np.dtype(dtype).name}/which"] = np.array(which)
    return out


@pytest.fixture(scope="module")
def by_shape(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """What every tile shape computes, each in a process of its own."""
    folder = tmp_path_factory.mktemp("tiles")
    np.savez(folder / "in.npz", **cases())
    root = Path(__file__).parents[2]
    found = {}
    for shape in SHAPES:
        command = [
            sys.executable,
            str(Path(__file__).with_name("tiles_process.py")),
            folder / "in.npz",
            folder / f"{shape}.npz",
        ]
        subprocess.run(command, check=True, env=os.environ | {"LABQ_TILES": shape, "PYTHONPATH": str(root)})
        with np.load(folder / f"{shape}.npz") as results:
            found[shape] = dict(results)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_every_tile_shape_gives_the_products_of_numpy(shape: str, by_shape: Any) -> None:
    given, found = cases(), by_shape[shape]
    for dtype in DTYPES:
        for m, n, k in SIZES:
            case = f"{m}x{n}x{k} {np.dtype(dtype).name}"
            a, b, e = (given[f"{case}/{name}"].astype(np.float64) for name in "abe")
            chosen = given[f"{case}/chosen"]
            expected = {"new": a @ b, "added": 1 + a @ b, "transposed": 1 + a.T @ e}
            expected |= {"listed": 1 + a[chosen].T @ e[chosen], "dots": e @ b.T}
            for name, value in expected.items():
                tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-11}
                np.testing.assert_allclose(found[f"{case}/{name}"], value, **tolerance, err_msg=f"{case} {name}")


def test_products_and_functions_have_the_same_bits_in_every_tile_shape(by_shape: Any) -> None:
    first, *others = by_shape.values()
    for name, value in first.items():
        if name.rpartition("/")[2] not in ("dots", "folds"):  # these sum over the lanes of a vector
            assert all(other[name].tobytes() == value.tobytes() for other in others), name


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_greatest_numbers_of_rows_are_those_of_numpy(shape: str, by_shape: Any) -> None:
    given, found = cases(), by_shape[shape]
    for name in (name for name in found if name.endswith("/folds")):
        x = given[name.replace("/folds", "/x")]
        np.testing.assert_allclose(found[name][0], x.sum(), rtol=1e-4)
        assert found[name][1] == x.max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", FUNCTIONS)
def test_functions_are_right_to_their_last_digits(which: int, dtype: Any) -> None:
    function, low, high = FUNCTIONS[which]
    draw = np.random.default_rng(6)
    x = np.concatenate([draw.uniform(low, high, 60_000), draw.uniform(0, 1e-3, 5536)]).astype(dtype)
    x = np.maximum(x, np.finfo(dtype).tiny) if which == LOG else x
    y = np.zeros_like(x)
    apply(y, x, which)
    exact = function(x.astype(np.longdouble))
    error = np.abs(y - exact) / np.maximum(np.abs(exact), np.finfo(dtype).tiny)
    assert error.max() < (3e-7 if dtype is np.float32 else 6e-16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_have_their_limits_and_let_nan_through(dtype: Any) -> None:
    x = np.zeros(64, dtype)
    x[:6] = [np.inf, -np.inf, np.nan, 1e4, -1e4, -0.0]
    y = np.zeros_like(x)
    for which, expected in (
        (EXP, [np.inf, 0, np.nan, np.inf, 0, 1]),
        (TANH, [1, -1, np.nan, 1, -1, 0]),
        (SIGMOID, [1, 0, np.nan, 1, 0, 0.5]),
    ):
        apply(y, x, which)
        np.testing.assert_array_equal(y[:6], np.array(expected, dtype))


@pytest.mark.parametrize(
    ("machine", "instructions", "name"),
    [
        ("x86_64", {"avx2", "avx512f"}, "avx512"),
        ("x86_64", {"avx2"}, "avx2"),
        ("x86_64", {"sse4.2"}, "plain"),
        ("aarch64", {"neon"}, "neon"),
        ("arm64", set(), "neon"),
    ],
)
def test_the_shape_suits_the_processor(machine: str, instructions: set[str], name: str) -> None:
    assert best_name(machine, frozenset(instructions)) == name


@pytest.mark.parametrize("name", SHAPES)
def test_a_tile_fits_into_the_registers(name: str) -> None:
    shape = SHAPES[name]
    for rows in range(1, shape.rows + 1):
        vectors = widest(shape, rows)
        assert rows * vectors + vectors + 1 <= shape.registers


def test_a_vector_of_this_machine_is_whole_numbers_wide() -> None:
    assert SHAPE.vector_bytes in (16, 32, 64)
