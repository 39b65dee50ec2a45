"""scikit-learn takes the estimators for its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer import RNNClassifier, RNNLanguageModel

pytest.importorskip("sklearn")

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted


class OneStep(RNNClassifier):
    """Reads each row of a table as a sequence of one step, so that scikit-learn's checks have something to feed."""

    def _packed(self, X: Any, name: str) -> Any:
        if hasattr(X, "toarray"):
            return super()._packed(X, name)
        table = np.asarray(X)
        return super()._packed(table[:, None, :] if table.ndim == 2 else table, name)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


LINEAR = [{"name": "y", "kind": "linear"}]
# What is not said in the words that scikit-learn looks for.
OTHER_WORDS = {
    "check_estimators_empty_data_messages": "the message names the shape (sequences, steps, features)",
    "check_fit2d_predict1d": "the message does not propose to reshape a table",
    "check_supervised_y_2d": "a column of labels is taken without a warning",
}


def checks() -> list[Any]:
    classifier = OneStep(n_hidden=16, epochs=60, batch_size=5, learning_rate=0.1)
    regressor = OneStep(n_hidden=16, epochs=60, batch_size=5, learning_rate=0.02, clip_norm=1.0, head=LINEAR)
    found = []
    for label, estimator in (("classifier", classifier), ("regressor", regressor)):
        for one, check in estimator_checks_generator(estimator):
            reason = OTHER_WORDS.get(check.func.__name__)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            found.append(pytest.param(one, check, marks=marks, id=f"{label}-{check.func.__name__}"))
    return found


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_a_check_of_scikit_learn_passes(estimator: Any, check: Any) -> None:
    check(estimator)


def sequences(n: int = 90) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences of several lengths whose label is the sign of the last value of the first feature."""
    draw = np.random.default_rng(3)
    X = [draw.normal(size=(length, 2)) for length in draw.integers(1, 6, n)]
    return X, np.array(["up" if x[-1, 0] > 0 else "down" for x in X])


MODEL = RNNClassifier(n_hidden=6, epochs=15, batch_size=5, learning_rate=0.1)


def test_a_clone_has_the_parameters_and_nothing_that_was_learnt() -> None:
    X, y = sequences()
    fitted = clone(MODEL).fit(X, y)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    check_is_fitted(fitted)


def test_lists_of_sequences_go_through_grid_search_and_cross_validation() -> None:
    X, y = sequences()
    search = GridSearchCV(MODEL, {"n_hidden": np.array([2, 6]), "learning_rate": [1e-9, 0.1]}, cv=3).fit(X, y)
    assert search.best_params_["learning_rate"] == 0.1
    assert search.best_score_ > 0.8
    assert set(search.predict(X)) == {"up", "down"}
    assert cross_val_score(MODEL, X, y, cv=3).min() > 0.7


def test_language_models_go_through_grid_search() -> None:
    sentences = ["a b c d", "b c d a"] * 12
    model = RNNLanguageModel(n_hidden=4, epochs=5, learning_rate=0.1)
    search = GridSearchCV(model, {"learning_rate": [1e-9, 0.1]}, cv=2).fit(sentences)
    assert search.best_params_ == {"learning_rate": 0.1}


def test_the_kind_of_the_heads_says_whether_it_classifies() -> None:
    assert is_classifier(RNNClassifier())
    assert is_regressor(RNNClassifier(head=LINEAR))
    assert not is_classifier(RNNLanguageModel())
    assert hasattr(RNNClassifier(), "predict_proba")
    assert not hasattr(RNNClassifier(head=LINEAR), "predict_proba")
