"""Each rule against cases computed by hand, and the report's two against the trainer's own."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from queueing.stopping.course import Memory, advanced
from queueing.stopping.decision import Verdict, ordinal
from queueing.stopping.ladder import AtRung, at_rung, percentile
from queueing.stopping.reading import read_stopping
from queueing.stopping.rules import Asha, Hyperband, Median, Stopping
from queueing.stopping.rungs import bracket_of, brackets, rungs_between, shares
from queueing.stopping.standing import Standing
from store.courses import Track
from trainer.config import Common, StoppingRule
from trainer.early_stopping import StoppingMemory, remember, says_stop

NAN, INF = math.nan, math.inf


def stopping(**table: Any) -> Stopping:
    read, mistakes = read_stopping({"metric": "val_loss", **table})
    assert read is not None, mistakes
    return read


def verdict(table: dict[str, Any], values: dict[str, float], run: str = "me", **at: Any) -> str:
    rules = stopping(**table)
    ((name, rule),) = rules.ladders.items()
    return at_rung(
        name, rule, rules, AtRung(run=run, rung=9.0, standing=Standing(values, rules.direction), **at)
    ).verdict.value


def others(*values: float) -> dict[str, float]:
    return {f"r{number}": value for number, value in enumerate(values)}


# ── rungs ──
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Asha(min=1, max=81), [1, 3, 9, 27]),
        (Asha(min=1, max=82), [1, 3, 9, 27, 81]),
        (Asha(min=5, max=100, eta=2), [5, 10, 20, 40, 80]),
        (Asha(min=50), [50, 150]),
        (Median(grace=40), [40, 80, 120, 160, 200, 240, 280, 320, 360, 400]),
        (Median(grace=100, every=150), [100, 250, 400]),
    ],
)
def test_rungs(rule: Any, expected: list[float]) -> None:
    assert rungs_between(rule, -INF, 400) == expected
    assert rungs_between(rule, expected[0], expected[1]) == [expected[1]]
    assert rungs_between(rule, -INF, expected[0] - 0.001) == []


def test_the_brackets_of_hyperband_are_those_of_its_paper() -> None:
    """Table 1 of Li et al. 2018: R = 81, eta = 3."""
    rule = Hyperband(min=1, max=81)
    assert brackets(rule) == [[1, 3, 9, 27], [3, 9, 27], [9, 27], [27], []]
    assert [round(share * 143) for share in shares(rule)] == [81, 34, 15, 8, 5]


def test_runs_are_dealt_into_brackets_by_their_shares_whatever_else_there_is() -> None:
    rule = Hyperband(min=1, max=81)
    dealt = [bracket_of(rule, f"run{number}") for number in range(20_000)]
    for number, share in enumerate(shares(rule)):
        assert dealt.count(number) / 20_000 == pytest.approx(share, abs=0.015)
    assert bracket_of(rule, "run7") == dealt[7]


def test_a_run_is_judged_at_the_rungs_of_its_bracket_alone() -> None:
    rule = Hyperband(min=1, max=81)
    for run in (f"run{number}" for number in range(50)):
        assert rungs_between(rule, -INF, 1000, run) == brackets(rule)[bracket_of(rule, run)]
    assert rungs_between(rule, -INF, 1000) == [1, 3, 9, 27]


# ── ladders ──
ASHA = {"rule": "asha", "min": 1}


@pytest.mark.parametrize(
    ("values", "own", "expected"),
    [
        ((), 9.0, "keep"),  # the first one goes on, whatever it has
        ((0.5,), 0.4, "keep"),
        ((0.5,), 0.6, "stop"),  # of two the better one
        ((0.5, 0.6), 0.55, "stop"),  # of three one
        ((0.1, 0.2, 0.4, 0.5, 0.6), 0.3, "stop"),  # 3rd of 6: two go on
        ((0.1, 0.3, 0.4, 0.5, 0.6), 0.2, "keep"),
        ((0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 0.3, "keep"),  # 3rd of 9
        ((0.1,), NAN, "stop"),
        ((NAN, NAN, NAN, NAN), 5.0, "keep"),  # NaN is worse than anything
        ((0.1, 0.2, NAN, NAN, NAN), INF, "stop"),
    ],
)
def test_asha_keeps_the_best_third_of_those_that_came(values: Any, own: float, expected: str) -> None:
    assert verdict(ASHA, {**others(*values), "me": own}) == expected


def test_direction_max_turns_it_round() -> None:
    table = {**ASHA, "direction": "max"}
    assert verdict(table, {**others(0.5, 0.6), "me": 0.7}) == "keep"
    assert verdict(table, {**others(0.5, 0.6), "me": 0.4}) == "stop"
    assert verdict(table, {**others(0.5, 0.6), "me": NAN}) == "stop"


def test_of_equal_values_exactly_as_many_go_on_as_there_is_room() -> None:
    values = {f"r{number}": 1.0 for number in range(9)}
    assert [verdict(ASHA, values, run) for run in values].count("keep") == 3


WAITING = {"rule": "asha", "min": 1, "promote": "resume"}


@pytest.mark.parametrize(
    ("values", "waits", "closed", "expected"),
    [
        ((), False, False, "pause"),
        ((0.9, 0.8), False, False, "keep"),  # the best of three need not wait
        ((0.9, 0.8), True, False, "promote"),
        ((0.9,), True, False, "pause"),  # of two nobody, yet
        ((0.9,), True, True, "promote"),  # nobody else will come
        ((0.1,), True, True, "stop"),
        ((0.1,), False, True, "pause"),
        ((0.1, 0.2, 0.9, 0.9, 0.9, 0.9), True, False, "pause"),  # 3rd of 7: two go on
        ((0.1, 0.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9), True, False, "promote"),  # 3rd of 9
    ],
)
def test_asha_that_promotes_lets_the_others_wait(values: Any, waits: bool, closed: bool, expected: str) -> None:
    assert verdict(WAITING, {**others(*values), "me": 0.5}, waits=waits, closed=closed) == expected


@pytest.mark.parametrize(
    ("values", "own", "waits", "closed", "expected"),
    [
        ((0.9, 0.9, 0.9), 0.1, False, False, "pause"),  # even the best waits for the last
        ((0.9, 0.9, 0.9), 0.1, True, False, "pause"),
        ((0.9, 0.9), 0.1, True, True, "promote"),
        ((0.9, 0.9), 0.1, False, True, "keep"),  # the last one need not wait
        ((0.0, 0.9), 0.1, True, True, "stop"),
        ((0.0, 0.9, 0.9, 0.9, 0.9), 0.1, True, True, "promote"),  # 2nd of 6
    ],
)
def test_halving_waits_for_all(values: Any, own: float, waits: bool, closed: bool, expected: str) -> None:
    table = {"rule": "halving", "min": 1}
    assert verdict(table, {**others(*values), "me": own}, waits=waits, closed=closed) == expected


# ── percentiles ──
def test_percentiles_by_hand() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2.5
    assert percentile([1, 2, 3, 4, 5], 25) == 2
    assert percentile([1, 2, 3, 4], 25) == 1.75
    assert percentile([1, 2, INF, INF], 50) == INF
    assert percentile([1, 2, 3, INF], 50) == 2.5
    assert percentile([7], 10) == 7


@pytest.mark.parametrize(
    ("table", "values", "own", "expected"),
    [
        ({"rule": "median"}, (1, 2), 9, "keep"),  # too few others
        ({"rule": "median"}, (1, 2, 3), 2, "keep"),  # not worse than the median
        ({"rule": "median"}, (1, 2, 3), 2.01, "stop"),
        ({"rule": "median", "siblings": 4}, (1, 2, 3), 2.01, "keep"),
        ({"rule": "median"}, (1, NAN, NAN), 9, "keep"),  # the median is NaN: no better
        ({"rule": "median"}, (1, 2, NAN), 2.01, "stop"),
        ({"rule": "median"}, (1, 2, 3), NAN, "stop"),
        ({"rule": "median", "direction": "max"}, (1, 2, 3), 1.9, "stop"),
        ({"rule": "percentile", "percentile": 25}, (1, 2, 3, 4, 5), 2, "keep"),
        ({"rule": "percentile", "percentile": 25}, (1, 2, 3, 4, 5), 2.1, "stop"),
        ({"rule": "percentile", "percentile": 90}, (1, 2, 3, 4, 5), 4.5, "keep"),
    ],
)
def test_median_and_percentile(table: dict[str, Any], values: Any, own: float, expected: str) -> None:
    assert verdict({"grace": 3, **table}, {**others(*values), "me": own}) == expected


def test_reasons_say_who_where_and_why() -> None:
    rules = stopping(by="epoch", **ASHA)
    at = AtRung(
        run="me", rung=9, standing=Standing({**others(*(n / 10 for n in range(8))), "me": 0.65}, rules.direction)
    )
    assert at_rung("asha", rules.ladders["asha"], rules, at).because == (
        "asha: val_loss 0.65 at epoch 9 is 8th of 9; the best 3 go on"
    )
    rules = stopping(rule="median", grace=9, direction="max")
    at = AtRung(run="me", rung=9, standing=Standing({**others(0.5, 0.6, 0.7), "me": 0.1}, rules.direction))
    assert at_rung("median", rules.ladders["median"], rules, at).because == (
        "median: val_loss 0.1 at step 9 is worse than 0.6, the median of 3 others there"
    )
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip


# ── rules that follow one run ──
def track(values: Any, steps: Any = None) -> Track:
    steps = steps or range(1, len(values) + 1)
    numbers = tuple(range(1, len(values) + 1))
    ones = (1,) * len(values)
    return Track(
        attempts=ones, lines=numbers, steps=tuple(steps), times=tuple(map(float, numbers)), values=tuple(values)
    )


def stopped_at(table: dict[str, Any], values: Any, steps: Any = None) -> int | None:
    """After how many reports the rule says stop."""
    rules = stopping(**table)
    memory = Memory()
    whole = track(values, steps)
    for i in range(len(values)):
        one = replace(whole, **{name: getattr(whole, name)[i : i + 1] for name in ("attempts", "lines", "steps", "times", "values")})  # fmt: skip
        memory, _ = advanced(memory, rules, (one,))
        if memory.says(table["rule"]):
            return i + 1
    return None


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        ({"patience": 3}, [5, 4, 3, 3, 3, 3], 6),
        ({"patience": 3}, [5, 4, 3, 3, 3, 2.9, 3, 3, 3], 9),
        ({"patience": 3, "delta": 0.5}, [5, 4, 3, 2.9, 2.8, 2.7], 6),
        ({"patience": 3, "delta": 0.05}, [5, 4, 3, 2.9, 2.8, 2.7], None),
        ({"patience": 2, "grace": 5}, [1, 1, 1, 1, 1], 5),
        ({"patience": 2}, [NAN, NAN, NAN], 3),
        ({"patience": 2}, [NAN, 5, NAN, 4, NAN, NAN], 6),
        ({"patience": 2, "direction": "max"}, [1, 2, 3, 2, 2], 5),
    ],
)
def test_patience(table: dict[str, Any], values: list[float], expected: int | None) -> None:
    assert stopped_at({"rule": "patience", **table}, values) == expected


def test_patience_is_counted_in_the_unit_of_by() -> None:
    assert stopped_at({"rule": "patience", "patience": 100}, [1, 2, 2, 2], [0, 50, 99, 100]) == 4
    assert stopped_at({"rule": "patience", "patience": 3, "by": "reports"}, [1, 2, 2, 2], [0, 50, 99, 100]) == 4


def of_trainer(rule: StoppingRule, losses: list[float], patience: int, alpha: float) -> int | None:
    config = Common.__new__(Common)
    for name, value in {"early_stopping": rule, "patience": patience, "alpha": alpha}.items():
        object.__setattr__(config, name, value)
    memory = StoppingMemory()
    for epoch, loss in enumerate(losses, 1):
        if says_stop(config, memory, loss):
            return epoch
        memory = remember(memory, loss, patience)
    return None


@pytest.mark.parametrize("rule", [StoppingRule.MOVING_AVERAGE, StoppingRule.MINIMUM])
@pytest.mark.parametrize("patience", [1, 3, 10])
def test_the_rules_of_the_report_stop_at_the_epoch_of_the_trainer(rule: StoppingRule, patience: int) -> None:
    draw = random.Random(patience)
    stops = []
    for _ in range(200):
        falls, noise, alpha = draw.uniform(0.9, 1), draw.uniform(0, 0.2), draw.choice([0.0, 0.05, 0.3])
        losses = [falls**epoch + noise * draw.random() for epoch in range(80)]
        table = {"rule": rule.value, "patience": patience}
        table |= {"alpha": alpha} if rule is StoppingRule.MINIMUM else {}
        stops.append(of_trainer(rule, losses, patience, alpha))
        assert stopped_at(table, losses) == stops[-1]
    assert len(set(stops)) > 5


def test_a_moving_average_of_a_network_that_has_diverged_stops_it() -> None:
    assert stopped_at({"rule": "moving-average", "patience": 2}, [1.0, 0.9, NAN]) == 3
    assert stopped_at({"rule": "minimum", "patience": 2}, [1.0, NAN, NAN, NAN]) == 4


# ── what a run has reached ──
def two(metric: list[tuple[int, float]], by: list[tuple[int, float]]) -> tuple[Track, Track]:
    def one(points: list[tuple[int, float]]) -> Track:
        lines = tuple(line for line, _ in points)
        return Track(
            attempts=(1,) * len(points), lines=lines, steps=lines, times=(0.0,) * len(points),
            values=tuple(value for _, value in points),
        )  # fmt: skip

    return one(metric), one(by)


def test_resources_are_those_of_the_line_or_before_it() -> None:
    rules = stopping(by="epoch", value="last", **ASHA)
    tracks = two([(1, 0.9), (3, 0.8), (5, 0.7), (9, 0.5)], [(2, 1), (5, 2), (6, 3)])
    memory, reached = advanced(Memory(), rules, tracks)
    assert reached == [(1.0, 0.8), (3.0, 0.5)]  # line 1 has no epoch yet; line 5 is epoch 2
    assert (memory.resource, memory.by, memory.best) == (3.0, 3.0, 0.5)


def test_read_in_pieces_a_run_has_reached_the_same() -> None:
    rules = stopping(by="epoch", **{**ASHA, "eta": 2})
    metric = [(line, 1 / line) for line in range(1, 40, 3)]
    by = [(line, line // 5 + 1.0) for line in range(1, 40, 5)]
    whole_memory, whole = advanced(Memory(), rules, two(metric, by))
    for cut in range(40):
        memory, first = advanced(
            Memory(), rules, two([p for p in metric if p[0] <= cut], [p for p in by if p[0] <= cut])
        )
        memory, second = advanced(memory, rules, two([p for p in metric if p[0] > cut], [p for p in by if p[0] > cut]))
        assert first + second == whole
        assert memory == whole_memory


@pytest.mark.parametrize(("value", "expected"), [("best", 0.2), ("last", 0.4)])
def test_runs_are_compared_by_the_best_or_the_last_value(value: str, expected: float) -> None:
    _, reached = advanced(Memory(), stopping(value=value, **ASHA), (track([0.9, 0.2, 0.4]),))
    assert reached[-1] == (3.0, expected)


def test_nan_at_a_rung_is_nan_whatever_came_before() -> None:
    _, reached = advanced(Memory(), stopping(**ASHA), (track([0.9, 0.2, NAN]),))
    assert math.isnan(dict(reached)[3.0])


def test_verdicts_have_the_words_that_people_read() -> None:
    assert [verdict.value for verdict in Verdict] == ["keep", "stop", "pause", "promote"]
