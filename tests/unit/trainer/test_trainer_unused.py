"""Parameters that would have no effect."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.validation import check

CLASSIFIER = {"model": "classifier", "data": {"train": "x.npz"}}
TEXT = {"model": "language-model", "data": {"source": "pydoc"}}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({**CLASSIFIER, "optimizer": "adam", "initial_momentum": 0.7}, "initial_momentum"),
        ({**CLASSIFIER, "optimizer": "l-bfgs", "batch_size": 10}, "batch_size"),
        ({**CLASSIFIER, "optimizer": "cg", "clip_norm": 1.0}, "clip_norm"),
        ({**CLASSIFIER, "optimizer": "bfgs", "learning_rate": 0.5}, "learning_rate"),
        ({**CLASSIFIER, "optimizer": "bfgs", "watch_every": 5}, "watch_every"),
        ({**CLASSIFIER, "optimizer": "rmsprop", "beta2": 0.9}, "beta2"),
        ({**CLASSIFIER, "iterations": 3}, "iterations"),
        ({**TEXT, "rho": 0.5}, "rho"),
        ({**TEXT, "optimizer": "adagrad", "nesterov": True}, "nesterov"),
    ],
)
def test_what_the_optimizer_does_not_use_is_refused_by_name(params: dict[str, Any], name: str) -> None:
    assert any(problem.startswith(f"{name} is given, but optimizer = ") for problem in check(params))


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam", "cg", "bfgs", "l-bfgs"])
@pytest.mark.parametrize("params", [CLASSIFIER, TEXT])
def test_defaults_do_no_harm(params: dict[str, Any], optimizer: str) -> None:
    assert check({**params, "optimizer": optimizer, "early_stopping": "minimum"}) == []


def test_a_parameter_given_with_its_default_is_not_an_error() -> None:
    assert check({**CLASSIFIER, "optimizer": "l-bfgs", "batch_size": 100, "initial_momentum": 0.5}) == []


def test_nesterov_needs_momentum() -> None:
    assert "nesterov is true without momentum" in check({**TEXT, "nesterov": True})[0]
    assert check({**TEXT, "nesterov": True, "final_momentum": 0.9}) == []


def test_a_language_model_has_no_confusion_and_full_batches_no_server() -> None:
    assert "watch has confusion" in check({**TEXT, "watch": ["confusion", "samples"]})[0]
    assert "parallel is server" in check({**TEXT, "optimizer": "cg", "parallel": "server"})[0]
