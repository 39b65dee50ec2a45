"""`labq watch`: what is read, what is shown of it, what keys do; and that it fits any terminal."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from queueing.cli.context import jsonable
from queueing.live.keyboard import Key, decoded
from queueing.watch.chart import Line, chart
from queueing.watch.choice import metric_of
from queueing.watch.compose import Read, compose, left_s, per_hour, share_done
from queueing.watch.curves import MOST_POINTS, Axis, Curve, band, grain_for, grown, thinned
from queueing.watch.look import Look, Sort, ordered, pressed
from queueing.watch.picture import Picture, Sweep
from queueing.watch.reading import Reader
from queueing.watch.run_view import sparkline
from queueing.watch.told import told
from queueing.watch.view import render
from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.glances import Beyond, Stroke
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.runs import Attempt, Ending, Lease, MetricSummary, Progress, Run, Task
from store.samples import Sample, peaks_of
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STUCK = Finding(
    disease=Disease.DIVERGENCE, severity=Severity.SEVERE, evidence="val_loss rose from 0.5 to 3e+05", since_step=120,
    advice="Lower the learning rate, by a factor of 3 at first.", found_at=NOW, about="val_loss",
)  # fmt: skip
SLOW = Finding(
    disease=Disease.SLOW, severity=Severity.NOTE, evidence="half as fast", advice="Look at the disk.", found_at=NOW
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def a_run(number: int, **changes: Any) -> Run:
    run = Run(
        id=f"{number:04d}abcdefgh", key=str(number), experiment="weather", params={"lr": 10.0**-number, "size": 32, "seed": number},
        task=Task(command=("true",), workdir="/"), queued_at=ago(900), index=number, state=State.RUNNING, attempt=1,
        started_at=ago(600), lease=Lease(worker=f"host-{number % 2}", until=NOW),
        progress=Progress(done=100.0 * (number + 1), total=1000),
        summary={
            "val_loss": MetricSummary(last=0.5 + number, last_step=9, count=10, min=0.25 + number, min_step=7, max=9.0, max_step=1),
            "accuracy": MetricSummary(last=0.5, last_step=9, count=10, min=0.1, min_step=1, max=0.6 + number / 100, max_step=7),
        },
        history=(Attempt(number=1, worker="w", started_at=ago(600)),),
    )  # fmt: skip
    return replace(run, **changes)


def ended(number: int, state: State = State.FINISHED, **changes: Any) -> Run:
    return a_run(number, **{"state": state, "ended_at": ago(60 * number), "lease": None, **changes})


def a_curve(values: Sequence[float], every: int = 1) -> Curve:
    steps = np.arange(len(values)) * float(every)
    return Curve(steps=steps, times=steps * 2 + 1.7e9, values=np.array(values, dtype=float))


def a_sweep(runs: Sequence[Run] | None = None, **changes: Any) -> Sweep:
    some = list(runs) if runs is not None else [*(a_run(n) for n in range(4)), *(ended(n) for n in range(4, 12))]
    counts = {state: n for state in State if (n := sum(run.state is state for run in some))}
    read = Read(
        now=NOW, experiment="weather", owner="me", counts=counts, runs=some, metrics=("accuracy", "val_loss"), metric="val_loss",
        curves={run.id: a_curve([1.0 / (step + 1) + n for step in range(10)]) for n, run in enumerate(some)},
    )  # fmt: skip
    return compose(replace(read, **changes))


def a_picture(sweep: Sweep | None = None, **changes: Any) -> Picture:
    return replace(Picture(at=NOW, sweep=sweep or a_sweep()), **changes)


def drawn(picture: Picture, look: Look | None = None, width: int = 120, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(picture, look or Look(), width, height))
    return capture.get().rstrip("\n").split("\n")


class TestFits:
    @pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
    @pytest.mark.parametrize("height", [3, 8, 12, 24, 40, 100])
    @pytest.mark.parametrize("look", [Look(), Look(log=True, axis=Axis.TIME), Look(help=True), Look(sort=Sort.STATE)])
    def test_the_page_fits_every_terminal(self, width: int, height: int, look: Look) -> None:
        found = {run.id: Diagnosis(run=run.id, attempt=1, findings=(STUCK, SLOW)) for run in (a_run(0), a_run(1))}
        for sweep in (a_sweep(diagnoses=found), a_sweep([]), a_sweep([a_run(n) for n in range(300)])):
            lines = drawn(a_picture(sweep, away="MongoDB does not answer: " + "x" * 300), look, width, height)
            assert len(lines) <= height
            assert all(len(line) <= width for line in lines)

    def test_eighty_by_twenty_four_shows_some_of_everything(self) -> None:
        sweep = a_sweep(diagnoses={a_run(0).id: Diagnosis(run=a_run(0).id, attempt=1, findings=(STUCK,))})
        text = "\n".join(drawn(a_picture(sweep), width=80, height=24))
        for words in (
            "weather",
            "4 running, 8 finished",
            "val_loss by step",
            "0000abcd",
            "divergence",
            "lately",
            "q leave",
        ):
            assert words in text, words

    def test_sixty_columns_show_what_matters(self) -> None:
        lines = drawn(a_picture(), width=60, height=24)
        assert any(line.startswith("1 0000abcd running") for line in lines)
        assert any("best↓" in line for line in lines)


class TestHeader:
    def test_it_says_how_the_experiment_stands(self) -> None:
        lines = drawn(a_picture())
        assert lines[0].startswith("weather  12:00:00 UTC  4 running, 8 finished")
        assert "75%" in lines[1]
        assert "on host-0, host-1" in lines[1]
        assert "left" in lines[1]

    def test_an_old_picture_says_that_it_is_one_and_that_nobody_need_do_anything(self) -> None:
        lines = drawn(a_picture(away="MongoDB does not answer"))
        assert lines[2] == "as of 12:00:00, goes on by itself: MongoDB does not answer"

    def test_where_nobody_works_it_says_whom_to_ask(self) -> None:
        waiting = a_run(
            7, state=State.QUEUED, lease=None, attempt=0, history=(), started_at=None, progress=None, summary={}
        )
        assert "nobody works on it; see: labq why 0007abcd" in drawn(a_picture(a_sweep([waiting])))[1]

    def test_the_share_counts_running_runs_in_part_and_cancelled_ones_not_at_all(self) -> None:
        counts = {State.FINISHED: 1, State.FAILED: 1, State.RUNNING: 1, State.QUEUED: 1, State.CANCELLED: 6}
        assert share_done(counts, [a_run(4)]) == pytest.approx(2.5 / 4)
        assert share_done({}, []) is None

    def test_the_time_left_is_that_of_the_last_run(self) -> None:
        running = [a_run(0), a_run(1)]
        left = {running[0].id: 100.0, running[1].id: 300.0}
        assert left_s({State.RUNNING: 2}, running, left, [], NOW) == 300
        assert left_s({State.RUNNING: 2, State.QUEUED: 4}, running, left, [1000.0], NOW) == (400 + 4000) / 2
        assert left_s({State.RUNNING: 2, State.QUEUED: 1}, running, left, [], NOW) == (400 + 800) / 2
        assert left_s({State.QUEUED: 4}, [], {}, [1000.0], NOW) is None

    def test_runs_per_hour_are_those_of_the_last_hour(self) -> None:
        old = [ended(n, started_at=ago(9000), ended_at=ago(60 * n + 1)) for n in range(100)]
        assert per_hour(old, NOW) == pytest.approx(60)
        assert per_hour([ended(1, started_at=ago(1800), ended_at=ago(5))], NOW) == pytest.approx(2)
        assert per_hour([a_run(1)], NOW) is None


class TestTable:
    def test_only_parameters_that_differ_are_columns(self) -> None:
        title = next(line for line in drawn(a_picture(), width=140) if "best↓" in line)
        assert " lr " in title
        assert "seed" in title
        assert "size" not in title

    def test_the_best_come_first_and_carry_the_letters_of_their_curves(self) -> None:
        rows = [
            line for line in drawn(a_picture(), width=140, height=60) if "abcdefgh"[:4] in line and "host" not in line
        ]
        table = [line for line in rows if line[:2] in ("1 ", "2 ", "3 ", "a ", "  ") and "ago" not in line]
        assert [line.split()[0] for line in table[:4]] == ["1", "2", "3", "a"]
        assert table[0].split()[1] == "0000abcd"

    @pytest.mark.parametrize(
        ("sort", "first"), [(Sort.BEST, 0), (Sort.LAST, 0), (Sort.STATE, 0), (Sort.PROGRESS, 9), (Sort.FINDINGS, 3)]
    )
    def test_it_is_sorted_by_any_column(self, sort: Sort, first: int) -> None:
        sweep = a_sweep(diagnoses={a_run(3).id: Diagnosis(run=a_run(3).id, attempt=1, findings=(STUCK,))})
        rows = ordered(sweep, Look(sort=sort))
        assert rows[0].id == a_run(first).id
        assert len(rows) == 12

    def test_what_has_no_value_comes_last_either_way(self) -> None:
        runs = [a_run(0), a_run(1, summary={}), a_run(2)]
        for backwards in (False, True):
            assert ordered(a_sweep(runs), Look(backwards=backwards))[-1].id == runs[1].id

    def test_greater_is_better_where_the_metric_says_so(self) -> None:
        sweep = a_sweep(metric="accuracy", greatest=True)
        assert ordered(sweep, Look())[0].best == pytest.approx(0.71)

    def test_a_long_table_follows_the_selected_run_and_says_where_it_is(self) -> None:
        sweep = a_sweep([a_run(n) for n in range(300)])
        lines = drawn(a_picture(sweep), Look(selected=a_run(250).id), 100, 30)
        assert any("0250abcd" in line for line in lines)
        assert any("of 300, sorted by best" in line for line in lines)

    def test_names_and_messages_cannot_command_the_terminal(self) -> None:
        evil = ended(
            1,
            State.FAILED,
            reason=Reason.ERROR,
            params={"name": "\x1b]0;gotcha\x07", "lr": 1},
            ending=Ending(message="\x1b[2J [bold]no[/bold]"),
        )
        text = "\n".join(drawn(a_picture(a_sweep([evil, a_run(2, params={"name": "x", "lr": 1})])), width=200))
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "[bold]no[/bold]" in text


class TestFindings:
    def test_severe_ones_come_first_with_evidence_and_advice(self) -> None:
        found = {
            a_run(n).id: Diagnosis(run=a_run(n).id, attempt=1, findings=(SLOW, *([STUCK] if n == 2 else [])))
            for n in range(3)
        }
        lines = drawn(a_picture(a_sweep(diagnoses=found)), width=200, height=60)
        first = lines[lines.index("findings") + 1]
        assert first.startswith("‼ 0002abcd divergence (val_loss) since step 120: val_loss rose from 0.5 to 3e+05")
        assert "→ Lower the learning rate" in first
        assert any("‼divergence ·slow" in line for line in lines)

    def test_what_is_over_or_of_an_earlier_attempt_does_not_stand(self) -> None:
        over = Diagnosis(run=a_run(0).id, attempt=1, findings=(replace(STUCK, over_at=NOW),))
        earlier = Diagnosis(run=a_run(1).id, attempt=0, findings=(STUCK,))
        assert a_sweep(diagnoses={over.run: over, earlier.run: earlier}).findings == ()

    def test_what_does_not_fit_is_counted(self) -> None:
        found = {a_run(n).id: Diagnosis(run=a_run(n).id, attempt=1, findings=(STUCK,)) for n in range(12)}
        assert any("more findings" in line for line in drawn(a_picture(a_sweep(diagnoses=found)), width=80, height=30))

    def test_what_happened_lately_is_told_the_newest_first(self) -> None:
        resumed = a_run(1, attempt=3, history=(Attempt(number=3, worker="w", started_at=ago(5), resumed_from_step=40),))
        failed = ended(2, State.FAILED, reason=Reason.OUT_OF_MEMORY, ended_at=ago(9), ending=Ending(message="killed"))
        found = {a_run(1).id: Diagnosis(run=a_run(1).id, attempt=3, findings=(replace(STUCK, found_at=ago(2)),))}
        lines = drawn(a_picture(a_sweep([resumed, failed], diagnoses=found)), width=160)
        lately = [line.split() for line in lines[lines.index("lately") + 1 :]]
        assert [words[3] for words in lately[:4]] == ["found", "resumed", "failed", "started"]
        assert " ".join(lately[1][4:]) == "attempt 3, from step 40"
        assert " ".join(lately[2][4:]) == "out-of-memory: killed"


class TestKeys:
    def press(self, look: Look, *keys: str, sweep: Sweep | None = None) -> Look:
        for key in keys:
            after = pressed(look, key, a_picture(sweep or a_sweep()))
            assert after is not None
            look = after
        return look

    def test_bytes_become_keys(self) -> None:
        assert decoded("q\x1b[A\x1bOB\r\x1b[5~\x1b[99~x\x7f\t\x1b") == [
            "q", Key.UP, Key.DOWN, Key.ENTER, Key.PAGE_UP, "x", Key.BACKSPACE, Key.TAB, Key.ESCAPE,
        ]  # fmt: skip
        assert decoded("\x1b[") == []

    def test_metric_scale_axis_and_order_change(self) -> None:
        assert self.press(Look(), "m").metric == "accuracy"
        assert self.press(Look(), "m", "m").metric == "val_loss"
        look = self.press(Look(), "l", "x", "s", "r")
        assert (look.log, look.axis, look.sort, look.backwards) == (True, Axis.TIME, Sort.LAST, True)

    def test_arrows_choose_enter_opens_backspace_goes_back(self) -> None:
        look = self.press(Look(), Key.DOWN, Key.DOWN, Key.ENTER)
        assert look.opened == a_run(1).id
        assert self.press(look, Key.BACKSPACE) == replace(look, opened="")
        assert self.press(Look(), Key.END).selected == a_run(11).id
        assert self.press(Look(), Key.END, Key.DOWN, Key.HOME, Key.UP).selected == a_run(0).id

    def test_q_leaves_from_everywhere_and_escape_from_the_first_page(self) -> None:
        for look in (Look(), Look(opened="x"), Look(help=True)):
            assert pressed(look, "q", a_picture()) is None
        assert pressed(Look(), Key.ESCAPE, a_picture()) is None
        assert self.press(Look(opened="x"), Key.ESCAPE).opened == ""

    def test_help_goes_with_any_key_and_a_note_too(self) -> None:
        assert self.press(Look(note="also"), "?").help
        assert self.press(Look(help=True), "l") == Look()

    def test_an_empty_page_bears_every_key(self) -> None:
        for key in ("m", "M", Key.DOWN, Key.ENTER, "s", "z", Key.PAGE_DOWN):
            self.press(Look(), key, sweep=a_sweep([], metrics=(), metric=""))
            assert pressed(Look(), key, Picture(at=NOW)) is not None


class TestCurves:
    def test_a_spike_stays_however_often_the_curve_is_thinned(self) -> None:
        curve = a_curve([])
        for piece in range(40):
            values = [1.0] * 500
            values[250] = 99.0 if piece == 3 else 1.0
            steps = tuple(range(500 * piece, 500 * piece + 500))
            stroke = Stroke(
                run="r", attempt=1, points=0, steps=steps, times=tuple(map(float, steps)), values=tuple(values)
            )
            curve = grown(curve, [stroke])
            assert len(curve) <= MOST_POINTS
        assert curve.steps[np.argmax(curve.values)] == 1750
        assert len(thinned(curve, 100)) <= 100
        assert 99.0 in thinned(curve, 100).values

    def test_long_series_are_read_coarsely(self) -> None:
        assert [grain_for(points) for points in (10, 1000, 10_000, 1_000_000)] == [1, 1, 32, 2048]

    def test_the_band_is_between_the_quartiles(self) -> None:
        found = band([a_curve([float(n)] * 5) for n in range(5)], Axis.STEP, np.array([0.0, 2.0, 99.0]))
        assert found is not None
        low, middle, high = found
        assert (low[0], middle[0], high[0]) == (1.0, 2.0, 3.0)
        assert math.isnan(middle[2])
        assert band([a_curve([1.0])] * 2, Axis.STEP, np.array([0.0])) is None

    @pytest.mark.parametrize("seed", range(5))
    def test_the_quartiles_are_those_of_numpy(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        curves = [a_curve(list(rng.normal(size=rng.integers(3, 20)))) for _ in range(9)]
        at = np.arange(20.0)
        found = band(curves, Axis.STEP, at)
        assert found is not None
        lines = np.array([np.interp(at, c.steps, c.values, right=np.nan) for c in curves])
        enough = np.isfinite(lines).sum(axis=0) >= 3
        for mine, part in zip(found, (0.25, 0.5, 0.75), strict=True):
            assert mine[enough] == pytest.approx(np.nanquantile(lines[:, enough], part, axis=0))
            assert np.isnan(mine[~enough]).all()


def picture_of(curves: Sequence[Curve], *, log: bool = False, width: int = 60, height: int = 12) -> list[str]:
    lines = [Line(curve=curve, style="", mark=str(n)) for n, curve in enumerate(curves)]
    return [line.plain for line in chart(lines, [], width, height, log=log)]


class TestChart:
    def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right(self) -> None:
        rows = picture_of([a_curve([10.0 - n for n in range(11)])])
        body = [row[9:] for row in rows[:-1]]
        assert body[0].strip()[0] != " "
        assert body[0].index(body[0].strip()[0]) == 0
        assert body[-1].rstrip()[-1] == "0"  # its letter, at its end
        assert rows[-1].split() == ["0", "step", "10"]

    def test_a_curve_that_explodes_does_not_flatten_the_others(self) -> None:
        healthy = a_curve([1.0 - n / 50 for n in range(50)])
        rows = picture_of([healthy, a_curve([math.exp(n) for n in range(50)])])
        assert rows[0][8] == "▲"
        assert sum(any(dot > "⠀" for dot in row[20:] if dot != "1") for row in rows[:-1]) > 2
        assert float(next(row[:8] for row in rows if row[:8].strip())) < 10

    def test_on_a_logarithmic_scale_both_are_seen_and_negative_values_are_not(self) -> None:
        rows = picture_of([a_curve([10.0**n for n in range(10)]), a_curve([-1.0] * 10)], log=True)
        assert rows[0][8] != "▲"
        assert "1" not in "".join(row[9:] for row in rows[:-1])

    def test_a_spike_of_one_point_in_ten_thousand_is_seen(self) -> None:
        values = [0.5 + 0.001 * (n % 7) for n in range(10_000)]
        values[5000] = 0.52
        assert "⡇" in "".join(picture_of([a_curve(values)])) or "⢸" in "".join(picture_of([a_curve(values)]))

    @pytest.mark.parametrize(
        "values", [[], [1.0], [math.nan] * 3, [math.inf, 1.0, -math.inf], [5.0, 5.0], [0.0], [1e308, -1e308]]
    )
    @pytest.mark.parametrize("log", [False, True])
    def test_strange_values_are_drawn_or_left_out(self, values: list[float], log: bool) -> None:
        rows = picture_of([a_curve(values)], log=log)
        assert len(rows) == 12
        assert all(len(row) <= 60 for row in rows)

    def test_a_gap_is_a_gap(self) -> None:
        rows = picture_of([a_curve([1.0] * 10 + [math.nan] * 10 + [1.0] * 10)])
        line = max((row[9:] for row in rows[:-1]), key=lambda row: len(row.strip()))
        assert "    " in line.strip()


class TestChoice:
    def test_the_validation_loss_is_shown_first_unless_the_experiment_says_otherwise(self) -> None:
        names = ["accuracy", "clock_step", "loss", "train_loss", "val_accuracy", "val_loss"]
        assert metric_of(names, {}, None) == "val_loss"
        assert metric_of(["clock_step", "train_loss", "accuracy"], {}, None) == "train_loss"
        assert metric_of(names, {"optimizer": {"metric": "val_accuracy"}}, None) == "val_accuracy"
        assert metric_of(names, {}, {"metric": "loss"}) == "loss"
        assert metric_of([], {}, None) == ""


# ── reading ──
WORKER = Worker(name="host-1", host="host", pid=1)


class Counting(MemoryStore):
    """Remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Beyond] = []
        self.light: list[str] = []

    def strokes(self, name: str, wanted: Sequence[Beyond], at_most: int) -> list[Stroke]:
        self.asked += wanted
        return super().strokes(name, wanted, at_most)

    def light_runs(self, run_ids: Sequence[str]) -> list[Run]:
        self.light += run_ids
        return super().light_runs(run_ids)


def begun(store: MemoryStore, number: int) -> Run:
    store.add_runs(
        [
            a_run(
                number,
                state=State.QUEUED,
                lease=None,
                history=(),
                progress=None,
                attempt=0,
                summary={},
                started_at=None,
            )
        ]
    )
    run = store.claim(WORKER, 60)
    assert run is not None
    return store.begin(run.id, run.attempt, None, {})


def ship(store: MemoryStore, run: Run, values: Sequence[float], metric: str = "val_loss", output: bytes = b"") -> None:
    now = store.run(run.id)
    at = now.summary[metric].count if metric in now.summary else 0
    points = tuple(
        Point(name=metric, step=at + n, time=float(at + n), value=value, line=at + n, index=at + n)
        for n, value in enumerate(values)
    )
    shipped = now.shipped
    shipment = Shipment(
        events_from=shipped.events_bytes, events_to=shipped.events_bytes + len(values), lines_to=shipped.events_lines + len(values),
        segments=segments(points), output_from=shipped.output_bytes, output=output, progress=Progress(done=at + len(values), total=100),
    )  # fmt: skip
    store.ship(run.id, now.attempt, shipment, summarize(now.summary, segments(points)))


def read(reader: Reader) -> Sweep:
    sweep = reader.read().sweep
    assert sweep is not None
    return sweep


class TestReading:
    def store(self) -> Counting:
        store = Counting()
        store.add_experiment(Experiment(name="weather", owner="me", source="", text="", created_at=NOW))
        return store

    def test_only_what_is_new_is_read(self) -> None:
        store = self.store()
        runs = [begun(store, number) for number in range(3)]
        for run in runs:
            ship(store, run, [1.0, 0.5])
        reader = Reader(store, "weather")
        assert {len(curve) for curve in read(reader).curves.values()} == {2}
        store.asked, store.light = [], []
        ship(store, runs[1], [0.25])
        sweep = read(reader)
        assert store.asked == [Beyond(run=runs[1].id, attempt=1, points=2)]
        assert store.light == [runs[1].id]
        assert sweep.curves[runs[1].id].values.tolist() == [1.0, 0.5, 0.25]
        store.asked, store.light = [], []
        read(reader)
        assert (store.asked, store.light) == ([], [])

    def test_an_attempt_that_makes_points_again_has_them_once(self) -> None:
        store = self.store()
        run = begun(store, 1)
        ship(store, run, [1.0, 0.5, 0.4])
        reader = Reader(store, "weather")
        read(reader)
        store.settle(run.id, 1, Settlement(state=State.QUEUED))
        again = store.claim(WORKER, 60)
        assert again is not None
        store.begin(run.id, 2, None, {})
        read(reader)
        ship(store, run, [0.9, 0.8])
        assert read(reader).curves[run.id].values.tolist() == [0.9, 0.8]

    def test_a_long_history_comes_piece_by_piece(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("queueing.watch.book.Book.read.__defaults__", (2,))
        store = self.store()
        for number in range(3):
            ship(store, begun(store, number), [float(step) for step in range(4500)])
        reader = Reader(store, "weather")
        unread = [read(reader).unread for _ in range(12)]
        assert unread[0] == 3
        assert unread[-1] == 0
        curves = read(reader).curves
        assert [curve.steps[-1] for curve in curves.values()] == [4499] * 3
        assert all(np.all(np.diff(curve.steps) > 0) for curve in curves.values())

    def test_another_metric_is_read_when_it_is_wanted_and_kept(self) -> None:
        store = self.store()
        run = begun(store, 1)
        ship(store, run, [1.0])
        ship(store, run, [0.7], metric="accuracy")
        reader = Reader(store, "weather")
        assert read(reader).metric == "val_loss"
        reader.want(Look(metric="accuracy").wanted)
        sweep = read(reader)
        assert (sweep.metric, sweep.greatest) == ("accuracy", True)
        assert sweep.curves[run.id].values.tolist() == [0.7]
        store.asked = []
        reader.want(Look(metric="val_loss").wanted)
        read(reader)
        assert store.asked == []

    def test_a_run_shows_panels_samples_findings_and_its_last_lines(self) -> None:
        store = self.store()
        run = begun(store, 1)
        ship(store, run, [1.0, 0.5], output=b"\x1b[31mepoch 1\x1b[0m\n 10%\r 90%\rdone\n")
        ship(store, run, [0.7], metric="train_loss")
        ship(store, run, [0.7], metric="accuracy")
        for second in range(3):
            sample = Sample(
                run=run.id,
                attempt=1,
                host="host",
                cpu_s=second,
                memory_bytes=10**9,
                read_bytes=0,
                written_bytes=0,
                disk_free_bytes=10**12,
            )
            store.add_sample(sample, peaks_of(sample), 3600)
        store.put_diagnosis(Diagnosis(run=run.id, attempt=1, findings=(STUCK,)), [])
        reader = Reader(store, "weather")
        reader.want(Look(opened=run.id).wanted)
        picture = reader.read()
        assert picture.single is not None
        assert picture.single.panels == (("train_loss", "val_loss"), ("accuracy",))
        assert picture.single.output == ("epoch 1", "done")
        for width, height in ((60, 24), (80, 24), (160, 50), (30, 8)):
            lines = drawn(picture, Look(opened=run.id), width, height)
            assert len(lines) <= height
            assert all(len(line) <= width for line in lines)
        text = "\n".join(drawn(picture, Look(opened=run.id), 160, 50))
        for words in ("0001abcd of weather", "2 val_loss 0.5", "memory 1.0 GB", "divergence", "epoch 1", "lr=0.1"):
            assert words in text, words

    def test_the_picture_is_json(self) -> None:
        store = self.store()
        run = begun(store, 1)
        ship(store, run, [1.0, math.nan])
        reader = Reader(store, "weather")
        reader.read()
        said = jsonable(told(reader.read()))
        assert said["curves"][run.id]["values"] == [1.0, "nan"]
        assert said["counts"] == {"running": 1}
        assert said["rows"][0]["best"] == 1.0


def test_sparklines_keep_the_highest() -> None:
    assert sparkline([0.0] * 50 + [8.0] + [0.0] * 49, 10).count("█") == 1
    assert sparkline([1.0, 2.0, 4.0]) == "▂▄█"
    assert sparkline([]) == sparkline([0.0]) == ""
