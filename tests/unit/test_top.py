"""The picture of the lab: what is in it, and that it fits any terminal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from queueing.cli.context import jsonable
from queueing.live.tables import allot
from queueing.live.words import rate_words
from queueing.top.compose import Read, compose, cores
from queueing.top.picture import Picture
from queueing.top.reading import Reader
from queueing.top.view import render
from store.errors import StoreUnavailable
from store.memory import MemoryStore
from store.runs import Attempt, Lease, MetricSummary, Progress, Run, Task
from store.samples import GpuSample, Sample
from store.settings import Settings
from store.states import Reason, State
from store.workers import Drain, Worker

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def a_run(number: int, **changes: object) -> Run:
    run = Run(
        id=f"{number:04d}abcdefgh", key=str(number), experiment=f"an-experiment-with-a-long-name-{number % 3}", params={},
        task=Task(command=("true",), workdir="/"), queued_at=ago(900), state=State.RUNNING, attempt=1,
        started_at=ago(600), lease=Lease(worker=f"host{number % 2}-{number}", until=NOW),
        progress=Progress(done=10.0 * number, total=1000),
        summary={"val_loss": MetricSummary(last=0.123456, last_step=1, count=1)},
        history=(Attempt(number=1, worker="w", started_at=ago(600)),),
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


def a_sample(number: int, seconds_ago: float, cpu_s: float) -> Sample:
    gpu = GpuSample(index=number % 4, memory_bytes=5 * 10**9, busy=0.9, power_w=240, celsius=61)
    return Sample(
        run=a_run(number).id, attempt=1, host=f"host{number % 2}", cpu_s=cpu_s, memory_bytes=10**9, read_bytes=0,
        written_bytes=0, disk_free_bytes=10**12 - number, gpus=(gpu,), at=ago(seconds_ago),
    )  # fmt: skip


def a_read(runs: int = 12) -> Read:
    workers = [
        Worker(
            name=f"host{n % 2}-{n}", host=f"host{n % 2}", pid=n, gpus=4, cpus=16, memory_bytes=64 * 10**9,
            tags=("a100",), run=a_run(n).id if n < runs else None, seen_at=ago(n % 5),
        )
        for n in range(runs + 3)
    ]  # fmt: skip
    ended = [
        a_run(100 + n, state=State.FAILED if n % 2 else State.FINISHED, reason=Reason.OUT_OF_MEMORY if n % 2 else None,
              ended_at=ago(n * 60))
        for n in range(20)
    ]  # fmt: skip
    return Read(
        now=NOW,
        workers=workers,
        running=[a_run(n) for n in range(runs)],
        ended=ended,
        samples=[a_sample(n, back, 1000 - 2 * back) for n in range(runs) for back in (20.0, 10.0)],
        waiting={("default", "weather"): 900, ("default", "docs"): 100, ("gpu", "big"): 3},
        lengths={
            (State.QUEUED, "default"): 123_456, (State.RUNNING, "default"): runs, (State.FINISHED, "default"): 7,
            (State.PAUSED, "gpu"): 2,
        },
        counted_at=ago(30),
    )  # fmt: skip


def drawn(picture: Picture, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(picture, width, height))
    return capture.get().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [40, 79, 80, 100, 120, 200, 300])
@pytest.mark.parametrize("height", [10, 24, 25, 40, 60, 200])
@pytest.mark.parametrize("runs", [0, 1, 12, 150])
def test_the_picture_fits_every_terminal(width: int, height: int, runs: int) -> None:
    for picture in (
        compose(a_read(runs)),
        replace(compose(a_read(runs)), away="MongoDB does not answer: " + "x" * 300),
    ):
        lines = drawn(picture, width, height)
        assert len(lines) <= height
        assert all(len(line) <= width for line in lines)


def test_eighty_by_twenty_four_shows_some_of_everything_and_says_what_is_missing() -> None:
    lines = drawn(compose(a_read(30)), 80, 24)
    text = "\n".join(lines)
    for title in ("run ", "worker ", "machine ", "GPU ", "queue ", "ended "):
        assert any(line.startswith(title) for line in lines), title
    assert "+" in text
    assert "more" in text
    shown = [line for line in lines if line.startswith("00")]
    missing = next(int(line.split()[0]) for line in lines if line.startswith("+"))
    assert len(shown) + missing == 30


def test_a_tall_wide_terminal_shows_all_of_it() -> None:
    text = "\n".join(drawn(compose(a_read()), 200, 100))
    assert "more" not in text
    assert "1.0 GB" in text
    assert "val_loss=0.1235" in text
    assert "failed (out-of-memory)" in text
    assert "123456" in text
    assert "weather 900, docs 100" in text
    assert "host1-11" in text


def test_an_empty_lab_says_what_to_do() -> None:
    assert any("labq worker" in line for line in drawn(Picture(at=NOW), 80, 24))


def test_an_old_picture_says_that_it_is_one() -> None:
    lines = drawn(replace(compose(a_read()), away="MongoDB does not answer"), 80, 24)
    assert lines[1].startswith("as of 12:00:00: MongoDB does not answer")


def test_rows_are_shared_out_by_weight_and_none_gets_more_than_it_wants() -> None:
    assert allot([3, 10], [1, 1], 20) == [3, 10]
    assert allot([50, 50], [3, 1], 20) == [15, 5]
    assert allot([50, 2, 50], [5, 1, 1], 14) == [10, 2, 2]
    assert allot([50, 50, 50], [1, 1, 1], 5) == [3, 2, 0]
    assert allot([], [], 5) == []


def test_machines_sum_what_their_runs_use() -> None:
    first, second = compose(a_read(4)).machines
    assert (first.host, first.workers, first.busy, first.cpus, first.gpus) == ("host0", 4, 2, 16, 4)
    assert first.cores == pytest.approx(4.0)
    assert first.memory_bytes == 2 * 10**9
    assert second.disk_free_bytes == 10**12 - 3


def test_a_worker_that_is_to_leave_says_so_from_its_time_on() -> None:
    orders = [Drain(target="host0", from_at=ago(5)), Drain(target="host1-3", from_at=ago(-60))]
    workers = compose(replace(a_read(2), drains=orders)).workers
    assert [worker.name for worker in workers if worker.draining] == ["host0-0", "host0-2", "host0-4"]


def test_a_gpu_names_the_runs_that_hold_it() -> None:
    gpus = compose(a_read(6)).gpus
    shared = next(gpu for gpu in gpus if (gpu.host, gpu.index) == ("host0", 0))
    assert [run[:4] for run in shared.runs] == ["0000", "0004"]
    assert shared.memory_bytes == 10 * 10**9


def test_samples_of_an_earlier_attempt_say_nothing() -> None:
    read = replace(a_read(1), running=[a_run(0, attempt=2)])
    assert compose(read).running[0].memory_bytes is None
    assert compose(read).gpus == ()


def test_cores_are_those_between_the_newest_two_samples() -> None:
    assert cores([a_sample(0, 30, 1), a_sample(0, 20, 10), a_sample(0, 10, 15)]) == pytest.approx(0.5)
    assert cores([a_sample(0, 10, 15)]) is None


def test_the_next_to_finish_comes_first() -> None:
    lines = compose(replace(a_read(5), ended=[])).running
    assert [line.id[:4] for line in lines] == ["0004", "0003", "0002", "0001", "0000"]


@pytest.mark.parametrize(
    ("per_s", "text"), [(None, ""), (0.0, "0/s"), (1234.5, "1.23e+03/s"), (3.21, "3.21/s"), (0.05, "3/min"), (0.001, "3.6/h"), (1e-5, "0.86/d")]
)  # fmt: skip
def test_rates_have_a_unit_that_fits(per_s: float | None, text: str) -> None:
    assert rate_words(per_s) == text


def test_the_picture_is_json() -> None:
    told = jsonable(compose(a_read(2)))
    assert sorted(run["fraction"] for run in told["running"]) == pytest.approx([0.0, 0.01])
    assert told["queues"][1]["paused"] == 2


class Slow(MemoryStore):
    counted = 0

    def queue_lengths(self) -> dict[tuple[State, str], int]:
        self.counted += 1
        return super().queue_lengths()


def test_counting_is_left_to_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 1.0, 5.0, 20.9, 21.1, 22.1, 22.1])
    monkeypatch.setattr("queueing.top.reading.time.monotonic", lambda: next(clock))
    store = Slow()
    reader = Reader(store, Settings())
    for _ in range(4):
        reader.read()
    assert store.counted == 2


class Uncountable(MemoryStore):
    def queue_lengths(self) -> dict[tuple[State, str], int]:
        raise StoreUnavailable("MongoDB does not answer in time")


def test_more_runs_than_can_be_counted_in_time_cost_the_counts_alone() -> None:
    store = Uncountable()
    store.add_runs([a_run(1, state=State.QUEUED, lease=None)])
    picture = Reader(store, Settings()).read()
    assert picture.counts == ()
    (queue,) = picture.queues
    assert queue.queued is None
    assert any(line.split()[:2] == ["default", "?"] for line in drawn(picture, 80, 24))


def test_the_rate_is_watched_from_round_to_round() -> None:
    now = NOW
    store = MemoryStore(lambda: now)
    store.add_runs([a_run(1, state=State.QUEUED, lease=None, history=(), progress=None, attempt=0)])
    worker = Worker(name="w", host="h", pid=1)
    claimed = store.claim(worker, 60)
    assert claimed is not None
    reader, rates = Reader(store, Settings()), []
    for second in range(4):
        now = NOW + timedelta(seconds=100 + 2 * second)
        store._put(replace(store.run(claimed.id), progress=Progress(done=100.0 + 10 * second, total=1000)))
        rates.append(reader.read().running[0].per_s)
    assert rates[0] == pytest.approx(1.0)
    assert rates[3] == pytest.approx(5.0)
