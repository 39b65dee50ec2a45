"""Columns of data frames: whatever the pages hold, the values come out as they went in."""

import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from queueing.frames.columns import Columns
from queueing.frames.run_table import _metrics
from queueing.results.table import Kind

NUMBERS = st.none() | st.floats() | st.integers(-(2**53), 2**53)
VALUES = (
    st.lists(st.none() | st.floats())
    | st.lists(NUMBERS)
    | st.lists(st.none() | st.booleans())
    | st.lists(st.none() | st.text(max_size=2))
    | st.lists(st.none() | st.datetimes().map(lambda at: at.replace(microsecond=0, fold=0)))
    | st.lists(NUMBERS | st.booleans() | st.text(max_size=2) | st.lists(NUMBERS, max_size=2))
)


def filled(pages: list[list[Any]]) -> Any:
    table = Columns()
    for page in pages:
        table.add({"one": page}, len(page))
    return next(iter(table.filled()))


@given(pages=st.lists(VALUES, min_size=1, max_size=4))
def test_values_and_gaps_come_out_as_they_went_in(pages: list[list[Any]]) -> None:
    column = filled(pages)
    given_ones = [value for page in pages for value in page]
    assert column.missing.tolist() == [value is None for value in given_ones]
    is_number = column.kind is Kind.NUMBER
    expected = [float(value) if is_number and value is not None else value for value in given_ones]
    assert list(map(repr, column.as_list())) == list(map(repr, expected))


def test_nan_is_not_missing_and_equal_texts_are_held_once() -> None:
    numbers = filled([[math.nan, None], [None, None], [1.5]])
    assert (numbers.kind, numbers.missing.tolist()) == (Kind.NUMBER, [False, True, True, True, False])
    texts = filled([["".join(["ta", "nh"]), None], ["".join(["tan", "h"])]])
    assert texts.values[0] is texts.values[2]
    assert filled([[datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), None]]).kind is Kind.TIME


def test_the_best_of_a_metric_that_was_never_a_number_is_nan_and_of_none_is_missing() -> None:
    there, never = {"last": 2.0, "min": 1.0, "max": 3.0}, {"last": math.nan, "min": None, "max": None}
    found = _metrics([{"loss": there}, {"loss": never}, {}, {"acc": there}, {"loss": {"last": 5.0}}])
    assert repr(found["best.loss"]) == "[1.0, nan, None, None, nan]"
    assert repr(found["last.loss"]) == "[2.0, nan, None, None, 5.0]"
    assert found["best.acc"] == [None, None, None, 3.0, None]
    assert list(found) == ["best.loss", "last.loss", "best.acc", "last.acc"]
