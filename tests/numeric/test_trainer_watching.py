"""What is recorded beside the losses, computed again in the most obvious way."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_twins import language_model_states
from trainer_examples import classifier, language_model, with_optimizer

from trainer.config import Activation, Config, Head, HeadKind, LossKind
from trainer.data.vocabulary import END
from trainer.loop import Loop, Outcome, initial_state
from trainer.models import Model, load_model
from trainer.order import epoch_order
from trainer.state import TrainingState
from trainer.validation import load_config
from trainer.watching import parts
from trainer.watching_answers import Answers, confusion, head_errors, head_losses
from trainer.watching_clock import PREFIX
from trainer.watching_layers import dead_units


class Notes:
    """A reporter that keeps everything; told to stop at the n-th question."""

    def __init__(self, questions: int = -1) -> None:
        self.points: dict[str, dict[int, float]] = {}
        self.lines: list[str] = []
        self.files: dict[str, str] = {}
        self.reasons: list[str] = []
        self.saved = 0
        self.questions = questions

    def log(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            assert step not in self.points.setdefault(name, {}), f"{name} twice at {step}"
            self.points[name][step] = value

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: int, total: int, *, now: bool = False) -> None: ...

    def checkpoint_if_due(self, state: TrainingState) -> None: ...

    def checkpoint(self, state: TrainingState) -> None:
        self.saved += 1

    def artifact(self, name: str, text: str, *, append: bool = False) -> None:
        self.files[name] = (self.files[name] if append else "") + text

    def told_to_stop(self) -> bool:
        self.questions -= 1
        return self.questions == 0

    def stop(self, reason: str) -> None:
        self.reasons.append(reason)


def made(params: dict[str, Any], **more: Any) -> tuple[Config, Model]:
    config = load_config({**params, "dtype": "float64", "early_stopping": "none", "patience": 10, "epochs": 3, **more})
    return config, load_model(config)


def trained(config: Config, model: Model, state: TrainingState | None = None) -> tuple[Notes, TrainingState]:
    notes, state = Notes(), state or initial_state(config, model)
    assert Loop(config, model, state, notes).run() is Outcome.FINISHED
    return notes, state


def last(notes: Notes, name: str) -> float:
    return notes.points[name][max(notes.points[name])]


HEADS = (
    Head(name="mood", kind=HeadKind.SOFTMAX, size=3),
    Head(name="what", kind=HeadKind.SIGMOID, size=2),
    Head(name="how", kind=HeadKind.LINEAR, size=1),
)
GIVEN = np.array([[0.7, 0.2, 0.1, 0.9, 0.2, 3.0], [0.1, 0.6, 0.3, 0.4, 0.6, 1.0]])
RIGHT = np.array([[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]])
ANSWERS = Answers(heads=HEADS, given=GIVEN, right=RIGHT)


def test_the_losses_of_heads_are_those_of_their_outputs() -> None:
    squares = (GIVEN - RIGHT) ** 2
    assert head_losses(ANSWERS, LossKind.MSE) == pytest.approx(
        {"mood": squares[:, :3].sum() / 12, "what": squares[:, 3:5].sum() / 12, "how": squares[:, 5].sum() / 12}
    )
    entropy = head_losses(ANSWERS, LossKind.CROSS_ENTROPY)
    assert entropy["mood"] == pytest.approx(-(np.log(0.7) + np.log(0.3)) / 2)
    assert entropy["what"] == pytest.approx(-(np.log(0.9) + np.log(0.2) + np.log(0.6) + np.log(0.6)) / 2)
    assert entropy["how"] == pytest.approx(4 / 2 / 2)


def test_errors_and_confusion_count_decisions() -> None:
    assert head_errors(ANSWERS) == {"mood": 0.5, "what": 0.25}
    assert (confusion(ANSWERS)["mood"] == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]).all()


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_the_losses_of_heads_add_up_to_the_loss(loss: str, tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), watch=["heads"], loss=loss)
    notes, state = trained(config, model)
    parts_of_loss = last(notes, "val_loss_mood") + last(notes, "val_loss_when")
    assert parts_of_loss == pytest.approx(last(notes, "val_loss"), rel=1e-12)
    sums = np.zeros(model.validation_size)
    model.evaluate(0, model.n_valid, state.weights, sums)
    assert last(notes, "val_error_mood") == pytest.approx(model.validation_metrics(sums)["val_error_mood"], rel=1e-12)
    assert {"train_loss_mood", "train_error_when"} <= notes.points.keys()


def test_a_feature_is_worth_what_the_loss_rises_by_without_it(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), watch=["features"])
    notes, state = trained(config, model)
    _, valid = parts(model)
    valid.values[:, 2] = valid.values[:, 2].mean()  # where the model itself will see it
    sums = np.zeros(model.validation_size)
    model.evaluate(0, model.n_valid, state.weights, sums)
    assert last(notes, "feature_2") == pytest.approx(sums[0] / sums[1] - last(notes, "val_loss"), rel=1e-9)
    assert {f"feature_{j}" for j in range(4)} <= notes.points.keys()


def test_confusion_is_a_file_of_all_epochs_and_a_recall_for_each_class(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), watch=["confusion"])
    notes, _ = trained(config, model)
    rows = list(csv.reader(io.StringIO(notes.files["confusion-mood-from-epoch-1.csv"])))
    assert rows[0] == ["epoch", "class", "answered_0", "answered_1", "answered_2"]
    assert [row[:2] for row in rows[1:]] == [[str(e), str(c)] for e in (1, 2, 3) for c in range(3)]
    counts = np.array([[int(n) for n in row[2:]] for row in rows[-3:]])
    assert counts.sum() == model.n_valid
    for c in range(3):
        assert last(notes, f"val_recall_mood_{c}") == counts[c, c] / counts[c].sum()


def test_samples_show_answers_beside_targets(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), watch=["samples"])
    notes, _ = trained(config, model)
    rows = list(csv.DictReader(io.StringIO(notes.files["samples.csv"])))
    assert len(rows) == 10 * 5
    assert {row["epoch"] for row in rows} == {"3"}
    mood = [float(row["answer"]) for row in rows if row["sequence"] == "0" and row["head"] == "mood"]
    assert sum(mood) == pytest.approx(1, abs=1e-4)


def test_samples_of_a_language_model_are_sentences_of_its_words(tmp_path: Path) -> None:
    notes, _ = trained(*made(language_model(tmp_path), watch=["samples"]))
    first, *sentences = notes.files["samples.txt"].splitlines()
    assert first == "epoch 3"
    assert len(sentences) == 5
    assert {"the", "rain", "plain"} & {word for line in sentences for word in line.split()}


def test_a_watched_update_has_its_gradient_and_how_far_it_moves_the_weights(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), watch_every=5, epochs=1)
    notes, _ = trained(config, model)
    short = replace(config, watch_every=0)
    state = initial_state(short, model)
    chosen = epoch_order(model.n_train, config.seed, 0)
    with_questions = Loop(short, model, state, Notes(questions=5), stretch_s=0.0)  # one update at a time
    with_questions.run()
    assert state.update == 4
    gradient, before = model.layout.zeros(), state.layout.unpack(state.weights)
    model.gradient(chosen[4 * 9 : 5 * 9], 0, state.weights, gradient)
    with_questions.reporter = Notes(questions=2)
    with_questions.run()
    after = state.layout.unpack(state.weights)
    assert state.update == 5
    for name, g in model.layout.unpack(gradient).items():
        assert notes.points[f"gradient_norm_{name}"][5] == pytest.approx(np.linalg.norm(g), rel=1e-12)
        ratio = np.linalg.norm(after[name] - before[name]) / np.linalg.norm(after[name])
        assert notes.points[f"update_ratio_{name}"][5] == pytest.approx(ratio, rel=1e-12)
    assert notes.points["gradient_norm"][5] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    assert list(notes.points["gradient_norm"]) == [5, 10, 15]


@pytest.mark.parametrize("make", [language_model, classifier])
def test_watching_and_its_extra_updates_change_nothing_else(make: Any, tmp_path: Path) -> None:
    params = make(tmp_path)
    plain, plainly = trained(*made(params))
    watched, watchedly = trained(*made(params, watch=["layers", "samples"], watch_every=3))
    assert (plainly.weights == watchedly.weights).all()
    same = [name for name in plain.points if not name.startswith(PREFIX)]
    assert all(plain.points[name] == watched.points[name] for name in same)
    assert list(watched.points["dead_units"]) == list(plain.points["train_loss"])
    assert set(plain.points["train_loss"]) <= set(watched.points["gradient_norm"])


@pytest.mark.parametrize("activation", list(Activation))
def test_a_unit_is_dead_when_its_slope_is_nought_at_every_step(activation: Activation, tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), activation=activation.value)
    named = model.layout.unpack(model.initial_weights())
    named["b"][0, :3] = -80  # unit 0 … 2 of 7, whatever comes in
    named["W"][:, :3] = 0
    found = dead_units(config, model, model.layout.pack(named))
    assert found["dead_units"] == pytest.approx(3 / 7)
    assert found["flat_states"] >= found["dead_units"]


def test_the_hidden_states_that_are_watched_are_those_of_the_equation(tmp_path: Path) -> None:
    config, model = made(language_model(tmp_path))
    named = model.layout.unpack(20 * model.initial_weights())
    _, (tokens, offsets) = model.parts()
    sentences = [tokens[a:b] for a, b in pairwise(offsets)]
    # The last word of a sentence has a state too, though nothing follows it.
    states = np.concatenate([language_model_states(np.append(words, 0), named)[1:] for words in sentences])
    found = dead_units(config, model, model.layout.pack(named))
    assert found["flat_states"] == pytest.approx((np.abs(states) > 0.99).mean())
    assert 0 < found["flat_states"] < 1


def test_the_clock_counts_what_this_process_did_and_a_resumed_epoch_has_no_length(tmp_path: Path) -> None:
    config, model = made(language_model(tmp_path), epochs=2)
    whole, _ = trained(config, model)
    assert set(whole.points["clock_epoch_s"]) == set(whole.points["train_loss"])
    rates = last(whole, "clock_words_per_s") / last(whole, "clock_sequences_per_s")
    assert rates == pytest.approx(np.diff(model.parts()[0][1]).mean() - 1, rel=0.01)
    state = initial_state(config, model)
    Loop(config, model, state, Notes(questions=5), stretch_s=0.0).run()
    rest, _ = trained(config, model, state)
    assert len(rest.points["clock_sequences_per_s"]) == 2
    assert len(rest.points["clock_epoch_s"]) == 1


def test_full_batches_have_an_objective_each_iteration_and_no_learning_rate(tmp_path: Path) -> None:
    params = with_optimizer(classifier(tmp_path), "l-bfgs")
    config, model = made(params, watch=["layers"])
    notes, _ = trained(config, model)
    assert list(notes.points["objective"]) == list(range(1, 10))
    assert list(notes.points["train_loss"]) == [3, 6, 9]
    assert "learning_rate" not in notes.points
    assert notes.lines[0].startswith("epoch 1, mb 3/3, tr loss 0.")
    assert "lr" not in notes.lines[0]


def test_the_loss_of_an_epoch_is_the_mean_over_sequences_however_uneven_the_batches(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), epochs=1, learning_rate=1e-300, noise=0.0, batch_size=70)
    notes, state = trained(config, model)  # 160 sequences: batches of 70, 70 and 20
    gradient = model.layout.zeros()
    objective = model.gradient(np.arange(model.n_train), 0, state.weights, gradient)
    assert last(notes, "train_loss") == pytest.approx(objective - last(notes, "penalty"), rel=1e-12)


def test_weights_that_are_not_finite_are_found_though_no_loss_shows_them(tmp_path: Path) -> None:
    config, model = made(language_model(tmp_path))
    state, notes = initial_state(config, model), Notes()
    named = state.layout.unpack(state.weights)
    named["U"][END] = np.nan  # nothing follows the end of a sentence
    state.weights[:] = state.layout.pack(named)
    assert np.isfinite(model.gradient(np.arange(model.n_train), 0, state.weights, model.layout.zeros()))
    assert Loop(config, model, state, notes).run() is Outcome.DIVERGED
    assert notes.reasons == ["diverged"]
    assert notes.saved == 0
    assert len(notes.points["val_loss"]) == 1


def test_the_end_of_a_classifier_keeps_its_confusion_and_what_features_are_worth(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), epochs=2, watch=["confusion", "features"])
    notes, state = trained(config, model)
    told = json.loads(notes.files["answers-at-end.json"])
    assert told["epoch"] == state.epoch == 2
    assert told["loss"] == pytest.approx(last(notes, "val_loss"), rel=1e-5)
    assert told["features"] == [last(notes, f"feature_{j}") for j in range(len(told["features"]))]
    for head, matrix in told["confusion"].items():
        rows = list(csv.DictReader(io.StringIO(notes.files[f"confusion-{head}-from-epoch-1.csv"])))
        newest = [row for row in rows if row["epoch"] == "2"]
        assert matrix == [[int(row[f"answered_{c}"]) for c in range(len(matrix))] for row in newest]


def test_a_run_that_was_told_to_stop_keeps_no_answers_of_an_end(tmp_path: Path) -> None:
    config, model = made(classifier(tmp_path), epochs=2)
    notes = Notes(questions=1)
    Loop(config, model, initial_state(config, model), notes).run()
    assert "answers-at-end.json" not in notes.files
