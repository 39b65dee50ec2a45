"""Which sequences are trained on and which are held back."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import SequenceData
from trainer.data.lexicon import gathered
from trainer.data.splits import parts
from trainer.errors import UserMistake

SPANS = st.tuples(st.integers(0, 30), st.integers(1, 30)).map(lambda pair: (pair[0], sum(pair)))


def split(n: int, **data: Any) -> tuple[list[int], list[int] | None]:
    train, valid = parts(SequenceData(**data), n, "x.csv")
    return train.tolist(), None if valid is None else valid.tolist()


def test_slices_are_taken_in_the_order_of_the_file() -> None:
    assert split(6, train_slice=(3, 6), valid_slice=(0, 3)) == ([3, 4, 5], [0, 1, 2])
    assert split(6, train_slice=(0, 4), valid_slice=(2, 6)) == ([0, 1, 2, 3], [2, 3, 4, 5])


def test_what_is_not_held_back_is_trained_on() -> None:
    assert split(5, valid_slice=(1, 3)) == ([0, 3, 4], [1, 2])


def test_a_fraction_is_held_back_of_the_slice_that_is_trained_on() -> None:
    train, valid = split(100, train_slice=(20, 40), valid_fraction=0.25)
    assert valid is not None
    assert len(valid) == 5
    assert sorted(train + valid) == list(range(20, 40))


def test_a_file_to_validate_on_leaves_the_training_file_whole() -> None:
    assert split(4, valid="v.csv") == ([0, 1, 2, 3], None)
    assert split(4, valid="v.csv", train_slice=(1, 3)) == ([1, 2], None)


@pytest.mark.parametrize("name", ["train_slice", "valid_slice"])
def test_a_slice_that_ends_behind_the_file_is_refused_with_its_length(name: str) -> None:
    message = f"x.csv: data.{name} is [2, 8]; allowed: an end up to 7, the sequences it has"
    with pytest.raises(UserMistake, match=re.escape(message)):
        split(7, **{name: (2, 8)})


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(UserMistake, match=r"data\.valid_slice is all of the 7 sequences; allowed: at least one left"):
        split(7, valid_slice=(0, 7))


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0, 0.99), st.integers(0, 2**63 - 1))
def test_a_fraction_parts_every_file_without_loss(n: int, fraction: float, seed: int) -> None:
    train, valid = split(n, valid_fraction=fraction, split_seed=seed)
    assert valid is not None
    assert train
    assert sorted(train + valid) == list(range(n))
    assert split(n, valid_fraction=fraction, split_seed=seed) == (train, valid)


def test_another_seed_holds_others_back() -> None:
    assert split(100, split_seed=1) != split(100) == split(100, split_seed=0)


@settings(deadline=None)
@given(SPANS, SPANS)
def test_slices_are_what_python_slices_are(train: tuple[int, int], valid: tuple[int, int]) -> None:
    assert split(60, train_slice=train, valid_slice=valid) == ([*range(*train)], [*range(*valid)])


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1), st.data())
def test_gathered_rows_are_those_of_the_chosen_items(lengths: list[int], draw: st.DataObject) -> None:
    offsets = np.cumsum([0, *lengths])
    chosen = np.array(draw.draw(st.lists(st.integers(0, len(lengths) - 1))), dtype=np.int64)
    rows, ends = gathered(offsets, chosen)
    assert rows.tolist() == [row for item in chosen for row in range(offsets[item], offsets[item + 1])]
    assert ends.tolist() == np.cumsum([0, *(lengths[item] for item in chosen)]).tolist()
