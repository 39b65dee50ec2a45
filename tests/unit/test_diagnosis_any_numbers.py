"""Whatever numbers a script reports, the diagnosis answers, and always the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from diagnosis_lab import BEGIN
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.diagnosis import Chart, Siblings, diagnose
from store.metrics import Series
from store.samples import GpuSample, Sample
from store.states import State

NAMES = ["loss", "train_loss", "val_loss", "val_accuracy", "reward", "gradient_norm", "gradient_norm_W", "gradient_norm_V",
         "norm_W", "update_ratio_W", "dead_units", "learning_rate", "Ünbekannt 7"]  # fmt: skip
NUMBERS = (
    st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7e308, -1.7e308])
    | st.floats(0.5, 2)
)
SIZES = st.integers(0, 2**63 - 1)


@st.composite
def all_series(draw: st.DrawFn) -> dict[str, Series]:
    found = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6)):
        values = draw(st.lists(NUMBERS, max_size=12)) * draw(st.sampled_from([1, 1, 3, 9]))
        n = len(values)
        steps = draw(st.lists(st.integers(0, 2**53), min_size=n, max_size=n) | st.just(list(range(n))))
        times = draw(
            st.lists(st.floats(0, 4e9), min_size=n, max_size=n)
            | st.just([BEGIN.timestamp() + 10 * i for i in range(n)])
        )
        found[name] = Series(name=name, steps=tuple(steps), times=tuple(times), values=tuple(values))
    return found


@st.composite
def all_samples(draw: st.DrawFn) -> tuple[Sample, ...]:
    gpus = st.lists(
        st.builds(GpuSample, index=st.integers(0, 3), busy=st.none() | st.floats(0, 1), memory_bytes=st.none() | SIZES),
        max_size=2,
    )
    return tuple(
        Sample(
            run="r", attempt=1, host="h", cpu_s=draw(st.floats(0, 1e9)), memory_bytes=draw(SIZES), read_bytes=draw(SIZES), written_bytes=draw(SIZES),
            disk_free_bytes=draw(SIZES), gpus=tuple(draw(gpus)), at=draw(st.none() | st.just(BEGIN + timedelta(seconds=15 * i)) | st.just(BEGIN)),
        )
        for i in range(draw(st.sampled_from([0, 1, 2, 40])))
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(all_series(), all_samples(), st.sampled_from(State), st.text(max_size=60), st.booleans(), st.integers(0, 10**6))
def test_any_chart_has_a_diagnosis(
    series: dict[str, Series], samples: tuple[Sample, ...], state: State, output: str, started: bool, later_s: int
) -> None:
    chart = Chart(
        state=state,
        attempt=1,
        now=BEGIN + timedelta(seconds=later_s),
        started_at=BEGIN if started else None,
        params={"lr": 1e-3, "nested": {"learning_rate": 3}},
        series=series,
        samples=samples,
        output=output,
        siblings=Siblings(count=3, steps_per_s=1.0, interval_s=5.0),
        memory_limit_bytes=10**9,
    )
    found = diagnose(chart)
    assert found == diagnose(replace(chart))
    assert all(one.evidence and one.advice and one.reference for one in found)
    assert len({one.name for one in found}) == len(found)
