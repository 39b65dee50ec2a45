"""Rules as people write them: what is understood, and every mistake by its place."""

from pathlib import Path
from typing import Any

import pytest

from queueing.definition import define
from queueing.rules.reading import Defaults, read_rules_file
from queueing.rules.words import rule_words
from store.errors import BadExperiment
from store.query import Compared, Metric, Names, Op
from store.rules import Quiet, Rate, Rule, When
from store.settings import Settings

KNOWN = Names(metrics=frozenset({"val_loss"}), params=frozenset({"lr", "n_hidden"}), complete=False)


def read(tmp_path: Path, text: str, **defaults: Any) -> tuple[Rule, ...]:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    return read_rules_file(file, Defaults(**{"to": ("me@lab.org",), "zone": "UTC", **defaults}), KNOWN)


def test_a_whole_rule(tmp_path: Path) -> None:
    (rule,) = read(
        tmp_path,
        """
        [[rule]]
        name = "nights"
        on = ["finished", "memory-growth", "every 2h"]
        if = "val_loss < 0.2 and lr = 0.1"
        to = ["ann@lab.org", "slack:lab"]
        when = "daily at 18:30"
        quiet = "22:00-07:00"
        zone = "Europe/Berlin"
        at_most = "20 per hour"
        attach = ["history"]
        """,
    )
    assert (rule.name, rule.on, rule.every_s) == ("nights", ("finished", "memory-growth", "every"), 7200.0)
    assert rule.to == ("ann@lab.org", "slack:lab")
    assert (rule.when, rule.at_minute, rule.zone) == (When.DAILY, 18 * 60 + 30, "Europe/Berlin")
    assert (rule.quiet, rule.at_most) == (Quiet(from_minute=1320, to_minute=420), Rate(count=20, per_s=3600))
    assert rule.with_history
    assert rule_words(rule) == (
        "ann@lab.org, slack:lab when finished or memory-growth or every 2h, if val_loss < 0.2 and lr = 0.1; "
        "daily at 18:30 Europe/Berlin; quiet 22:00-07:00 Europe/Berlin; at most 20 per 1h; with the history (nights)"
    )


def test_what_stands_above_is_meant_for_all(tmp_path: Path) -> None:
    first, second = read(
        tmp_path,
        'to = "ann@lab.org"\nquiet = "22:00-07:00"\n[[rule]]\non = "failed"\n[[rule]]\non = "stuck"\nto = "b@lab"\n',
    )
    assert (first.to, second.to) == (("ann@lab.org",), ("b@lab",))
    assert first.quiet == second.quiet is not None
    assert (first.name, second.name) == ("rule 1", "rule 2")


@pytest.mark.parametrize(("metric", "greatest"), [("val_loss", False), ("accuracy", True)])
def test_the_direction_of_the_best_is_guessed_from_the_name_or_said(
    tmp_path: Path, metric: str, greatest: bool
) -> None:
    (guessed,) = read(tmp_path, f'[[rule]]\non = "best-so-far"\nmetric = "{metric}"\n')
    assert guessed.greatest is greatest
    said = "less" if greatest else "greater"
    (outright,) = read(tmp_path, f'[[rule]]\non = "best-so-far"\nmetric = "{metric}"\nbetter = "{said}"\n')
    assert outright.greatest is not greatest


def test_a_metric_that_nobody_has_reported_yet_may_be_asked_for(tmp_path: Path) -> None:
    (rule,) = read(tmp_path, '[[rule]]\non = "finished"\nif = "perplexity < 20"\n')
    assert rule.where == Compared(field=Metric(name="perplexity"), op=Op.LESS, value=20)
    (outright,) = read(tmp_path, '[[rule]]\non = "finished"\nif = "last.val_los < 20"\n')
    assert outright.where == Compared(field=Metric(name="val_los"), op=Op.LESS, value=20)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[rule]]\non = "finishd"', "line 2: rule[0].on[0]: is 'finishd'; allowed: did you mean 'finished'?"),
        ('[[rule]]\non = "failed"\n[[rule]]\non = "every 2q"', "line 4: rule[1].on[0]: is 'every 2q'; allowed: a duration"),
        ('[[rule]]\non = "every 5s"', "allowed: \"every 1m\" or more"),
        ('[[rule]]\non = "every"', "did you mean"),
        ('[[rule]]\non = []', "rule[0].on:"),
        ('[[rule]]\non = "failed"\nwenn = "daily"', "unknown key; did you mean 'when'?; allowed: name, on, if, metric"),
        ('[[rule]]\non = "failed"\nif = "val_los < 2"', "line 3: rule[0].if: unknown name 'val_los', did you mean 'val_loss'?"),
        ('[[rule]]\non = "failed"\nif = "stat = failed"', "did you mean 'state'?"),
        ('[[rule]]\non = "failed"\nif = "val_loss <"', "line 3: rule[0].if:"),
        ('[[rule]]\non = "failed"\nif = "ended > -2d"', "names a moment"),
        ('[[rule]]\non = ["failed", "worker-lost"]\nif = "val_loss < 2"', "worker-lost is about none"),
        ('[[rule]]\non = "best-so-far"', 'rule[0].metric: is missing; best-so-far is meant of a metric'),
        ('[[rule]]\non = "failed"\nmetric = "val_loss"', "is for best-so-far alone"),
        ('[[rule]]\non = "failed"\nto = "me"', "is no e-mail address; allowed: name@host, or the name of a target"),
        ('[[rule]]\non = "failed"\nto = "a@b\\nBcc: c@d"', "is no e-mail address"),
        ('[[rule]]\non = "failed"\nwhen = "weekly"', 'allowed: "at once", "hourly", "daily", "daily at 18:00", "sweep"'),
        ('[[rule]]\non = "failed"\nquiet = "22-7"', 'allowed: two times of the day, such as "22:00-07:00"'),
        ('[[rule]]\non = "failed"\nquiet = "22:00-25:00"', "two times of the day"),
        ('[[rule]]\non = "failed"\nquiet = "22:00-22:00"', "two different times"),
        ('[[rule]]\non = "failed"\nzone = "Europe/Berln"', "did you mean 'Europe/Berlin'?"),
        ('[[rule]]\non = "failed"\nat_most = "many"', 'such as "20 per hour"'),
        ('[[rule]]\non = "failed"\nattach = ["histry"]', "allowed: 'history'"),
        ('[[rule]]\non = "failed"\nname = "a"\n[[rule]]\non = "failed"\nname = "a"', "another rule has this name"),
        ("to = 'me@lab.org'", "rule: is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_what_was_found_and_what_is_allowed(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(BadExperiment) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert str(tmp_path / "rules.toml") in str(caught.value)


def test_nobody_to_tell_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadExperiment, match="notify_to"):
        read(tmp_path, '[[rule]]\non = "failed"', to=())


EXPERIMENT = """
name = "weather"
command = ["true", "{lr}"]
[params]
lr = 0.1
[notify]
to = "me@lab.org"
on = ["failed", "every 2h"]
"""


def test_rules_of_an_experiment_in_its_file_and_in_another(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "other"\non = "stuck"\n')
    file = tmp_path / "e.toml"
    file.write_text(
        EXPERIMENT
        + 'rules = "rules.toml"\n[[notify.rule]]\non = "finished"\nif = "loss < lr"\n'.replace(
            "loss < lr", "loss < 0.2"
        )
    )
    found = define(file, Settings())
    assert (found.notify.on, found.notify.every_s) == (("failed", "every"), 7200.0)
    assert [(rule.name, rule.on, rule.to) for rule in found.rules] == [
        ("rule 1", ("finished",), ("me@lab.org",)), ("other", ("stuck",), ("me@lab.org",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[notify.rule]]\non = "failed"\n[[notify.rule]]\non = "failed"\nif = "n_hiden < 3 and lrr = 1"', "line 15: notify.rule[1].if"),
        ('rules = "nowhere.toml"', "notify.rules: "),
        ('rules = "bad.toml"', "bad.toml: line 2: rule[0].on[0]"),
        ('[[notify.rule]]\non = "failed"\nwhn = 1', "unknown key; did you mean 'when'?"),
    ],
)  # fmt: skip
def test_wrong_rules_keep_an_experiment_from_being_enqueued(tmp_path: Path, more: str, says: str) -> None:
    (tmp_path / "bad.toml").write_text('[[rule]]\non = "faild"\n')
    file = tmp_path / "e.toml"
    file.write_text(
        EXPERIMENT.replace("lr = 0.1", "lr = 0.1\nn_hidden = 3\nlrs = 2").replace(
            '"{lr}"', '"{lr}", "{n_hidden}", "{lrs}"'
        )
        + more
    )
    with pytest.raises(BadExperiment) as caught:
        define(file, Settings())
    assert says in str(caught.value)


def test_best_so_far_needs_a_rule_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(EXPERIMENT.replace('"failed"', '"best-so-far"'))
    with pytest.raises(BadExperiment, match="needs a metric"):
        define(file, Settings())
