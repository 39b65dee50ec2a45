"""The trainer as a library: forms of data, parameters, what fit leaves behind."""

from __future__ import annotations

import copy
import doctest
import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainer.estimators.classifier
import trainer.estimators.language_model
from trainer import RNNClassifier, RNNLanguageModel
from trainer.config import Readout

ROOT = Path(__file__).resolve().parents[3]
Arrays = list[np.ndarray]
LINEAR = [{"name": "y", "kind": "linear"}]


def sequences(n: int = 60, n_in: int = 3) -> tuple[Arrays, np.ndarray]:
    """Sequences of several lengths; their label is the sign of the last value of the first feature."""
    draw = np.random.default_rng(1)
    X = [draw.normal(size=(length, n_in)) for length in draw.integers(1, 7, n)]
    return X, np.array(["up" if x[-1, 0] > 0 else "down" for x in X])


def small(**more: Any) -> RNNClassifier:
    return RNNClassifier(**{"n_hidden": 5, "epochs": 3, "batch_size": 8, "learning_rate": 0.1, **more})


def without_clock(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in point.items() if not name.startswith("clock_")} for point in history]


def same_weights(one: Any, other: Any) -> bool:
    return all(np.array_equal(one.weights_[name], other.weights_[name]) for name in one.weights_)


@pytest.mark.parametrize("module", [trainer.estimators.classifier, trainer.estimators.language_model])
def test_the_examples_of_the_documentation_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 3
    assert result.failed == 0


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = "import sys, trainer; print(sorted({'numpy', 'numba', 'trainer.config'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_parameter_is_documented_and_shown_only_when_changed() -> None:
    for kind in (RNNClassifier, RNNLanguageModel):
        assert kind.__doc__ is not None
        for name in kind().get_params():
            assert f"{name}: " in kind.__doc__
        assert repr(kind(n_hidden=7, random_state=3)) == f"{kind.__name__}(n_hidden=7, random_state=3)"


def test_all_forms_of_the_same_sequences_train_the_same_bits() -> None:
    draw = np.random.default_rng(2)
    cube = draw.normal(size=(30, 4, 3))
    y = (cube[:, -1, 0] > 0).astype(int)
    packed = (cube.reshape(-1, 3), np.arange(31) * 4)
    forms: list[Any] = [cube, list(cube), tuple(cube), cube.tolist(), packed, np.asfortranarray(cube)]
    fitted = [small().fit(X, y) for X in forms]
    assert all(same_weights(fitted[0], other) for other in fitted[1:])
    assert fitted[0].predict(packed).tolist() == fitted[0].predict(cube).tolist()
    assert fitted[0].n_features_in_ == 3


BAD_SEQUENCES: list[tuple[Any, str]] = [
    ([], "X is empty; allowed: at least one sequence"),
    (np.zeros((2, 3)), "X has shape (2, 3); allowed: (sequences, steps, features), or a list"),
    (np.zeros((2, 0, 3)), "X has shape (2, 0, 3); allowed: at least one sequence, one step and one feature"),
    ([np.zeros((2, 3)), np.zeros((2, 4))], "X[1] has shape (2, 4); allowed: (steps, 3), as in X[0]"),
    ([np.zeros((2, 3)), np.zeros((0, 3))], "X[1] has shape (0, 3); allowed: (steps, 3), as in X[0]"),
    ([np.zeros(3)], "X[0] has shape (3,); allowed: (steps, features), at least one of each"),
    ([np.zeros((2, 1)), np.array([[0], [np.nan]])], "X[1], row 1, column 0: found NaN; allowed: a finite number"),
    (
        [np.array([[1e300]]), np.array([[1]])],
        "X[0], row 0, column 0: found 1e+300; allowed: a number that float32 can hold",
    ),
    ([np.array([["a"]])], "X is of type <U1; allowed: numbers"),
    ((np.zeros((4, 1)), np.array([0, 2, 2, 4])), "allowed: at least two rising whole numbers"),
    ((np.zeros((4, 1)), np.array([0, 2, 3])), "the offsets of X go from 0 to 3; allowed: from 0 to 4"),
]


@pytest.mark.parametrize(("X", "message"), BAD_SEQUENCES)
def test_bad_sequences_are_refused_with_the_place(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small().fit(X, np.arange(2 if not isinstance(X, tuple) else len(X[1]) - 1) % 2)


BAD_LABELS: list[tuple[dict[str, Any], Any, str]] = [
    ({}, None, "requires y to be passed, but the target y is None; allowed: labels"),
    ({}, ["a", "b"], "y has 2 labels; allowed: 3, the sequences of X"),
    ({}, ["a", "a", "a"], "y has one class, 'a'; allowed: at least two classes"),
    ({}, [0.5, 1, 2], "Unknown label type: continuous. y: row 0: found 0.5; allowed: class labels, or a head of"),
    ({}, ["a", 1, None], "y has labels of different kinds; allowed: all texts or all numbers"),
    ({}, [[0, 1], [1, 0], [1, 0]], "head is missing; y has 2 columns: say what they are in the parameter head"),
    ({"head": [{"name": "y", "kind": "linear"}]}, [0, 1, np.inf], "y: row 2, column 0: found inf; allowed: a finite"),
    ({"head": [{"name": "y", "kind": "sigmoid"}]}, [0, 1, 2], "found 2; allowed: from 0 to 1"),
    ({"head": [{"name": "y", "kind": "softmx"}]}, [0, 1, 1], 'head[0].kind is "softmx"; allowed: one of softmax, sig'),
    ({"head": [{"name": "y", "kind": "softmax", "size": 2}]}, ["a", "b", "c"], "y has 3 classes; allowed: 2, the size"),
    ({"head": [{"name": "a", "kind": "linear"}] * 2}, {"a": [1, 2, 3]}, "head a is given twice; allowed: one head of"),
    (
        {"head": [{"name": "a", "kind": "linear"}, {"name": "b", "kind": "linear", "size": 1}]},
        {"a": [1, 2, 3]},
        "y has the keys a; allowed: one for each head, also b",
    ),
    ({"head": [{"name": "a", "kind": "linear", "size": 1}, {"name": "b", "kind": "linear", "size": 1}]}, [1, 2, 3],
     "y has shape (3,); allowed: (sequences, 2), or a dict with a key for each head"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "y", "message"), BAD_LABELS)
def test_bad_labels_are_refused_with_what_is_allowed(parameters: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small(**parameters).fit(np.ones((3, 2, 1)), y)


BAD_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"learning_rate": -1}, "learning_rate is -1; allowed: a number > 0"),
    ({"random_state": -1}, "random_state is -1; allowed: a whole number >= 0"),
    ({"activation": "tanhh"}, 'activation is "tanhh"; allowed: one of tanh, sigmoid, relu, capped-relu'),
    ({"valid_fraction": 1}, "valid_fraction is 1; allowed: a number >= 0 and < 1"),
    ({"early_stopping": "minimum"}, "early_stopping needs validation data; allowed: X_valid or valid_fraction > 0"),
    ({"epochs": 0, "l1": "a"}, 'epochs is 0; allowed: a whole number >= 1\nl1 is "a"; allowed: a number >= 0'),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS)
def test_a_bad_parameter_is_refused_in_the_words_of_the_programme(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match="allowed") as raised:
        small(**parameters).fit(*sequences())
    found = sorted(str(raised.value).splitlines())
    assert len(found) == len(message.splitlines())
    assert all(line.startswith(said) for line, said in zip(found, sorted(message.splitlines()), strict=True))


def test_an_unknown_parameter_is_refused_with_a_proposal() -> None:
    with pytest.raises(TypeError, match="unknown parameter n_hiden; did you mean n_hidden"):
        RNNClassifier(n_hiden=3)
    with pytest.raises(ValueError, match="unknown parameter bptt; known are "):
        RNNClassifier().set_params(bptt=3)


def test_labels_come_back_as_they_were_given() -> None:
    X, y = sequences()
    for labels in (y, (y == "up").astype(int) * 7, y == "up", y.astype(object), y.tolist()):
        fitted = small().fit(X, labels)
        assert fitted.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
        assert set(fitted.predict(X).tolist()) <= set(np.asarray(labels).tolist())
        assert fitted.predict_proba(X).shape == (len(X), 2)
        assert np.allclose(fitted.predict_proba(X).sum(axis=1), 1)


def test_several_heads_learn_side_by_side() -> None:
    X, mood = sequences(200)
    size = np.array([x[-1, 1] for x in X])
    when = np.array([[x[-1, 0] > 0, x[-1, 2] > 0] for x in X])
    kinds = {"mood": "softmax", "when": "sigmoid", "size": "linear"}
    head = [{"name": name, "kind": kind} for name, kind in kinds.items()]
    fitted = small(n_hidden=20, epochs=60, head=head, loss="cross-entropy", learning_rate=0.03, clip_norm=1)
    fitted.fit(X, {"mood": mood, "when": when, "size": size})
    said = fitted.predict(X)
    assert (said["mood"] == mood).mean() > 0.9
    assert (said["when"] == when).mean() > 0.9
    assert np.corrcoef(said["size"], size)[0, 1] > 0.9
    assert {name: p.shape for name, p in fitted.predict_proba(X).items()} == {"mood": (200, 2), "when": (200, 2)}
    assert list(fitted.classes_) == ["mood"]
    assert fitted.score(X, {"mood": mood, "when": when, "size": size}) > 0.85


def test_a_matrix_of_targets_and_a_dict_train_the_same_bits() -> None:
    X, mood = sequences()
    when = np.array([[x[-1, 0] > 0, x[-1, 2] > 0] for x in X])
    head = [{"name": "mood", "kind": "softmax", "size": 2}, {"name": "when", "kind": "sigmoid", "size": 2}]
    matrix = np.concatenate([np.eye(2)[(mood == "up").astype(int)], when], axis=1)
    assert same_weights(small(head=head).fit(X, {"mood": mood, "when": when}), small(head=head).fit(X, matrix))


def test_a_regression_is_scored_by_its_r_squared() -> None:
    X, _ = sequences(200)
    y = np.array([x[-1, 0] - x[-1, 1] for x in X])
    fitted = small(n_hidden=20, epochs=80, activation="tanh", clip_norm=1, learning_rate=0.03, head=LINEAR).fit(X, y)
    said = fitted.predict(X)
    assert said.shape == (200,)
    assert fitted.score(X, y) == pytest.approx(1 - ((y - said) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    assert fitted.score(X, y) > 0.8


def test_what_the_model_says_of_a_sequence_is_what_the_kernels_measured() -> None:
    X, y = sequences()
    for activation in ("tanh", "sigmoid", "relu", "capped-relu"):
        fitted = small(activation=activation, loss="mse", dtype="float64").fit(X, y, X_valid=X, y_valid=y)
        last = fitted.history_[-1]
        errors = fitted.predict_proba(X) - np.eye(2)[(y == "up").astype(int)]
        assert last["val_loss"] == pytest.approx((errors**2).mean(), rel=1e-12)
        assert last["val_error"] == pytest.approx(1 - fitted.score(X, y))


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_the_read_out_is_that_of_the_kernels(readout: str) -> None:
    X, y = sequences()
    fitted = small(readout=readout, dtype="float64").fit(X, y, X_valid=X, y_valid=y)
    errors = fitted.predict_proba(X) - np.eye(2)[(y == "up").astype(int)]
    assert fitted.history_[-1]["val_loss"] == pytest.approx((errors**2).mean(), rel=1e-12)


def test_every_step_has_a_label_and_an_answer() -> None:
    X, _ = sequences()
    y = [["up" if row[0] > 0 else "down" for row in x] for x in X]
    fitted = small(readout="every-step", dtype="float64").fit(X, y, X_valid=X, y_valid=y)
    answers, said = fitted.predict_proba(X), fitted.predict(X)
    assert [len(labels) for labels in said] == [len(x) for x in X]
    right = [np.eye(2)[(np.array(labels) == "up").astype(int)] for labels in y]
    losses = [((a - b) ** 2).mean() for a, b in zip(answers, right, strict=True)]
    assert fitted.history_[-1]["val_loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert fitted.score(X, y) == pytest.approx(np.mean(np.concatenate(said) == np.concatenate(y)))
    with pytest.raises(ValueError, match=r"y\[0\] has 1 labels; allowed: \d, one for each step"):
        fitted.partial_fit(X, [["up"], *y[1:]])


def test_the_label_of_a_sequence_is_learnt_at_every_step_and_said_once() -> None:
    X, y = sequences()
    fitted = small(readout="every-step").fit(X, y)
    assert fitted.predict(X).shape == (len(X),)
    first = forward_of_steps(fitted, X[0])
    assert np.allclose(fitted.predict_proba(X[:1])[0], first.mean(axis=0), atol=1e-12)


def forward_of_steps(fitted: RNNClassifier, x: np.ndarray) -> np.ndarray:
    """What the network answers after each step of one sequence, (T, 2), from the same network read out at the last."""
    last = copy.deepcopy(fitted)
    last.config_ = replace(fitted.config_, readout=Readout.LAST)
    return np.concatenate([last.predict_proba([x[: t + 1]]) for t in range(len(x))])


def test_partial_fit_goes_on_where_fit_ended() -> None:
    X, y = sequences()
    whole = small(epochs=4, learning_rate_decay=0.9, noise=0.1).fit(X, y)
    parts = small(epochs=2, learning_rate_decay=0.9, noise=0.1).fit(X, y)
    parts.partial_fit(X, y).partial_fit(X, y)
    assert same_weights(whole, parts)
    assert without_clock(parts.history_) == without_clock(whole.history_)
    assert parts.n_iter_ == 4


def test_partial_fit_from_nothing_knows_classes_it_has_not_seen() -> None:
    X, y = sequences()
    fitted = small().partial_fit(X, y, classes=["down", "sideways", "up"])
    assert fitted.classes_.tolist() == ["down", "sideways", "up"]
    fitted.partial_fit(X[:2], ["sideways", "up"])
    assert fitted.n_iter_ == 2
    with pytest.raises(ValueError, match="y: row 1: found 'left'; allowed: one of 'down', 'sideways', 'up'"):
        fitted.partial_fit(X[:2], ["up", "left"])


def test_early_stopping_looks_at_the_validation_data() -> None:
    X, y = sequences()
    wrong = np.where(y == "up", "down", "up")  # the better the training, the worse the validation
    stopped = small(early_stopping="minimum", patience=3, epochs=50).fit(X, y, X_valid=X, y_valid=wrong)
    assert stopped.n_iter_ < 10
    held_back = small(early_stopping="minimum", patience=3, valid_fraction=0.3).fit(X, y)
    assert len([point for point in held_back.history_ if "val_loss" in point]) == held_back.n_iter_


def test_a_callback_sees_the_history_and_can_end_the_training() -> None:
    X, y = sequences()
    seen: list[dict[str, float]] = []

    def watch(step: int, metrics: dict[str, float]) -> bool:
        seen.append({"step": step, **metrics})
        return len([point for point in seen if "train_loss" in point]) == 2

    fitted = small(epochs=50).fit(X, y, callbacks=[watch])
    assert seen == fitted.history_
    assert fitted.n_iter_ == 2


def test_an_interrupt_leaves_a_model_that_can_be_used_and_trained_on() -> None:
    X, y = sequences()
    fitted = small(epochs=10_000, log_every=3)

    def interrupt(step: int, metrics: dict[str, float]) -> None:
        if step == 21:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X, y, callbacks=[interrupt])
    assert signal.getsignal(signal.SIGINT) is before
    assert fitted.history_[-1]["step"] == 21
    epochs = fitted.n_iter_
    assert set(fitted.predict(X)) <= {"up", "down"}
    assert fitted.partial_fit(X, y).n_iter_ > epochs


def test_a_training_that_diverges_says_so_and_keeps_the_weights_before() -> None:
    X, y = sequences()
    fitted = small(learning_rate=1e30, head=LINEAR)
    with pytest.raises(ValueError, match="the training diverged: the loss of update "):
        fitted.fit(X, (y == "up").astype(float))
    assert fitted.weights_.keys() == {"W_in", "W", "W_out", "b", "b_out"}


def test_a_failed_fit_leaves_an_earlier_one_as_it_was() -> None:
    X, y = sequences()
    fitted = small().fit(X, y)
    before = fitted.predict(X).tolist()
    with pytest.raises(ValueError, match="found NaN"):
        fitted.fit([*X[:-1], X[-1] * np.nan], y)
    assert fitted.predict(X).tolist() == before


def test_random_state_is_the_seed() -> None:
    X, y = sequences()
    assert same_weights(small(random_state=5).fit(X, y), small(random_state=np.int64(5)).fit(X, y))
    assert not same_weights(small(random_state=5).fit(X, y), small(random_state=6).fit(X, y))
    assert small(random_state=None).fit(X, y).seed_ != small(random_state=None).fit(X, y).seed_
    states = [np.random.RandomState(1), np.random.default_rng(1)]
    for state in states:
        assert not same_weights(small(random_state=state).fit(X, y), small(random_state=state).fit(X, y))


def copies(fitted: Any, folder: Path) -> list[Any]:
    fitted.save(folder / "model.npz")
    with np.load(folder / "model.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
    return [
        copy.deepcopy(fitted),
        copy.copy(fitted),
        pickle.loads(pickle.dumps(fitted)),
        type(fitted).load(folder / "model.npz"),
    ]


def test_copies_and_files_of_a_classifier_say_the_same_and_train_on_the_same(tmp_path: Path) -> None:
    X, mood = sequences()
    size = np.array([x[-1, 1] for x in X])
    head = [{"name": "mood", "kind": "softmax"}, {"name": "size", "kind": "linear"}]
    y = {"mood": mood, "size": size}
    fitted = small(head=head, optimizer="adam", learning_rate=0.01, random_state=9).fit(X, y)
    others = copies(fitted, tmp_path)
    on = copy.deepcopy(fitted).partial_fit(X, y)
    for other in others:
        assert other.get_params() == fitted.get_params()
        assert other.history_ == fitted.history_
        assert other.predict(X)["mood"].tolist() == fitted.predict(X)["mood"].tolist()
        assert other.predict(X)["size"].tolist() == fitted.predict(X)["size"].tolist()
        assert same_weights(other.partial_fit(X, y), on)
    assert not same_weights(fitted, on)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    X, y = sequences()
    small().fit(X, y).save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"model.npz: this is a classifier; allowed: a language-model"):
        RNNLanguageModel.load(tmp_path / "model.npz")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"x.npz: found no parameters and weights; allowed: a checkpoint of the tr"):
        RNNClassifier.load(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match=r"y.npz: this is not a .npz file of plain arrays"):
        RNNClassifier.load(tmp_path / "y.npz")
    with pytest.raises(ValueError, match=r"none.npz: no such file"):
        RNNClassifier.load(tmp_path / "none.npz")


SENTENCES = ["the rain in spain stays mainly in the plain", "the dog sleeps in the rain", "rain, rain"] * 10
WORDS = [sentence.replace(",", " ,").split() for sentence in SENTENCES]


def language_model(**more: Any) -> RNNLanguageModel:
    return RNNLanguageModel(**{"n_hidden": 6, "epochs": 3, "learning_rate": 0.1, "vocabulary_size": 9, **more})


def test_texts_and_words_and_tokens_train_the_same_bits() -> None:
    of_texts, of_words = language_model().fit(SENTENCES), language_model().fit(WORDS)
    number = {word: at for at, word in enumerate(of_texts.vocabulary_)}
    tokens = [np.array([0, *(number.get(word, 2) for word in words), 1]) for words in WORDS]
    packed = (np.concatenate(tokens), np.cumsum([0, *map(len, tokens)]))
    for other in (of_words, language_model().fit(tokens), language_model().fit(packed)):
        assert same_weights(of_texts, other)
    assert of_texts.score(SENTENCES) == of_texts.score(tokens)
    assert of_texts.vocabulary_[:3] == ("<start>", "<end>", "<unknown>")


def test_the_score_is_minus_the_loss_that_the_kernels_measured() -> None:
    fitted = language_model(dtype="float64").fit(SENTENCES, X_valid=SENTENCES[:7])
    assert -fitted.score(SENTENCES[:7]) == pytest.approx(fitted.history_[-1]["val_loss"], rel=1e-12)
    assert fitted.perplexity(SENTENCES[:7]) == pytest.approx(fitted.history_[-1]["val_perplexity"], rel=1e-12)


def test_the_probabilities_of_words_make_up_the_score() -> None:
    fitted = language_model().fit(WORDS)
    words = ["the", "dog", "purrs"]
    number = {word: at for at, word in enumerate(fitted.vocabulary_)}
    nexts = [number.get(word, 2) for word in words] + [1]
    p = fitted.predict_proba([words[:n] for n in range(len(words) + 1)])
    assert np.allclose(p.sum(axis=1), 1)
    assert fitted.score([words]) == pytest.approx(np.mean(np.log(p[np.arange(4), nexts])))
    assert fitted.predict([["the"]])[0] == fitted.vocabulary_[p[1].argmax()]


def test_a_language_model_trains_on_and_keeps_its_words(tmp_path: Path) -> None:
    fitted = language_model(epochs=1).fit(SENTENCES)
    words = fitted.vocabulary_
    on = copy.deepcopy(fitted).partial_fit(SENTENCES).partial_fit(SENTENCES)
    assert same_weights(on, language_model().fit(SENTENCES))
    assert on.partial_fit(["other words here"]).vocabulary_ == words
    for other in copies(fitted, tmp_path):
        assert other.vocabulary_ == words
        assert other.score(SENTENCES) == fitted.score(SENTENCES)


BAD_SENTENCES: list[tuple[Any, str]] = [
    ("a text", "X is str; allowed: a list of sentences"),
    ([], "X is empty; allowed: at least one sentence"),
    (["", "  "], "X: there is no word in it; allowed: at least one sentence"),
    ([["a"], "b"], "allowed: a text, a list of words, or whole numbers in one dimension"),
    ([np.array([0.5, 1])], "X[0] is of shape (2,) and type float64; allowed: a text, a list of words, or whole"),
    ([np.array([0, 1]), np.array([0, 9, 1])], "X[1], token 1: found 9; allowed: from 0 to 8"),
    ([np.array([0])], "X[0] has 1 tokens; allowed: at least 2"),
]


@pytest.mark.parametrize(("X", "message"), BAD_SENTENCES)
def test_bad_sentences_are_refused_with_the_place(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        language_model().fit(X)


@pytest.mark.parametrize("call", ["predict", "predict_proba", "perplexity", "score"])
def test_what_is_not_fitted_says_so(call: str) -> None:
    with pytest.raises(ValueError, match="this RNNLanguageModel is not fitted yet: call fit first") as raised:
        getattr(RNNLanguageModel(), call)(["a"])
    assert isinstance(raised.value, AttributeError)


def test_the_best_weights_are_those_of_the_least_validation_loss() -> None:
    X, y = sequences()
    wrong = np.where(y == "up", "down", "up")  # the better the training, the worse the validation
    fitted = small(epochs=8, dtype="float64").fit(X, y, X_valid=X, y_valid=wrong)
    losses = [point["val_loss"] for point in fitted.history_ if "val_loss" in point]
    errors = fitted.best().predict_proba(X) - np.eye(2)[(wrong == "up").astype(int)]
    assert (errors**2).mean() == pytest.approx(min(losses), rel=1e-12)
    assert min(losses) < losses[-1]
    with pytest.raises(ValueError, match="there are no best weights"):
        small().fit(X, y).best()


def test_sampled_sentences_begin_as_told_and_repeat_with_their_seed() -> None:
    fitted = language_model(epochs=20).fit(SENTENCES)
    drawn = fitted.sample(5, prefix="the", max_words=6, random_state=1)
    assert drawn == fitted.sample(5, prefix=["the"], max_words=6, random_state=1)
    assert drawn != fitted.sample(5, prefix="the", max_words=6, random_state=2)
    assert all(words[0] == "the" and len(words) <= 6 for words in drawn)
    assert {word for words in drawn for word in words} <= set(fitted.vocabulary_)
    (likeliest,) = fitted.sample(temperature=0, prefix="the")
    assert likeliest[1] == fitted.predict(["the"])[0]
