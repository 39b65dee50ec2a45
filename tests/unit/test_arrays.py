"""Numbers taken out of BSON as it comes over the wire."""

import math

import bson
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mongo.arrays import tables

NUMBERS = st.one_of(
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=1200),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30),
    st.lists(st.floats(), max_size=1200),
    st.lists(st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False)), max_size=30),
)


def read(document: dict[str, list[float]]) -> dict[str, list[float]]:
    return joined(bson.encode(document))


def joined(batch: bytes) -> dict[str, list[float]]:
    """The numbers of all documents of a batch, one after the other."""
    found: dict[str, list[float]] = {}
    for table in tables(batch):
        for name, numbers in table.items():
            found.setdefault(name, []).extend(numbers.tolist())
    return found


@given(step=NUMBERS, value=NUMBERS)
def test_arrays_of_any_numbers_are_read_as_the_driver_reads_them(step: list[float], value: list[float]) -> None:
    found = read({"step": step, "value": value})
    assert list(found) == ["step", "value"]
    for mine, theirs in ((found["step"], step), (found["value"], value)):
        np.testing.assert_array_equal(mine, np.asarray(theirs, dtype=np.asarray(mine).dtype if theirs else float))


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 12345])
def test_every_number_of_digits_in_the_keys_is_counted(count: int) -> None:
    values = [math.nan if k == 7 else k / 3 for k in range(count)]
    np.testing.assert_array_equal(read({"value": values})["value"], values)


def test_a_batch_is_cut_into_its_documents() -> None:
    batch = bson.encode({"value": [1.0]}) + bson.encode({"value": []}) + bson.encode({"value": [2, 3]})
    assert [one["value"].tolist() for one in tables(batch)] == [[1.0], [], [2, 3]]


def test_documents_that_lie_alike_are_read_together() -> None:
    columns = [{"step": list(range(k, k + 1000)), "value": [k / 7 + i for i in range(1000)]} for k in (0, 5000, 10**6)]
    batch = b"".join(bson.encode(one) for one in [*columns, {"step": [5], "value": [math.inf]}])
    assert len(list(tables(batch))) == 2
    assert joined(batch) == {
        "step": [step for one in columns for step in one["step"]] + [5],
        "value": [value for one in columns for value in one["value"]] + [math.inf],
    }


LIKE_SIZES = st.sampled_from(
    [
        {"a": [1, 2], "b": [0.5]}, {"a": [2**40], "b": [0.5]}, {"a": [0.25], "b": [2**40]}, {"a": [1, 2], "c": [0.5]},
        {"a": [0.5], "b": [1, 2]}, {"a": [1, 2.5], "b": []}, {"a": [2.5, 1], "b": []}, {"b": [0.5], "a": [1, 2]},
        {"a": [1, 2**40], "b": []}, {"a": [], "b": [7, 8.5]}, {"a": [], "b": [math.inf, 8]},
    ]
)  # fmt: skip


@given(st.lists(LIKE_SIZES, max_size=12))
def test_neighbours_of_one_size_are_not_taken_for_alike(documents: list[dict[str, list[float]]]) -> None:
    """Same sizes, but other names, types, lengths, or an array of several types."""
    wanted: dict[str, list[float]] = {}
    for one in documents:
        for name, numbers in one.items():
            wanted.setdefault(name, []).extend(numbers)
    assert joined(b"".join(map(bson.encode, documents))) == wanted


def test_a_field_that_is_no_array_is_an_error() -> None:
    with pytest.raises(ValueError, match="name is no array"):
        joined(bson.encode({"name": "loss"}))
