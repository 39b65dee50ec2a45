"""`[stopping]`: what it may say, and what is said about mistakes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from queueing.stopping.reading import read_stopping, stopping_of
from queueing.stopping.threshold import condition_of, metrics_in
from store.query import All, Compared, Metric, Op, Param, RunField

ASHA = {"metric": "val_loss", "rule": "asha", "min": 1}


def mistakes(table: dict[str, Any]) -> str:
    stopping, found = read_stopping(table, ["lr"])
    assert stopping is None
    return "\n".join(f"{'.'.join(map(str, path))}: {said}" for path, said in found)


def test_one_rule_needs_no_list() -> None:
    one, _ = read_stopping({**ASHA, "by": "epoch", "max": 81})
    listed, _ = read_stopping({"metric": "val_loss", "by": "epoch", "rules": [{"rule": "asha", "min": 1, "max": 81}]})
    assert one == listed
    assert one is not None
    assert (one.series, one.direction) == (("val_loss", "epoch"), "min")


def test_several_of_a_kind_have_names_of_their_own() -> None:
    table = {"rules": [{"rule": "threshold", "when": f"val_loss > {n}"} for n in range(3)]}
    read, _ = read_stopping(table)
    assert read is not None
    assert list(read.rules) == ["threshold", "threshold#2", "threshold#3"]


def test_the_direction_is_guessed_from_the_name() -> None:
    table = {"rule": "median", "grace": 3}
    found = {
        name: stopping_of({"metric": name, **table}).direction for name in ("val_loss", "val_accuracy", "auc_loss")
    }
    assert found == {"val_loss": "min", "val_accuracy": "max", "auc_loss": "min"}
    assert stopping_of({"metric": "val_loss", "direction": "maximize", **table}).direction == "max"


def test_rules_that_say_the_same_have_the_same_digest() -> None:
    assert stopping_of(ASHA).digest == stopping_of({**ASHA, "eta": 3.0, "by": "step"}).digest
    assert stopping_of(ASHA).digest != stopping_of({**ASHA, "eta": 4}).digest


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "stopping.rule: is missing; allowed: asha, halving"),
        ({"metric": "x", "rule": "ascha", "min": 1}, "stopping.rule: is 'ascha'; did you mean 'asha'?"),
        ({"metric": "x", "rule": 3}, "stopping.rule: is '3'; allowed: asha"),
        ({"rule": "asha", "min": 1}, "stopping.metric: is missing; which metric"),
        ({**ASHA, "min": 0}, "stopping.min: is 0; allowed: more than 0"),
        ({**ASHA, "min": "1"}, "stopping.min: is '1'; allowed: a number"),
        ({**ASHA, "min": True}, "stopping.min: is true; allowed: a number"),
        ({**ASHA, "eta": 1}, "stopping.eta: is 1"),
        ({**ASHA, "max": 1}, "stopping.max: is 1; allowed: more than min, which is 1"),
        ({**ASHA, "promote": True}, "stopping.promote: is true; allowed: 'resume'"),
        ({**ASHA, "etta": 3}, "stopping.etta: unknown key; did you mean 'eta'?"),
        ({**ASHA, "metrik": "x"}, "did you mean 'metric'?"),
        ({**ASHA, "direction": "down"}, "stopping.direction: is 'down'; allowed: 'min' or 'max'"),
        ({**ASHA, "by": "val_loss"}, "stopping.by: is the metric itself"),
        ({**ASHA, "value": "mean"}, "stopping.value: is 'mean'; allowed: 'best' or 'last'"),
        ({**ASHA, "metric": " "}, "stopping.metric: is ' '; allowed: a text"),
        ({"metric": "x", "rule": "asha"}, "stopping.min: is missing"),
        ({"metric": "x", "rule": "median"}, "stopping.grace: is missing"),
        ({"metric": "x", "rule": "percentile", "grace": 3, "percentile": 100}, "stopping.percentile: is 100"),
        ({"metric": "x", "rule": "hyperband", "min": 1, "max": 2}, "stopping.max: is 2, which leaves one bracket"),
        (
            {"metric": "x", "rule": "hyperband", "min": 1, "max": 81, "synchronous": True, "promote": "resume"},
            "stopping.promote: is part of synchronous halving",
        ),
        ({"metric": "x", "rule": "minimum", "direction": "max"}, "stopping.direction: is max; the rule minimum is"),
        ({"metric": "x", "rule": "minimum", "alpha": 1}, "stopping.alpha: is 1"),
        ({"metric": "x", "rule": "patience"}, "stopping.patience: is missing"),
        ({"metric": "x", "rules": []}, "stopping.rules: allowed: a list of 1 to 20"),
        ({"metric": "x", "rules": [3]}, "stopping.rules.0: allowed: a table"),
        ({"metric": "x", "min": 3, "rules": [{"rule": "median", "grace": 1}]}, "stopping.min: is beside stopping.rules"),
        ({"metric": "x", "rules": [{"rule": "median", "grace": 1}, {"rule": "asha"}]}, "stopping.rules.1.min: is missing"),
        (
            {"metric": "x", "rules": [{"rule": "asha", "min": 1}, {"rule": "halving", "min": 1}]},
            "has asha and halving; allowed: one of",
        ),
        ({"rule": "threshold", "when": ""}, "stopping.when: is ''"),
        ({"rule": "threshold", "when": "val_loss >"}, "stopping.when: expected a value"),
        ({"rule": "threshold", "when": "val_loss > 2 after 10 parsecs"}, "a duration above 0"),
        ({"rule": "threshold", "when": "val_loss > two"}, "expected a number"),
        ({"rule": "threshold", "when": "state > 2"}, "state is a state"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_what_is_allowed(table: dict[str, Any], words: str) -> None:
    assert words in mistakes(table)


def test_all_mistakes_come_at_once() -> None:
    said = mistakes({"metric": "x", "by": "x", "rules": [{"rule": "asha", "min": -1, "eta": 0}, {"rule": "?"}]})
    assert len(said.splitlines()) == 4


def test_a_threshold_is_a_query_about_metrics_that_nobody_has_reported_yet() -> None:
    asked = condition_of("val_loss > 2 and lr < 0.1 and running_time > 10m", frozenset({"lr"}))
    assert asked == All(
        parts=(
            Compared(field=Metric(name="val_loss"), op=Op.GREATER, value=2),
            Compared(field=Param(path=("lr",)), op=Op.LESS, value=0.1),
            Compared(field=RunField.RUNNING_TIME, op=Op.GREATER, value=600),
        )
    )
    assert metrics_in(asked) == {"val_loss"}


def test_after_is_running_time() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    short = condition_of("val_loss > 2 after 10m", frozenset(), now)
    assert short == All(
        parts=(
            Compared(field=Metric(name="val_loss"), op=Op.GREATER, value=2),
            Compared(field=RunField.RUNNING_TIME, op=Op.AT_LEAST, value=600),
        )
    )
