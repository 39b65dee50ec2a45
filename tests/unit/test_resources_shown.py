from datetime import UTC, datetime, timedelta

from queueing.cli.resources import MOST_ROWS, rows, thinned
from store.samples import GpuSample, Peaks, Sample, highest, peaks_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def sample(second: int, **changes: object) -> Sample:
    values: dict[str, object] = {
        "cpu_s": 2.0 * second, "memory_bytes": 10**9, "read_bytes": 10**6 * second, "written_bytes": 0,
        "disk_free_bytes": 10**12, "at": BEGAN + timedelta(seconds=second),
    }  # fmt: skip
    return Sample(run="r", attempt=1, host="h", **{**values, **changes})  # type: ignore[arg-type]


def test_rates_are_means_between_two_shown_looks() -> None:
    assert rows([sample(0), sample(10), sample(20, written_bytes=5 * 10**6)]) == [
        ("10s", "2.0", "1.0 GB", "1.0 MB", "0 B", "1.0 TB", ""),
        ("20s", "2.0", "1.0 GB", "1.0 MB", "500.0 kB", "1.0 TB", ""),
    ]


def test_a_single_look_is_shown_without_rates() -> None:
    assert rows([sample(1)]) == [("0.0s", "", "1.0 GB", "", "", "1.0 TB", "")]


def test_a_long_run_fits_a_screen_with_its_beginning_and_end() -> None:
    many = [sample(second) for second in range(5000)]
    shown = thinned(many, MOST_ROWS)
    assert (len(shown), shown[0], shown[-1]) == (MOST_ROWS, many[0], many[-1])
    assert len(rows(many)) == MOST_ROWS


def test_a_gpu_shows_what_its_driver_tells() -> None:
    full = GpuSample(index=0, memory_bytes=5 * 10**9, busy=0.93, power_w=240.4, celsius=61)
    assert rows([sample(1, gpus=(full, GpuSample(index=3)))])[0][-1] == "0: 5.0 GB 93% 240 W 61 °C; 3: "


def test_the_peak_of_a_run_is_that_of_its_fullest_gpu() -> None:
    gpus = (GpuSample(index=0, memory_bytes=4), GpuSample(index=1, memory_bytes=9), GpuSample(index=2))
    assert peaks_of(sample(1, gpus=gpus)) == Peaks(memory_bytes=10**9, gpu_memory_bytes=9)
    assert highest([Peaks(memory_bytes=2, checkpoint_bytes=1), Peaks(memory_bytes=1, gpu_memory_bytes=3)]) == Peaks(
        memory_bytes=2, gpu_memory_bytes=3, checkpoint_bytes=1
    )
