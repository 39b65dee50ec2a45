"""Each rule of the diagnosis at its edges: too little, nothing but NaN, steps and times that jump, what looks alike and is healthy."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from diagnosis_lab import BEGIN, chart_of, samples_of

from notify.diagnosis import Chart, Siblings, diagnose, thinned
from notify.diagnosis.chart import OLDER_POINTS, RECENT_POINTS
from notify.diagnosis.names import Kind, Part, kind_of, part_of, stem_of
from store.findings import Disease, Finding, Severity
from store.metrics import Series, as_curve
from store.states import State

NAN = math.nan


def found(chart: Chart) -> dict[Disease, Finding]:
    return {finding.disease: finding for finding in diagnose(chart)}


def curve(n: int, floor: float = 0.2) -> list[float]:
    """What a healthy loss does."""
    return [floor + 2 / math.sqrt(k) for k in range(1, n + 1)]


def rough(n: int, level: float = 1.0, size: float = 0.1, seed: int = 0) -> list[float]:
    return list(level + np.random.default_rng(seed).normal(0, size, n))


# -- little or nothing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [NAN], [math.inf], [1.0] * 7])
def test_a_few_points_are_no_illness(values: list[float]) -> None:
    assert not diagnose(
        chart_of(loss=values, val_loss=values, gradient_norm=values, norm_W=values, dead_units=[0.0 for _ in values])
    )


def test_an_empty_chart_is_healthy() -> None:
    assert not diagnose(Chart(state=State.QUEUED, attempt=0, now=BEGIN))


def test_a_loss_that_never_moves_is_a_plateau_and_nothing_else() -> None:
    assert set(found(chart_of(train_loss=[0.7] * 60))) == {Disease.PLATEAU}


def test_an_unknown_metric_may_do_what_it_likes() -> None:
    assert not diagnose(chart_of(temperature=[*range(50), NAN, -5e300, 5e300, math.inf]))


# -- no numbers -----------------------------------------------------------------------------------------------------------


def test_a_loss_that_becomes_nan_is_severe_since_that_step() -> None:
    finding = found(chart_of(loss=[*curve(20), NAN, NAN], accuracy=[0.5] * 22))[Disease.NOT_FINITE]
    assert (finding.severity, finding.since_step, finding.about) == (Severity.SEVERE, 21, "loss")
    assert "learning_rate = 0.003 (now 0.01)" in finding.advice


def test_nan_for_not_measured_is_healthy() -> None:
    sparse = [value if k % 5 == 4 else NAN for k, value in enumerate(curve(60))]
    assert not diagnose(chart_of(val_loss=sparse[:53], loss=curve(53)))


def test_a_sparse_metric_that_stays_silent_is_told_in_the_end() -> None:
    sparse = [value if k % 5 == 4 else NAN for k, value in enumerate(curve(60))]
    assert Disease.NOT_FINITE in found(chart_of(val_loss=[*sparse, *[NAN] * 15], loss=curve(75)))


def test_a_loss_that_was_never_a_number_is_told_at_once_when_the_run_has_ended() -> None:
    assert not diagnose(chart_of(loss=[NAN]))
    assert Disease.NOT_FINITE in found(chart_of(State.FAILED, loss=[NAN]))


def test_a_perplexity_may_overflow_and_a_skipped_half_precision_step_is_healthy() -> None:
    assert not diagnose(
        chart_of(
            loss=curve(12),
            train_perplexity=[*[math.inf] * 4, *range(8)],
            gradient_norm=[*[1.0] * 10, math.inf, math.inf],
        )
    )


# -- the curve of the loss ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [10, 30, 100, 1000])
def test_a_falling_loss_is_healthy(n: int) -> None:
    assert not diagnose(chart_of(train_loss=curve(n), val_loss=curve(n, 0.3)))


def test_a_loss_that_grows_exponentially_diverges() -> None:
    finding = found(chart_of(loss=[*curve(30), *(0.6 * 1.3**k for k in range(20))]))[Disease.DIVERGENCE]
    assert finding.severity is Severity.SEVERE
    assert 28 <= (finding.since_step or 0) <= 31


def test_a_spike_that_heals_is_no_divergence() -> None:
    values = curve(200)
    values[150:153] = [9.0, 6.0, 2.0]
    for n in range(140, 200):
        assert not diagnose(chart_of(train_loss=values[:n]))


def test_a_negative_loss_that_falls_is_healthy_and_one_that_rises_is_not() -> None:
    down = [-3 * (1 - math.exp(-k / 20)) + 0.01 * (-1) ** k for k in range(60)]
    assert not diagnose(chart_of(nll=down))
    assert Disease.DIVERGENCE in found(chart_of(nll=[*down, *np.linspace(-2.8, 2, 25)]))


def test_rewards_and_adversarial_losses_are_never_judged_by_their_course() -> None:
    swing = [math.sin(k / 9) * 3 + 0.05 * k for k in range(200)]
    assert not diagnose(chart_of(g_loss=swing, d_loss=swing[::-1]))
    assert not diagnose(chart_of(episode_reward=swing[::-1], loss=swing))
    assert not diagnose(chart_of(critic_loss=swing, actor_loss=swing))


def test_noise_without_a_trend_is_neither_divergence_nor_over_fitting() -> None:
    for seed in range(30):
        said = found(chart_of(loss=rough(80, seed=seed), val_loss=rough(80, seed=seed + 100)))
        assert not {Disease.DIVERGENCE, Disease.OVER_FITTING} & set(said), seed


def test_over_fitting_is_told_with_its_onset() -> None:
    val = [1 + 0.02 * abs(k - 15) for k in range(40)]
    finding = found(chart_of(train_loss=[2 / (1 + k / 5) for k in range(40)], val_loss=val))[Disease.OVER_FITTING]
    assert finding.since_step in (15, 16)
    assert f"step {finding.since_step}" in finding.advice


def test_over_fitting_of_a_score_that_falls() -> None:
    rise = [min(0.9, 0.5 + 0.03 * k) for k in range(14)]
    finding = found(
        chart_of(train_acc=[0.5 + 0.012 * k for k in range(40)], val_acc=[*rise, *np.linspace(0.88, 0.6, 26)])
    )[Disease.OVER_FITTING]
    assert "from 0.8" in finding.evidence


def test_a_run_that_stops_early_by_itself_is_only_noted() -> None:
    chart = chart_of(
        train_loss=[2 / (1 + k / 5) for k in range(40)], val_loss=[1 + 0.02 * abs(k - 15) for k in range(40)]
    )
    chart = replace(chart, params={"early_stopping": "minimum"})
    assert found(chart)[Disease.OVER_FITTING].severity is Severity.NOTE


def test_when_both_losses_rise_it_is_divergence_and_not_over_fitting() -> None:
    both = [*curve(30), *np.linspace(0.6, 4, 30)]
    assert Disease.OVER_FITTING not in (said := found(chart_of(train_loss=both, val_loss=both)))
    assert Disease.DIVERGENCE in said


def test_a_flat_validation_loss_is_no_plateau_while_training_still_gains() -> None:
    flat = [*np.linspace(2, 1, 20), *[1.0] * 40]
    assert Disease.PLATEAU not in found(chart_of(train_loss=curve(60), val_loss=flat))
    assert Disease.PLATEAU in found(chart_of(train_loss=flat, val_loss=flat))


# -- rates ------------------------------------------------------------------------------------------------------------------


def test_a_straight_and_tiny_fall_is_a_rate_too_low_unless_it_still_warms_up() -> None:
    slow = [2.3 - 0.001 * k for k in range(40)]
    finding = found(chart_of(train_loss=slow))[Disease.RATE_TOO_LOW]
    assert "learning_rate = 0.1" in finding.advice.lower()
    assert not diagnose(chart_of(train_loss=slow, learning_rate=[1e-5 * k for k in range(40)]))


def test_long_updates_are_a_rate_too_high_while_the_loss_does_not_fall() -> None:
    ratios = {"update_ratio_W": [0.2] * 20, "update_ratio_V": [0.1] * 20}
    assert Disease.RATE_TOO_HIGH in found(chart_of(train_loss=rough(20, 2.0, 0.05), **ratios))
    assert Disease.RATE_TOO_HIGH not in found(chart_of(train_loss=curve(20, 0), **ratios))


# -- layers -----------------------------------------------------------------------------------------------------------------


def test_dead_units_need_three_looks() -> None:
    assert not diagnose(chart_of(dead_units=[0.1, 0.9, 0.9]))
    finding = found(chart_of(dead_units=[0.1, 0.95, 0.95, 0.95]))[Disease.DEAD_UNITS]
    assert (finding.severity, finding.since_step) == (Severity.SEVERE, 2)


def test_gradients_explode_against_their_own_past() -> None:
    finding = found(chart_of(gradient_norm_W=[1.0] * 30 + [500.0] * 6, gradient_norm=[2.0] * 36))[
        Disease.EXPLODING_GRADIENTS
    ]
    assert (finding.about, finding.since_step) == ("gradient_norm_W", 31)
    assert not diagnose(chart_of(gradient_norm=[1.0] * 30 + [500.0]))


def test_gradients_vanish_against_another_layer_while_nothing_is_learnt() -> None:
    low, high = [1e-6] * 12, [0.5] * 12
    chart = chart_of(gradient_norm_layer1=low, gradient_norm_layer8=high, gradient_norm_b=[0.0] * 12, loss=[2.3] * 12)
    assert found(chart)[Disease.VANISHING_GRADIENTS].about == "gradient_norm_layer1"
    assert not diagnose(chart_of(gradient_norm_layer1=low, gradient_norm_layer8=high, loss=curve(12)))
    assert not diagnose(chart_of(gradient_norm_b=low, gradient_norm_layer8=high, loss=[2.3] * 12))


def test_weights_that_have_grown_and_rest_are_healthy() -> None:
    grown = [1 + 2 * k for k in range(12)]
    assert found(chart_of(norm_W=grown))[Disease.GROWING_WEIGHTS].about == "norm_W"
    assert not diagnose(chart_of(norm_W=[*grown, *[23.0] * 20]))
    assert not diagnose(chart_of(norm_b=grown))


# -- time -------------------------------------------------------------------------------------------------------------------


def test_silence_is_measured_against_the_runs_own_pulse() -> None:
    assert not diagnose(chart_of(temperature=[1.0] * 30, silent_s=550))
    finding = found(chart_of(temperature=[1.0] * 30, silent_s=650))[Disease.STUCK]
    assert (finding.severity, finding.since_step) == (Severity.SEVERE, 30)
    assert "every 10 s is usual" in finding.evidence


def test_a_pause_as_long_as_earlier_ones_is_healthy() -> None:
    chart = chart_of(temperature=[1.0] * 30)
    times = [BEGIN.timestamp() + 10 * k + (900 if k > 15 else 0) for k in range(30)]
    chart = replace(chart, series={"temperature": replace(chart.series["temperature"], times=tuple(times))})
    assert not diagnose(replace(chart, now=BEGIN + timedelta(seconds=290 + 900 + 2500)))
    assert diagnose(replace(chart, now=BEGIN + timedelta(seconds=290 + 900 + 2900)))


def test_one_that_works_is_waited_for_longer_than_one_that_does_nothing() -> None:
    points = {"temperature": [1.0] * 30}
    idle = samples_of(42, cpu=lambda i: min(15 * i, 300))
    working = samples_of(42, cpu=lambda i: 15 * i)
    assert Disease.STUCK in found(replace(chart_of(silent_s=320, **points), samples=idle))
    assert not diagnose(replace(chart_of(silent_s=320, **points), samples=working))
    long = samples_of(100, cpu=lambda i: 15 * i)
    assert (
        "its processes work" in found(replace(chart_of(silent_s=1190, **points), samples=long))[Disease.STUCK].evidence
    )


def test_output_that_still_comes_is_a_sign_of_life() -> None:
    chart = chart_of(temperature=[1.0] * 30, silent_s=5000)
    assert not diagnose(replace(chart, last_output_at=chart.now - timedelta(seconds=30)))


def test_nothing_is_said_of_silence_while_the_machine_cannot_be_seen() -> None:
    chart = replace(chart_of(temperature=[1.0] * 30, silent_s=5000), samples=samples_of(20))
    assert not diagnose(chart)


def test_a_run_that_never_reported_is_judged_by_its_siblings_alone() -> None:
    silent = Chart(state=State.RUNNING, attempt=1, now=BEGIN + timedelta(hours=3), started_at=BEGIN)
    assert not diagnose(silent)
    siblings = Siblings(count=4, interval_s=5.0)
    assert Disease.STUCK in found(replace(silent, siblings=siblings))
    assert not diagnose(replace(silent, siblings=siblings, now=BEGIN + timedelta(minutes=20)))


def test_time_between_two_attempts_is_no_silence_and_no_slowness() -> None:
    chart = chart_of(train_loss=curve(80), val_loss=curve(80, 0.3))
    resumed = BEGIN + timedelta(hours=10)
    shift = [
        t if k < 60 else resumed.timestamp() + 120 + 10 * (k - 60)
        for k, t in enumerate(chart.series["train_loss"].times)
    ]
    series = {name: replace(one, times=tuple(shift)) for name, one in chart.series.items()}
    now = resumed + timedelta(seconds=120 + 10 * 19 + 60)
    assert not diagnose(replace(chart, series=series, started_at=resumed, now=now, attempt=2))
    early = {
        name: Series(name=name, steps=one.steps[:60], times=tuple(shift[:60]), values=one.values[:60])
        for name, one in series.items()
    }
    assert not diagnose(
        replace(chart, series=early, started_at=resumed, now=resumed + timedelta(minutes=25), attempt=2)
    )


def test_steps_that_repeat_or_go_back_are_survived() -> None:
    one = Series(
        name="loss",
        steps=(*range(50), *range(30, 80)),
        times=tuple(BEGIN.timestamp() + k for k in range(100)),
        values=tuple(curve(100)),
    )
    chart = chart_of(loss=[1.0])
    assert not diagnose(replace(chart, series={"loss": one}, now=BEGIN + timedelta(seconds=101)))


def test_a_run_at_half_its_speed_is_slow_against_its_past() -> None:
    chart = chart_of(temperature=[1.0] * 120, every_s=10)
    times = np.cumsum([10.0] * 80 + [30.0] * 40) + BEGIN.timestamp()
    chart = replace(
        chart,
        series={"temperature": replace(chart.series["temperature"], times=tuple(times))},
        now=BEGIN + timedelta(seconds=2010),
    )
    finding = found(chart)[Disease.SLOW]
    assert "33%" in finding.evidence
    assert not diagnose(replace(chart, state=State.FINISHED))


def test_a_run_far_slower_than_its_siblings_is_noted() -> None:
    chart = replace(chart_of(temperature=[1.0] * 60, every_s=20), siblings=Siblings(count=5, steps_per_s=1.0))
    assert found(chart)[Disease.SLOW].severity is Severity.NOTE
    assert not diagnose(replace(chart, siblings=Siblings(count=5, steps_per_s=0.15)))


# -- machines ---------------------------------------------------------------------------------------------------------------


def looked_at(count: int = 80, limit: int = 10**10, **looks: object) -> Chart:
    chart = chart_of()
    return replace(
        chart, samples=samples_of(count, **looks), now=BEGIN + timedelta(seconds=15 * count), memory_limit_bytes=limit
    )  # type: ignore[arg-type]


def test_a_leak_is_told_with_the_time_of_its_end() -> None:
    finding = found(looked_at(memory=lambda i: 1e9 + 6e7 * i))[Disease.MEMORY_GROWTH]
    at = (finding.expected_at or BEGIN) - BEGIN
    assert abs(at.total_seconds() - 150 * 15) < 60  # (10 - 1) GB at 60 MB a look
    assert not diagnose(looked_at(memory=lambda i: 1e9 + 6e7 * i, limit=10**12))


def test_saw_teeth_and_caches_that_level_off_are_healthy() -> None:
    for n in range(20, 120, 7):
        assert not diagnose(looked_at(n, memory=lambda i: 1e9 + 4e8 * (i % 10)))
        assert not diagnose(looked_at(n, memory=lambda i: 8e9 * (1 - math.exp(-i / 25))))
        assert not diagnose(looked_at(n, memory=lambda i: min(1e8 * i, 3.5e9)))


def test_without_any_limit_nothing_is_predicted() -> None:
    chart = looked_at(memory=lambda i: 1e9 + 6e7 * i)
    assert not diagnose(replace(chart, memory_limit_bytes=None))
    assert diagnose(replace(chart, memory_limit_bytes=None, host_memory_bytes=10**10))


def test_a_disk_that_fills_is_told_and_one_whose_old_checkpoints_go_is_healthy() -> None:
    finding = found(looked_at(free=lambda i: 1e11 - 8e8 * i))[Disease.DISK_FILLING]
    assert "full in" in finding.evidence
    assert finding.expected_at is not None
    assert not diagnose(looked_at(free=lambda i: 1e11 - 8e9 * (i % 9)))


def test_a_gpu_must_idle_for_ten_minutes() -> None:
    assert Disease.IDLE_GPU in found(looked_at(60, busy=lambda i: 0.0))
    assert not diagnose(looked_at(30, busy=lambda i: 0.0))
    assert not diagnose(looked_at(60, busy=lambda i: 0.6 if i % 10 == 0 else 0.0))
    assert not diagnose(looked_at(60, busy=lambda i: None))


# -- output -----------------------------------------------------------------------------------------------------------------


def test_a_printed_nan_counts_for_scripts_that_report_nothing() -> None:
    silent = replace(chart_of(), output="epoch 1 loss: 0.7\nepoch 2 loss: nan\nepoch 3 loss: nan\n")
    assert found(silent)[Disease.NOT_FINITE].about == "output"
    assert not diagnose(replace(silent, output="epoch 1 loss: 0.7 val_loss: nan\nepoch 2 loss: 0.6 val_loss: nan"))
    assert not diagnose(replace(silent, output="loss: nan\nloss: nan\nloss: 0.5"))
    assert not diagnose(replace(chart_of(loss=curve(5)), output=silent.output))
    assert not diagnose(replace(silent, output="checking for loss: nan\nreading nan.csv"))


def test_gpu_memory_counts_only_when_the_run_failed_of_it() -> None:
    text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
    assert not diagnose(replace(chart_of(), output=text))
    assert found(replace(chart_of(State.FAILED), output=text))[Disease.MEMORY_GROWTH].about == "gpu memory"


# -- names and thinning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [
        ("loss", Kind.LOSS, Part.TRAIN),
        ("valLoss", Kind.LOSS, Part.HELD_OUT),
        ("eval/loss", Kind.LOSS, Part.HELD_OUT),
        ("test_accuracy", Kind.SCORE, Part.HELD_OUT),
        ("train/mse", Kind.LOSS, Part.TRAIN),
        ("policy_loss", Kind.CONTEST, Part.TRAIN),
        ("rollout/ep_rew_mean", Kind.CONTEST, Part.TRAIN),
        ("gradient_norm_W", Kind.GRADIENT, Part.TRAIN),
        ("update_ratio_U", Kind.RATIO, Part.TRAIN),
        ("norm_V", Kind.NORM, Part.TRAIN),
        ("log_likelihood", Kind.SCORE, Part.TRAIN),
        ("learning_rate", Kind.OTHER, Part.TRAIN),
        ("clock_epoch_s", Kind.OTHER, Part.TRAIN),
    ],
)
def test_names_say_what_a_metric_is(name: str, kind: Kind, part: Part) -> None:
    assert (kind_of(name), part_of(name)) == (kind, part)
    assert stem_of("train/loss") == stem_of("val_loss") == stem_of("loss") == ("loss",)


def test_arrays_are_read_like_tuples() -> None:
    chart = chart_of(loss=[*curve(20), NAN, NAN], gradient_norm=[1.0] * 30 + [500.0] * 6, dead_units=[0.9] * 9)
    arrays = replace(
        chart, series={name: as_curve(one) for name, one in chart.series.items() if isinstance(one, Series)}
    )
    assert diagnose(arrays) == diagnose(chart)
    assert all(type(one.since_step) is int for one in diagnose(arrays))
    long = as_curve(
        Series(name="loss", steps=tuple(range(9000)), times=tuple(map(float, range(9000))), values=tuple(curve(9000)))
    )
    assert len(thinned(long).values) == RECENT_POINTS + len(
        set(np.linspace(0, 6999, OLDER_POINTS - 3).astype(int)) | {6999}
    )


def test_a_thinned_series_keeps_the_newest_the_extremes_and_the_first_nan() -> None:
    n = 20_000
    values = [1.0 + k / n for k in range(n)]
    values[1234], values[5678], values[777] = -5.0, 9.0, NAN
    series = Series(name="loss", steps=tuple(range(n)), times=tuple(map(float, range(n))), values=tuple(values))
    kept = thinned(series)
    assert len(kept.steps) <= RECENT_POINTS + OLDER_POINTS
    assert kept.steps[-RECENT_POINTS:] == series.steps[-RECENT_POINTS:]
    assert {1234, 5678, 777, 0} <= set(kept.steps)
    assert list(kept.steps) == sorted(kept.steps)
