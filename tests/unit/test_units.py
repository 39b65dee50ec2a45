import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("4h", 14400), ("1h30m", 5400), ("1d 12h", 129600), ("500ms", 0.5), (7, 7), (1.5, 1.5)],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "4x", "-4h", "0", 0, -1, True, None, "1h 2", "nan", float("inf"), []])
def test_other_durations_are_refused_with_what_is_allowed(text: object) -> None:
    with pytest.raises(ValueError, match="allowed: a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("12GB", 12 * 10**9), ("12GiB", 12 * 2**30), ("500 MB", 5 * 10**8), (1024, 1024), ("1.5k", 1500)]
)
def test_sizes_are_read_as_people_write_them(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", 0, True, None, "12XB", "1e9", "12 G B", float("nan")])
def test_other_sizes_are_refused_with_what_is_allowed(text: object) -> None:
    with pytest.raises(ValueError, match="allowed: a size"):
        parse_size(text)


@given(st.floats(min_value=0.05, max_value=1e8))
def test_a_printed_duration_reads_back_about_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.05, abs=0.06)


def test_sizes_are_printed_short() -> None:
    assert [format_size(n) for n in (0, 999, 1000, 1_500_000, 2e12)] == ["0 B", "999 B", "1.0 kB", "1.5 MB", "2.0 TB"]
