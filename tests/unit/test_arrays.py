"""Numbers taken out of BSON as it comes over the wire."""

import math

import bson
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mongo.arrays import arrays, documents

NUMBERS = st.one_of(
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=1200),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30),
    st.lists(st.floats(), max_size=1200),
    st.lists(st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False)), max_size=30),
)


def read(document: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: found.tolist() for name, found in arrays(memoryview(bson.encode(document))).items()}


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
    assert [arrays(one)["value"].tolist() for one in documents(batch)] == [[1.0], [], [2, 3]]


def test_a_field_that_is_no_array_is_an_error() -> None:
    with pytest.raises(ValueError, match="name is no array"):
        arrays(memoryview(bson.encode({"name": "loss"})))
