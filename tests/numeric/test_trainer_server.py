"""The asynchronous server: sequential training with one thread, and with several no update is lost."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_examples import classifier, language_model
from trainer_process import Run

from trainer.config import OptimizerKind, Parallel
from trainer.kernels.optimizers import apply
from trainer.models import Model, load_model
from trainer.models.language_model import LanguageModel
from trainer.schedule import rule
from trainer.server import Server, least_stretch, trainer_of
from trainer.validation import load_config


@pytest.fixture(params=[language_model, classifier])
def case(request: Any, tmp_path: Path) -> tuple[Any, Model]:
    params = request.param(tmp_path, n=60)
    config = replace(load_config(params), dtype=load_config({**params, "dtype": "float64"}).dtype)
    return config, load_model(config)


def served(config: Any, threads: int) -> Any:
    return replace(config, parallel=Parallel.SERVER, threads=threads)


def trained(case: tuple[Any, Model], config: Any, train: Any, epochs: int = 1) -> tuple[int, Any, Any]:
    """Updates made, weights and sums."""
    model, sums, done = case[1], np.zeros(4), 0
    weights, memory = model.initial_weights(), model.layout.zeros(config.memory_slots)
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(model.n_train)
        done += train(order, epoch, weights, memory, rule(config, config.learning_rate, epoch, done), sums)
    return done, weights, sums


def by_gradients(case: tuple[Any, Model], config: Any) -> Any:
    """Training that is nothing but a gradient and an update, again and again."""

    def train(order: Any, epoch: int, weights: Any, memory: Any, numbers: Any, sums: Any) -> int:
        gradient = np.zeros_like(weights)
        starts = range(0, len(order), config.batch_size)
        for number, first in enumerate(starts):
            case[1].gradient(order[first : first + config.batch_size], epoch, weights, gradient)
            apply(weights, gradient, memory, numbers, number)
        return len(starts)

    return train


OPTIMIZERS = [OptimizerKind.SGD, OptimizerKind.ADAGRAD, OptimizerKind.RMSPROP, OptimizerKind.ADAM]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_thread_gives_the_bits_of_sequential_updates(case: tuple[Any, Model], optimizer: OptimizerKind) -> None:
    config = served(replace(case[0], optimizer=optimizer, learning_rate=0.01), 1)
    done, weights, _ = trained(case, config, Server(config, case[1]).train, epochs=2)
    expected_done, expected, _ = trained(case, config, by_gradients(case, config), epochs=2)
    assert done == expected_done == 2 * math.ceil(case[1].n_train / config.batch_size)
    assert (weights == expected).all()


def test_one_thread_is_the_model_s_own_training_up_to_rounding(case: tuple[Any, Model]) -> None:
    config = served(case[0], 1)
    _, weights, sums = trained(case, config, trainer_of(config, case[1]))
    _, expected, expected_sums = trained(case, config, trainer_of(case[0], case[1]))
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-9)


def test_no_update_of_any_thread_is_lost(case: tuple[Any, Model]) -> None:
    """At a rate that hardly moves the weights, the gradients are those at the start and their order does not matter."""
    config = replace(served(case[0], 4), batch_size=1, clip_norm=0.0, initial_momentum=0.0, learning_rate=1e-9)
    model = case[1]
    done, weights, sums = trained(case, config, Server(config, model).train, epochs=3)
    assert done == 3 * model.n_train
    assert sums[1] == 3 * model.loss_weight(np.arange(model.n_train))
    start, total = model.initial_weights(), np.zeros(model.layout.size)
    gradient = model.layout.zeros()
    for epoch in range(3):
        for sequence in range(model.n_train):
            model.gradient(np.array([sequence]), epoch, start, gradient)
            total += gradient
    moved = (start - weights) / 1e-9
    assert np.abs(moved - total).max() < 1e-5 * np.abs(total).max()


@pytest.mark.parametrize("threads", [2, 5])
def test_the_loss_falls_with_several_threads(case: tuple[Any, Model], threads: int) -> None:
    config = replace(served(case[0], threads), initial_momentum=0.0, final_momentum=0.0, learning_rate=0.3)
    train, losses = Server(config, case[1]).train, []
    weights, memory = case[1].initial_weights(), case[1].layout.zeros(config.memory_slots)
    for epoch in range(30):
        sums = np.zeros(4)
        order = np.random.default_rng(epoch).permutation(case[1].n_train)
        train(order, epoch, weights, memory, rule(config, config.learning_rate, epoch, 0), sums)
        losses.append(sums[0] / sums[1])
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_more_threads_than_batches_do_no_harm(case: tuple[Any, Model]) -> None:
    config = replace(served(case[0], 16), batch_size=40)
    done, weights, _ = trained(case, config, Server(config, case[1]).train)
    assert done == math.ceil(case[1].n_train / 40)
    assert np.isfinite(weights).all()


def test_a_loss_that_is_not_finite_stops_every_thread_before_its_next_update(case: tuple[Any, Model]) -> None:
    config, model = served(case[0], 3), case[1]
    weights, sums = np.full_like(model.initial_weights(), np.nan), np.zeros(4)
    memory = model.layout.zeros(config.memory_slots)
    order = np.arange(model.n_train)
    assert Server(config, model).train(order, 0, weights, memory, rule(config, 0.1, 0, 0), sums) == 0
    assert math.isnan(sums[0])
    assert not memory.any()


class OutOfMemory(LanguageModel):
    """Fails at one sentence, in whichever thread it falls to."""

    def gradient(self, order: Any, epoch: int, weights: Any, gradient: Any) -> float:
        if 7 in order:
            raise MemoryError("sentence 7")
        return super().gradient(order, epoch, weights, gradient)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_error_of_a_thread_is_raised(tmp_path: Path, threads: int) -> None:
    config = served(load_config(language_model(tmp_path, n=60)), threads)
    model = OutOfMemory.load(config)
    weights, memory = model.initial_weights(), model.layout.zeros(config.memory_slots)
    order = np.arange(model.n_train)
    with pytest.raises(MemoryError, match="sentence 7"):
        Server(config, model).train(order, 0, weights, memory, rule(config, 0.1, 0, 0), np.zeros(4))
    assert np.isfinite(weights).all()


def test_the_loop_asks_for_a_batch_for_every_thread_at_least() -> None:
    config = load_config({"model": "language-model", "threads": 3, "data": {"source": "pydoc"}})
    assert least_stretch(config) == 1
    assert least_stretch(served(config, 3)) == 3
    assert config.threads_of_a_gradient == 3
    assert served(config, 3).threads_of_a_gradient == 1


def test_a_run_with_a_server_stops_when_told_to_and_goes_on_to_its_end(tmp_path: Path) -> None:
    params = {**language_model(tmp_path), "parallel": "server", "threads": 2, "checkpoint_every_s": 0.02}
    run = Run(tmp_path / "run", params)
    assert run.signal_after(20, signal.SIGTERM) == 0
    assert "_checkpoint" in run.lines()[-1]
    run.finish()
    losses = [line["train_loss"] for line in run.series() if "train_loss" in line]
    assert len(losses) == params["epochs"]
    assert losses[-1] < losses[0]
