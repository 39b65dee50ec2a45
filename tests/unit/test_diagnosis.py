"""The diagnosis on recorded runs: nothing is said of healthy ones at any moment, and each illness is found on all that have it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from diagnosis_lab import History, chart_of, histories, history

from notify.diagnosis import diagnose
from store.findings import Disease, Finding

LOOKS = 15
CORPORA = ("known", "held-out", "fresh")
HEALTHY = [path for corpus in CORPORA for path in histories(corpus, "healthy")]
SICK = [path for corpus in CORPORA for path in histories(corpus) if path not in HEALTHY]


def first_looks(one: History) -> dict[Disease, tuple[float, Finding]]:
    """Each illness with the share of the history at which it was first told."""
    first: dict[Disease, tuple[float, Finding]] = {}
    for chart in one.prefixes(LOOKS):
        for finding in diagnose(chart):
            first.setdefault(finding.disease, (one.share(chart), finding))
    return first


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.json.gz')}"


@pytest.mark.parametrize("path", HEALTHY, ids=name)
def test_nothing_is_said_of_a_healthy_run_at_any_moment(path: Path) -> None:
    """`may` has `slow` where other work truly slowed the machine while the run was recorded."""
    one = history(path)
    told = {disease: (share, finding.evidence) for disease, (share, finding) in first_looks(one).items()}
    assert one.may <= {Disease.SLOW}
    assert {disease: what for disease, what in told.items() if disease not in one.may} == {}


@pytest.mark.parametrize("path", SICK, ids=name)
def test_the_illness_of_a_sick_run_is_found_and_no_other(path: Path) -> None:
    one = history(path)
    found = set(first_looks(one))
    assert one.must, "a sick history names its illness"
    assert one.must <= found
    assert found <= one.must | one.may


def test_the_corpus_is_large_enough() -> None:
    assert len(histories("known", "healthy")) >= 30
    for disease in Disease:
        assert len([path for path in SICK if path.parent.name == "known" and disease in history(path).must]) >= 10, (
            disease
        )


@pytest.mark.parametrize("path", [path for path in SICK if "not-finite" not in path.name][::6], ids=name)
def test_what_is_told_has_numbers_advice_and_a_step_or_a_time(path: Path) -> None:
    for finding in diagnose(history(path).chart(history(path).moments[-1])):
        assert any(character.isdigit() for character in finding.evidence)
        assert finding.advice.endswith(".")
        assert finding.reference
        assert (
            finding.disease in (Disease.IDLE_GPU,) or finding.since_step is not None or finding.expected_at is not None
        )


def test_a_look_is_quick() -> None:
    """Ten series of 5,000 points: 30 ms of processor time; the best of several, for the machine is shared."""
    values = [2 / (1 + k / 500) for k in range(5000)]
    chart = chart_of(**dict.fromkeys(("loss", "train_loss", "val_loss", "gradient_norm", "gradient_norm_W", "gradient_norm_V", "norm_W", "norm_V", "update_ratio_W", "dead_units"), values))  # fmt: skip
    taken = []
    for _ in range(7):
        began = time.process_time()
        diagnose(chart)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.03
