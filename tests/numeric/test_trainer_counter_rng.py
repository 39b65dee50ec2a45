from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy_twins import noise
from numpy_twins import philox as slow_philox

from trainer.counter_rng import add_noise, philox
from trainer.jit import entry
from trainer.order import epoch_order, split


@entry
def one_block(counter: Any, key: Any, out: Any) -> None:
    out[0], out[1], out[2], out[3] = philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@entry
def noisy(row: Any, sigma: float, seed: int, epoch: int, sequence: int, step: int) -> None:
    add_noise(row, sigma, seed, epoch, sequence, step)


KNOWN_ANSWERS = [  # kat_vectors of Random123 1.09: philox4x32, 10 rounds
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter: Any, key: Any, expected: Any) -> None:
    out = np.zeros(4, dtype=np.uint64)
    one_block(np.array(counter, dtype=np.uint64), np.array(key, dtype=np.uint64), out)
    assert tuple(out.tolist()) == expected
    assert slow_philox(counter, key) == expected


@pytest.mark.parametrize("n_hidden", [1, 2, 3, 4, 7])
def test_noise_is_that_of_the_slow_twin(n_hidden: int) -> None:
    row = np.zeros(n_hidden)
    noisy(row, 0.3, 2**40 + 5, 7, 11, 13)
    np.testing.assert_allclose(row, noise(n_hidden, 0.3, 2**40 + 5, 7, 11, 13), rtol=1e-12)


def test_noise_has_mean_zero_and_the_deviation_asked_for() -> None:
    row = np.zeros(200_000)
    noisy(row, 2.0, 1, 0, 0, 0)
    assert abs(row.mean()) < 0.02
    assert abs(row.std() - 2.0) < 0.02


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
