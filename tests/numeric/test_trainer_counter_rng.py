from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy_twins import noise
from numpy_twins import philox as slow_philox

from trainer.counter_rng import ROUNDS, noise_row, philox
from trainer.jit import entry
from trainer.kernels.tiles.memory import begin
from trainer.order import epoch_order, split

WIDTH = 64  # numbers: whole vectors of every machine


@entry
def one_block(counter: Any, key: Any, rounds: int, out: Any) -> None:
    words = philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1], rounds)
    for i in range(4):
        out[i] = words[i] & np.uint64(0xFFFFFFFF)


@entry
def noisy(out: Any, seed: int, epoch: int, sequence: int, step: int) -> None:
    noise_row(begin(out), out.shape[0], seed, epoch, sequence, step)


ONES, PI = (0xFFFFFFFF,) * 4, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
PI_KEY = (0xA4093822, 0x299F31D0)
KNOWN_ANSWERS = [  # kat_vectors of Random123 1.09: philox4x32, 7 and 10 rounds
    (7, (0, 0, 0, 0), (0, 0), (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    (7, ONES, (0xFFFFFFFF,) * 2, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (7, PI, PI_KEY, (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
    (10, (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (10, ONES, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (10, PI, PI_KEY, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(rounds: int, counter: Any, key: Any, expected: Any) -> None:
    out = np.zeros(4, dtype=np.uint64)
    one_block(np.array(counter, dtype=np.uint64), np.array(key, dtype=np.uint64), rounds, out)
    assert tuple(out.tolist()) == expected
    assert slow_philox(counter, key, rounds) == expected


def test_noise_takes_as_many_rounds_as_pass_every_test_of_bigcrush() -> None:
    assert ROUNDS == 7


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
@pytest.mark.parametrize("n", [16, 48, 64, 80, 192])
def test_noise_is_that_of_the_slow_twin_in_either_precision(n: int, dtype: str, tolerance: float) -> None:
    for seed, epoch, sequence, step in ((2**40 + 5, 7, 11, 13), (0, 0, 0, 0), (2**63 - 1, 10_000, 2**31, 500)):
        row = np.zeros(n, dtype)
        noisy(row, seed, epoch, sequence, step)
        expected = noise(n, 1.0, seed, epoch, sequence, step)
        np.testing.assert_allclose(row, expected, rtol=tolerance, atol=tolerance)


def test_noise_has_the_moments_and_tails_of_the_normal_distribution() -> None:
    row = np.zeros(2**20)
    noisy(row, 1, 0, 0, 0)
    assert abs(row.mean()) < 0.005
    assert abs(row.std() - 1) < 0.003
    assert abs((row**3).mean()) < 0.015
    assert abs((row**4).mean() - 3) < 0.04
    assert abs((np.abs(row) > 3).mean() - 0.0027) < 0.0003
    assert abs(np.corrcoef(row[:-16], row[16:])[0, 1]) < 0.005


@pytest.mark.parametrize("changed", range(4))
def test_noise_depends_on_seed_epoch_sequence_and_step(changed: int) -> None:
    rows, key = np.zeros((2, WIDTH)), [3, 4, 5, 6]
    noisy(rows[0], *key)
    key[changed] += 1
    noisy(rows[1], *key)
    assert not (rows[0] == rows[1]).any()


def test_the_order_of_an_epoch_is_a_permutation_of_its_own() -> None:
    first, second = epoch_order(100, 3, 0), epoch_order(100, 3, 1)
    assert sorted(first) == list(range(100))
    assert list(first) != list(second)
    assert list(first) == list(epoch_order(100, 3, 0))


SPLITS = [(10, 0.3, 3), (10, 0.0, 0), (1, 0.5, 0), (2, 0.9, 1), (5, 0.01, 1)]


@pytest.mark.parametrize(("n", "fraction", "n_valid"), SPLITS)
def test_the_split_takes_every_index_once_and_leaves_some_to_train_on(n: int, fraction: float, n_valid: int) -> None:
    train, valid = split(n, fraction)
    assert len(valid) == n_valid
    assert sorted([*train, *valid]) == list(range(n))
