"""Optimizers that look at all training data at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_examples import classifier, language_model, with_optimizer

from trainer import full_batch
from trainer.config import Config
from trainer.errors import UserMistake
from trainer.loop import initial_state
from trainer.models import Model, load_model
from trainer.validation import load_config

FULL_BATCH = ("cg", "bfgs", "l-bfgs")


def made(params: dict[str, Any], optimizer: str, **more: Any) -> tuple[Config, Model]:
    config = load_config({**with_optimizer(params, optimizer), "dtype": "float64", **more})
    return config, load_model(config)


def never() -> bool:
    return False


@pytest.mark.parametrize("make", [language_model, classifier])
@pytest.mark.parametrize("optimizer", FULL_BATCH)
def test_an_epoch_lowers_the_objective_at_every_iteration(make: Any, optimizer: str, tmp_path: Path) -> None:
    config, model = made(make(tmp_path), optimizer, iterations=8)
    weights, gradient = model.initial_weights(), model.layout.zeros()
    first = model.gradient(np.arange(model.n_train), 0, weights, gradient)
    found = full_batch.descend(config, model, weights, 0, never)
    assert found is not None
    assert len(found.objectives) == 8
    assert first > found.objectives[0]
    assert all(a >= b for a, b in zip(found.objectives, found.objectives[1:], strict=False))
    last = model.gradient(np.arange(model.n_train), 0, found.weights, gradient)
    assert last == pytest.approx(found.objectives[-1], rel=1e-12)
    assert (weights == model.initial_weights()).all()


@pytest.mark.parametrize("make", [language_model, classifier])
def test_the_sums_are_loss_and_weight_without_penalties(make: Any, tmp_path: Path) -> None:
    config, model = made(make(tmp_path), "l-bfgs")
    found = full_batch.descend(config, model, model.initial_weights(), 3, never)
    assert found is not None
    gradient = model.layout.zeros()
    objective = model.gradient(np.arange(model.n_train), 3, found.weights, gradient)
    penalty = model.training_metrics(found.weights, 0.0).get("penalty", 0.0)
    assert found.sums[0] / model.n_train + penalty == pytest.approx(objective, rel=1e-12)


def test_chunks_of_sequences_add_up_to_the_mean_over_all(tmp_path: Path, monkeypatch: Any) -> None:
    _, model = made(classifier(tmp_path), "cg", l1=0.01)
    monkeypatch.setattr(full_batch, "_CHUNK", 7)
    weights, gradient = model.initial_weights(), model.layout.zeros()
    objective = full_batch._Objective(model, 2, never)
    value, slope = objective(objective.vector(weights))
    whole = model.gradient(np.arange(model.n_train), 2, weights, gradient)
    assert value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(slope, objective.vector(gradient), rtol=1e-9, atol=1e-14)


def test_noise_is_the_same_in_all_evaluations_of_an_epoch_and_another_in_the_next(tmp_path: Path) -> None:
    _, model = made(classifier(tmp_path), "bfgs", noise=0.5)
    one, again, other = (full_batch._Objective(model, epoch, never) for epoch in (0, 0, 1))
    x = one.vector(model.initial_weights())
    assert one(x)[0] == one(x)[0] == again(x)[0] != other(x)[0]


def test_scipy_computes_in_float64_whatever_the_precision_of_the_weights(tmp_path: Path) -> None:
    config = load_config({**with_optimizer(classifier(tmp_path), "l-bfgs"), "dtype": "float32"})
    objective = full_batch._Objective(load_model(config), 0, never)
    weights = load_model(config).initial_weights()
    assert objective(objective.vector(weights))[1].dtype == np.float64
    assert (objective.flat(objective.vector(weights)) == weights).all()


@pytest.mark.parametrize("questions", [1, 2, 5])
def test_told_to_stop_an_epoch_ends_at_the_next_evaluation(questions: int, tmp_path: Path) -> None:
    config, model = made(language_model(tmp_path), "l-bfgs")
    answers = iter([False] * (questions - 1) + [True])
    assert full_batch.descend(config, model, model.initial_weights(), 0, lambda: next(answers)) is None


def test_bfgs_refuses_more_weights_than_their_square_has_room_for(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), "bfgs", n_hidden=100)
    with pytest.raises(UserMistake, match=r"bfgs with 11005 weights.* 0\.9 GiB.*at most 6000 weights"):
        initial_state(config, model)
    initial_state(*made(classifier(tmp_path), "l-bfgs", n_hidden=100))
