"""RNNClassifier: labels for sequences of feature vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints, Named
from trainer.config import ClassifierConfig, HeadKind, ModelKind, Readout
from trainer.data.sequences import Sequences
from trainer.errors import UserMistake
from trainer.estimators import files, forward, heads, parameters
from trainer.estimators.base import Estimator
from trainer.estimators.errors import as_value_errors
from trainer.estimators.scores import score_of
from trainer.estimators.sequences import Packed, in_precision, packed
from trainer.order import split

_LABELS_STEPS = "labels_steps"


class RNNClassifier(Estimator):
    """An Elman network that reads sequences: h_t = f(x_t W_in + h_{t-1} W + b), read out at the last step.

    >>> import numpy as np
    >>> from trainer import RNNClassifier
    >>> draw = np.random.default_rng(0)
    >>> X = [draw.normal(size=(length, 3)) for length in draw.integers(2, 9, 200)]
    >>> y = ["rising" if x[-1, 0] > 0 else "falling" for x in X]
    >>> model = RNNClassifier(n_hidden=16, epochs=30, learning_rate=0.1, batch_size=10).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> model.predict_proba(X[:4]).shape
    (4, 2)

    X: a list of arrays (T_i, n_in), an array (n, T, n_in), or a tuple (values, offsets) in which sequence i is the
    rows offsets[i] … offsets[i+1]-1 of values. y: a label of any kind for each sequence. Other outputs are declared
    as in the table [[head]] of an experiment file, here with sizes only where the labels do not show them:

        RNNClassifier(head=[{"name": "y", "kind": "linear"}])                    y: numbers (n) or (n, size)
        RNNClassifier(head=[{"name": "when", "kind": "sigmoid", "size": 15}])    y: 0 or 1, (n, 15)
        RNNClassifier(head=[{"name": "mood", "kind": "softmax"},
                            {"name": "when", "kind": "sigmoid"}])                y: a dict with a key for each head

    or, for several heads, y is a matrix (n, n_out) of what all outputs should be. With several heads predict and
    predict_proba return a dict. With readout="every-step" y may be a list with the labels of all steps of each
    sequence, or those of all sequences one after another; predictions then are lists with an array for each sequence.
    With one label for each sequence, which all its steps learn, the answers of its steps are averaged.

    Parameters (see also `python -P -m trainer --help`):

        {parameters}
        head: the outputs (a list of tables with name, kind and size; None: one softmax over the labels)
        random_state: seed of the initial weights, the order of the data and the noise (None: another each time)

    Fitted: classes_ (of one softmax head; a dict for several), n_features_in_, weights_, history_ (what a run of the
    programme would log), n_iter_ (epochs), seed_. The same data and parameters give the bits of such a run.
    """

    _kind = ClassifierConfig
    _model = ModelKind.CLASSIFIER

    head: Any
    readout: Any

    config_: ClassifierConfig
    heads_: list[heads.HeadLabels]
    n_features_in_: int
    labels_steps_: bool  # whether each step has a label

    def fit(
        self, X: Any, y: Any = None, *, X_valid: Any = None, y_valid: Any = None, callbacks: Iterable[Any] = ()
    ) -> Self:
        """Train from the beginning. Raises ValueError for parameters or data that are not allowed.

        X_valid, y_valid: to validate on after each epoch; without them a share valid_fraction of X is held back.
        callbacks: called with (step, metrics) at each point of history_; returning True ends the training.
        After Ctrl-C the estimator is fitted by what was trained until then, and KeyboardInterrupt is raised.
        """
        values = self._packed(X, "X")
        y = self._flat(y, values, "y")
        config, labels = self._declare(y, None, has_valid=X_valid is not None)
        train = self._sequences(values, y, labels, config, ("X", "y"))
        if X_valid is not None:
            valid = self._valid(X_valid, y_valid, labels, config, train)
        else:
            kept, held_back = split(train.n_sequences, config.data.valid_fraction, config.data.split_seed)
            train, valid = train.take(kept), train.take(held_back)
        return self._run(config, labels, train, valid, False, callbacks)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, *, X_valid: Any = None, y_valid: Any = None,
        callbacks: Iterable[Any] = (),
    ) -> Self:  # fmt: skip
        """One epoch more over this data, from where the training stands. Nothing of X is held back.

        classes: all labels there will be, where the first data do not have them all (one softmax head).
        """
        go_on = self.__sklearn_is_fitted__()
        values = self._packed(X, "X")
        y = self._flat(y, values, "y")
        if go_on:
            self._check_width(values[0], "X")
            tables = heads.to_tables(self.heads_)
            found = self._config(self.seed_, has_valid=False, head=tables, early_stopping="none", epochs=1)
            config, labels = cast(ClassifierConfig, found), self.heads_
        else:
            config, labels = self._declare(y, classes, has_valid=False, early_stopping="none", epochs=1)
        train = self._sequences(values, y, labels, config, ("X", "y"))
        valid = train.take(np.zeros(0, dtype=np.int64))
        if X_valid is not None:
            valid = self._valid(X_valid, y_valid, labels, config, train)
        return self._run(config, labels, train, valid, go_on, callbacks)

    def _packed(self, X: Any, name: str) -> Packed:
        return packed(X, name)

    def _flat(self, y: Any, values: Packed, name: str) -> Any:
        if parameters.plain(self.readout) != Readout.EVERY_STEP.value or y is None:
            return y
        return heads.every_step(y, values[1], name)

    def _declare(
        self, y: Any, classes: Any, *, has_valid: bool, **changed: Any
    ) -> tuple[ClassifierConfig, list[heads.HeadLabels]]:
        tables = heads.declared(self.head, y, classes)
        found = self._config(parameters.seed_of(self.random_state), has_valid=has_valid, head=tables, **changed)
        config = cast(ClassifierConfig, found)
        return config, heads.labelled(config.head, y, classes)

    def _sequences(
        self, values: Packed, y: Any, labels: list[heads.HeadLabels], config: ClassifierConfig, names: tuple[str, str]
    ) -> Sequences:
        rows, offsets = values
        targets = heads.targets(labels, y, names[1])
        allowed = {len(offsets) - 1} | ({len(rows)} if config.readout is Readout.EVERY_STEP else set())
        if len(targets) not in allowed:
            n = len(offsets) - 1
            raise ValueError(f"{names[1]} has {len(targets)} labels; allowed: {n}, the sequences of {names[0]}")
        numbers = in_precision(rows, offsets, config.dtype.value, names[0])
        return Sequences(values=cast(Doubles, numbers), offsets=offsets, labels=targets, name=names[0])

    def _valid(
        self, X: Any, y: Any, labels: list[heads.HeadLabels], config: ClassifierConfig, train: Sequences
    ) -> Sequences:
        values = self._packed(X, "X_valid")
        if values[0].shape[1] != train.values.shape[1]:
            found = f"X_valid has {values[0].shape[1]} features"
            raise ValueError(f"{found}; allowed: {train.values.shape[1]}, as in X")
        y = self._flat(y, values, "y_valid")
        return self._sequences(values, y, labels, config, ("X_valid", "y_valid"))

    def _run(
        self, config: ClassifierConfig, labels: list[heads.HeadLabels], train: Sequences, valid: Sequences,
        go_on: bool, callbacks: Iterable[Any],
    ) -> Self:  # fmt: skip
        def load() -> Any:
            from trainer.models.classifier import Classifier

            with as_value_errors():
                model = Classifier(config, config.head, train, valid)
            self._know(labels, train.values.shape[1], len(train.labels) != train.n_sequences)
            return model

        return self._train(config, load, go_on, callbacks)

    def _know(self, labels: list[heads.HeadLabels], n_in: int, labels_steps: bool) -> None:
        self.heads_, self.n_features_in_, self.labels_steps_ = labels, n_in, labels_steps
        self.__dict__.pop("classes_", None)
        named = {item.head.name: item.classes for item in labels if item.classes is not None}
        if named:
            self.classes_ = named if len(labels) > 1 else next(iter(named.values()))

    def predict(self, X: Any) -> Any:
        """The label of each sequence (n); of sigmoid outputs 0 or 1 (n, size); of linear ones the number."""
        found, offsets = self._answers(X)
        return self._by_head({item.head.name: item.decisions(a) for item, a in found}, offsets)

    @property
    def predict_proba(self) -> Callable[[Any], Any]:
        """predict_proba(X): the probability of each class (n, n_classes), in the order of classes_; of sigmoid outputs
        that of a yes. An estimator whose heads are all linear does not have it.
        """
        if self._is_regressor:
            raise AttributeError("a linear head has no probabilities; allowed: predict")
        return self._probabilities

    def _probabilities(self, X: Any) -> Any:
        found, offsets = self._answers(X)
        return self._by_head({i.head.name: a for i, a in found if i.head.kind is not HeadKind.LINEAR}, offsets)

    @property
    def _is_regressor(self) -> bool:
        tables = parameters.plain(self.head) or [{}]
        return all(isinstance(table, dict) and table.get("kind") == HeadKind.LINEAR.value for table in tables)

    def score(self, X: Any, y: Any) -> float:
        """The share of right decisions; of a linear head R^2; of several heads the mean of their scores."""
        found, offsets = self._answers(X)
        targets = heads.targets(self.heads_, heads.every_step(y, offsets, "y") if self.labels_steps_ else y, "y")
        if len(targets) != len(found[0][1]):
            raise ValueError(f"y has {len(targets)} labels; allowed: {len(found[0][1])}, as many as predictions")
        return score_of([(item.head, a) for item, a in found], targets)

    def _answers(self, X: Any) -> tuple[list[tuple[heads.HeadLabels, Doubles]], Ints]:
        self._check_fitted()
        values, offsets = self._packed(X, "X")
        self._check_width(values, "X")
        rows: Floats = in_precision(values, offsets, "float64", "X")
        z = forward.classifier_outputs(rows, offsets, self.weights_, self.config_.activation, self.config_.readout)
        answers = forward.answers(z, [item.head for item in self.heads_])
        if self.config_.readout is Readout.EVERY_STEP and not self.labels_steps_:
            answers = [forward.mean_of_steps(of_steps, offsets) for of_steps in answers]
        return list(zip(self.heads_, answers, strict=True)), offsets

    def _by_head(self, found: dict[str, NDArray[Any]], offsets: Ints) -> Any:
        cut: dict[str, Any] = dict(found)
        if self.labels_steps_:
            cut = {name: np.split(rows, offsets[1:-1]) for name, rows in found.items()}
        return cut if len(self.heads_) > 1 else next(iter(cut.values()))

    def _check_width(self, values: NDArray[Any], name: str) -> None:
        if values.shape[1] != self.n_features_in_:
            expected = f"{type(self).__name__} is expecting {self.n_features_in_} features as input"
            raise ValueError(f"{name} has {values.shape[1]} features, but {expected}")

    def _arrays(self) -> Named:
        classes = {f"classes_{at}": item.classes for at, item in enumerate(self.heads_)}
        return {name: found for name, found in classes.items() if found is not None} | {
            _LABELS_STEPS: np.array(self.labels_steps_)
        }

    def _restore(self, path: files.FilePath, arrays: Named) -> None:
        n_in, n_out = files.weights_in(arrays)["W_in"].shape[0], files.weights_in(arrays)["W_out"].shape[1]
        tables = parameters.without_columns(files.from_bytes(arrays["heads"]))
        config = cast(ClassifierConfig, self._config(self.seed_, has_valid=True, head=tables))
        if sum(head.size for head in config.head) != n_out:
            raise UserMistake(f"{path}: the heads have other sizes than the {n_out} outputs of the weights")
        labels = [
            heads.HeadLabels(head=head, classes=_classes_in(arrays, at, head)) for at, head in enumerate(config.head)
        ]
        self._know(labels, n_in, bool(arrays.get(_LABELS_STEPS, False)))
        self._keep(arrays, [_LABELS_STEPS, *(name for name in arrays if name.startswith("classes_"))], config)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        is_regressor, n_heads = self._is_regressor, len(self.head or [0])
        return Tags(
            estimator_type="regressor" if is_regressor else "classifier",
            target_tags=TargetTags(required=True, single_output=n_heads == 1, multi_output=n_heads > 1),
            transformer_tags=None,
            classifier_tags=None if is_regressor else ClassifierTags(),
            regressor_tags=RegressorTags() if is_regressor else None,
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )


def _classes_in(arrays: Named, at: int, head: Any) -> Any:
    if head.kind is not HeadKind.SOFTMAX:
        return None
    named = getattr(head, "classes", None)
    return arrays.get(f"classes_{at}", np.arange(head.size) if named is None else np.array(named))
