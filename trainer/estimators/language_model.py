"""RNNLanguageModel: which word comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Named
from trainer.config import LanguageModelConfig, ModelKind
from trainer.data.tokenizers import Cut, tokenizer
from trainer.data.vocabulary import PackedText, Vocabulary
from trainer.errors import UserMistake
from trainer.estimators import files, forward, parameters
from trainer.estimators import sentences as text
from trainer.estimators.base import Estimator
from trainer.estimators.errors import as_value_errors
from trainer.order import split


class RNNLanguageModel(Estimator):
    """A recurrent network that predicts the next word: s_t = tanh(U[x_t] + s_{t-1} W), p = softmax(s_t V).

    >>> from trainer import RNNLanguageModel
    >>> sentences = ["the rain in spain stays mainly in the plain", "the dog sleeps in the rain"] * 20
    >>> model = RNNLanguageModel(n_hidden=16, epochs=30, learning_rate=0.1).fit(sentences)
    >>> bool(model.perplexity(sentences) < 3)
    True
    >>> model.predict(["the rain in"]).tolist()
    ['spain']

    X: a list of texts (cut into words in lower case, numbers and punctuation marks), of lists of words, or of arrays
    of tokens; or a tuple (tokens, offsets). Tokens are whole numbers below vocabulary_size; 0 is the start of a
    sentence, 1 its end, 2 any word that is not kept, and each array of them begins with 0 and ends with 1.

    Parameters (see also `python -P -m trainer --help`):

        {parameters}
        random_state: seed of the initial weights and the order of the data (None: another each time)

    Fitted: vocabulary_ (the words by number), weights_, history_ (what a run of the programme would log), n_iter_
    (epochs), seed_. The same sentences and parameters give the bits of such a run.
    """

    _kind = LanguageModelConfig
    _model = ModelKind.LANGUAGE_MODEL

    config_: LanguageModelConfig
    vocabulary_: tuple[str, ...]

    def fit(self, X: Any, y: Any = None, *, X_valid: Any = None, callbacks: Iterable[Any] = ()) -> Self:
        """Train from the beginning. Raises ValueError for parameters or data that are not allowed.

        X_valid: to validate on after each epoch; without it a share valid_fraction of X is held back. Words are
        counted in what is trained on. callbacks: called with (step, metrics) at each point of history_; returning
        True ends the training. After Ctrl-C the estimator is fitted by what was trained until then, and
        KeyboardInterrupt is raised.
        """
        del y
        seed = parameters.seed_of(self.random_state)
        config = cast(LanguageModelConfig, self._config(seed, has_valid=X_valid is not None))
        items, held_back = self._sentences(X, "X", config), []
        if X_valid is not None:
            held_back = self._sentences(X_valid, "X_valid", config)
        else:
            kept, chosen = split(len(items), config.data.valid_fraction, config.data.split_seed)
            items, held_back = [items[i] for i in kept], [items[i] for i in chosen]
        vocabulary = text.vocabulary_of(items, config.vocabulary_size)
        return self._run(config, vocabulary, items, held_back, False, callbacks)

    def partial_fit(self, X: Any, y: Any = None, *, X_valid: Any = None, callbacks: Iterable[Any] = ()) -> Self:
        """One epoch more over these sentences, from where the training stands. Nothing of X is held back.

        The vocabulary is that of the first sentences that the estimator has seen.
        """
        del y
        go_on = self.__sklearn_is_fitted__()
        seed = self.seed_ if go_on else parameters.seed_of(self.random_state)
        config = cast(LanguageModelConfig, self._config(seed, has_valid=False, early_stopping="none", epochs=1))
        items = self._sentences(X, "X", config)
        held_back = [] if X_valid is None else self._sentences(X_valid, "X_valid", config)
        vocabulary = self._vocabulary if go_on else text.vocabulary_of(items, config.vocabulary_size)
        return self._run(config, vocabulary, items, held_back, go_on, callbacks)

    def _sentences(self, X: Any, name: str, config: LanguageModelConfig) -> Any:
        return text.sentences(X, name, config.data.max_words, self._cut(config))

    def _cut(self, config: LanguageModelConfig) -> Cut:
        with as_value_errors():
            return tokenizer(config.data.tokenizer)

    def _run(
        self, config: LanguageModelConfig, vocabulary: Vocabulary, items: Any, held_back: Any, go_on: bool,
        callbacks: Iterable[Any],
    ) -> Self:  # fmt: skip
        train, valid = text.packed(items, vocabulary, "X"), text.packed(held_back, vocabulary, "X_valid")

        def load() -> Any:
            from trainer.models.language_model import LanguageModel

            with as_value_errors():
                model = LanguageModel(config, vocabulary, train, valid)
            self.vocabulary_ = vocabulary.words
            return model

        return self._train(config, load, go_on, callbacks)

    @property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(words=self.vocabulary_)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the loss per word, in nats: the mean of log p of every word and sentence end. Greater is better."""
        del y
        self._check_fitted()
        packed = text.packed(self._sentences(X, "X", self.config_), self._vocabulary, "X")
        return -float(forward.word_losses(packed.tokens, packed.offsets, self.weights_).mean())

    def perplexity(self, X: Any) -> float:
        """exp of the loss per word; infinite where that is too large for a float."""
        with np.errstate(over="ignore"):
            return float(np.exp(-self.score(X)))

    def predict_proba(self, X: Any) -> Doubles:
        """The probability of every word to come next after the beginning of a sentence: (n, n_words), as vocabulary_.

        X: beginnings in the forms of fit, an empty one too; tokens begin with 0 and have no sentence end.
        """
        self._check_fitted()
        packed: PackedText = text.packed_beginnings(
            text.beginnings(X, "X", self._cut(self.config_)), self._vocabulary, "X"
        )
        states = forward.language_model_states(packed.tokens, packed.offsets, self.weights_)
        return forward.next_word_probabilities(states[packed.offsets[1:] - 1], self.weights_)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable next word after each beginning of a sentence, or `<end>`: (n)."""
        chosen = self.predict_proba(X).argmax(axis=1)
        words: NDArray[Any] = np.array(self.vocabulary_)[chosen]
        return words

    def sample(
        self, n: int = 1, *, prefix: str | Sequence[str] = (), temperature: float = 1.0, max_words: int = 50,
        random_state: Any = 0,
    ) -> list[list[str]]:  # fmt: skip
        """n sentences of at most max_words words, drawn word by word, each beginning with `prefix`.

        A temperature below 1 prefers likely words; 0 always takes the likeliest.
        """
        from trainer.sampling import sample

        self._check_fitted()
        (beginning,) = text.beginnings(
            [prefix if isinstance(prefix, str) else list(prefix)], "prefix", self._cut(self.config_)
        )
        seed = parameters.seed_of(random_state)
        return sample(self.weights_, self._vocabulary, n, seed, temperature, beginning, max_words)

    def _arrays(self) -> Named:
        return {}  # the checkpoint has the words

    def _restore(self, path: files.FilePath, arrays: Named) -> None:
        config = cast(LanguageModelConfig, self._config(self.seed_, has_valid=True))
        words, n_words = arrays["words"], files.weights_in(arrays)["U"].shape[0]
        if len(words) != n_words:
            raise UserMistake(f"{path}: the vocabulary has {len(words)} words; allowed: {n_words}, as the weights have")
        self.vocabulary_ = tuple(words.tolist())
        self._keep(arrays, (), config)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=None,
            classifier_tags=None,
            regressor_tags=None,
            input_tags=InputTags(two_d_array=False, string=True),
        )
