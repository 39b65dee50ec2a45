"""Every parameter of the trainer: its meaning, its default and what it may be. Pure, and free of NumPy."""

# ruff: noqa: RUF009  (every default here is a dataclasses.field with its rule and meaning)
from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from trainer.rules import (
    Rule,
    character,
    choice,
    columns,
    flag,
    names,
    optional,
    real,
    rising,
    several,
    span,
    text,
    whole,
)


class ModelKind(Enum):
    LANGUAGE_MODEL = "language-model"
    CLASSIFIER = "classifier"


class Precision(Enum):
    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Activation(Enum):
    TANH = "tanh"
    SIGMOID = "sigmoid"
    RELU = "relu"
    CAPPED_RELU = "capped-relu"


class LossKind(Enum):
    MSE = "mse"
    CROSS_ENTROPY = "cross-entropy"


class HeadKind(Enum):
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LINEAR = "linear"


class StoppingRule(Enum):
    NONE = "none"
    MOVING_AVERAGE = "moving-average"
    MINIMUM = "minimum"


class OptimizerKind(Enum):
    SGD = "sgd"
    ADAGRAD = "adagrad"
    RMSPROP = "rmsprop"
    ADAM = "adam"
    CG = "cg"
    BFGS = "bfgs"
    L_BFGS = "l-bfgs"

    @property
    def is_full_batch(self) -> bool:
        """Whether a step looks at all training data: these come from scipy.optimize."""
        return self in (OptimizerKind.CG, OptimizerKind.BFGS, OptimizerKind.L_BFGS)


class Readout(Enum):
    LAST = "last"
    MEAN = "mean"
    EVERY_STEP = "every-step"


class Truncation(Enum):
    TUTORIAL = "tutorial"
    CHUNKED = "chunked"


class Parallel(Enum):
    SYNCHRONOUS = "synchronous"
    SERVER = "server"


class Watch(Enum):
    LAYERS = "layers"
    CONFUSION = "confusion"
    SAMPLES = "samples"
    HEADS = "heads"
    FEATURES = "features"


class Corpus(Enum):
    PYDOC = "pydoc"


class Tokenizer(Enum):
    SIMPLE = "simple"
    TREEBANK = "treebank"
    TWEET = "tweet"


def _parameter(default: Any, rule: Rule, doc: str, **more: Any) -> Any:
    return field(default=default, metadata={"rule": rule, "doc": doc, **more})


def _required(rule: Rule, doc: str) -> Any:
    return field(metadata={"rule": rule, "doc": doc})


# A parameter with this mark changes when something is written, never what is computed.
PACING = {"pacing": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """What both kinds of table [data] understand: which part of which file, and where its words are."""

    valid: str | None = _parameter(None, optional(text()), "a file of the same kind to validate on", file=True)
    valid_fraction: float = _parameter(0.1, real(least=0, below=1), "held back for validation when nothing else is")
    split_seed: int = _parameter(0, whole(0, 2**63 - 1), "which are held back: of its own, so all seeds share them")
    train_slice: tuple[int, int] | None = _parameter(None, optional(span()), "of the file train: which are trained on")
    valid_slice: tuple[int, int] | None = _parameter(None, optional(span()), "of the file train: which are held back")
    allow_overlap: bool = _parameter(False, flag(), "train_slice and valid_slice may have sequences in common")
    text_column: str = _parameter("text", text(), ".csv, .tsv: the column of words")
    separator: str | None = _parameter(
        None, optional(character()), "between cells; null: a comma in .csv, a tab in .tsv"
    )
    quoted: bool | None = _parameter(None, optional(flag()), 'cells may stand in "…"; null: yes in .csv, no in .tsv')
    tokenizer: Tokenizer = _parameter(Tokenizer.SIMPLE, choice(Tokenizer), "what cuts a text into words")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextData(DataTable):
    """Where the sentences of a language model come from: table [data]."""

    source: Corpus | None = _parameter(None, optional(choice(Corpus)), "a built-in text: Python's own documentation")
    train: str | None = _parameter(
        None, optional(text()), "a text file, one sentence a line; or .csv, .tsv, or .npz (tokens, offsets)", file=True
    )
    max_sentences: int | None = _parameter(None, optional(whole(1)), "take only the first so many sentences")
    max_words: int = _parameter(100, whole(1), "a longer sentence is cut into pieces of this many words")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceData(DataTable):
    """Where the sequences of a classifier come from: table [data]."""

    train: str | None = _parameter(None, text(), "a .npz file (values, offsets, labels), or .csv, or .tsv", file=True)
    max_sequences: int | None = _parameter(None, optional(whole(1)), "take only the first so many sequences")
    number_column: str = _parameter("mean_sentiment", text(), "the column of a head that names no columns")
    thresholds: tuple[float, ...] = _parameter((0.0,), rising(), "of that head: k thresholds make k+1 classes")
    vectors: str | None = _parameter(
        None, optional(text()), 'word vectors: a word2vec or GloVe file; "word2vec": trained; null: hashed', file=True
    )
    vectors_seed: int = _parameter(0, whole(0, 2**32 - 1), 'of vectors = "word2vec"')
    vectors_epochs: int = _parameter(5, whole(1), 'vectors = "word2vec": passes over the training texts')


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One group of outputs that are read together: table [[head]]."""

    name: str = _required(text(), "what its metrics are called")
    kind: HeadKind = _required(choice(HeadKind), "softmax: one of size classes; sigmoid: size yes/no answers; linear")
    size: int = _required(whole(1), "how many outputs")
    columns: tuple[str, ...] | None = _parameter(
        None, optional(columns()), ".csv, .tsv: one an output, or one of numbers or class names"
    )
    classes: tuple[str, ...] | None = _parameter(
        None, optional(names(2)), "softmax: the names of its classes; null: those found in the training part, sorted"
    )
    thresholds: tuple[float, ...] | None = _parameter(
        None, optional(rising()), "softmax: k thresholds cut the numbers of one column into k+1 classes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What both models understand."""

    model: ModelKind = _required(choice(ModelKind), "what is trained")
    n_hidden: int = _parameter(50, whole(1), "recurrent units")
    dtype: Precision = _parameter(Precision.FLOAT32, choice(Precision), "precision of weights and arithmetic")
    seed: int = _parameter(0, whole(0, 2**63 - 1), "of the initial weights, the order of the data and the noise")
    epochs: int = _parameter(10, whole(1), "passes over the training data")
    batch_size: int = _parameter(1, whole(1), "sequences per update; the gradient is their mean")
    optimizer: OptimizerKind = _parameter(OptimizerKind.SGD, choice(OptimizerKind), "rule of the updates")
    learning_rate: float = _parameter(0.01, real(above=0), "of the first epoch")
    learning_rate_decay: float = _parameter(1.0, real(above=0, most=1), "factor of the learning rate each epoch")
    halve_on_rise: bool = _parameter(False, flag(), "halve the learning rate when the training loss rose over an epoch")
    initial_momentum: float = _parameter(0.0, real(least=0, below=1), "classical momentum of the first epochs")
    final_momentum: float = _parameter(0.0, real(least=0, below=1), "momentum from epoch momentum_switchover on")
    momentum_switchover: int = _parameter(5, whole(0), "epochs with initial_momentum")
    nesterov: bool = _parameter(False, flag(), "sgd: Nesterov's momentum instead of the classical one")
    beta1: float = _parameter(0.9, real(least=0, below=1), "adam: decay of the mean of gradients")
    beta2: float = _parameter(0.999, real(least=0, below=1), "adam: decay of the mean of squared gradients")
    rho: float = _parameter(0.9, real(least=0, below=1), "rmsprop: decay of the mean of squared gradients")
    epsilon: float = _parameter(1e-8, real(above=0), "adagrad, rmsprop, adam: added to the root that divides")
    iterations: int = _parameter(10, whole(1), "cg, bfgs, l-bfgs: iterations an epoch")
    clip_norm: float = _parameter(0.0, real(least=0), "a longer gradient is scaled down to this length; 0: never")
    early_stopping: StoppingRule = _parameter(StoppingRule.NONE, choice(StoppingRule), "on the validation loss")
    patience: int = _parameter(10, whole(1), "early stopping: N of eq. 4.1 and 4.4, in epochs")
    alpha: float = _parameter(0.05, real(least=0, below=1), "early stopping: the factor of eq. 4.4")
    threads: int = _parameter(
        1, whole(1, 256), "threads that compute; the result depends on it only with parallel = server", **PACING
    )
    parallel: Parallel = _parameter(
        Parallel.SYNCHRONOUS,
        choice(Parallel),
        "server: threads update asynchronously, each from weights of its own, and runs and resumes differ in bits",
    )
    watch: tuple[Watch, ...] = _parameter((), several(Watch), "what more to record at the end of an epoch")
    watch_every: int = _parameter(0, whole(0), "updates between two points of gradient and update norms; 0: never")
    log_every: int = _parameter(0, whole(0), "updates between two points of `loss`; 0: 50 an epoch, 1000 a run")
    checkpoint_every: int = _parameter(0, whole(0), "updates between two checkpoints; 0: by time only", **PACING)
    checkpoint_every_s: float = _parameter(15.0, real(least=0), "seconds between two checkpoints; 0: never", **PACING)

    @property
    def threads_of_a_gradient(self) -> int:
        """How many threads share the work of one gradient: none where every thread computes gradients of its own."""
        return 1 if self.parallel is Parallel.SERVER else self.threads

    @property
    def has_momentum(self) -> bool:
        return self.initial_momentum > 0 or self.final_momentum > 0

    @property
    def memory_slots(self) -> int:
        """How many numbers the optimizer remembers for each weight."""
        if self.optimizer is OptimizerKind.SGD:
            return int(self.has_momentum)
        return {OptimizerKind.ADAGRAD: 1, OptimizerKind.RMSPROP: 1, OptimizerKind.ADAM: 2}.get(self.optimizer, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelConfig(Common):
    """Next-word model: s_t = tanh(U[x_t] + s_{t-1} W), p = softmax(s_t V)."""

    n_hidden: int = _parameter(100, whole(1), "recurrent units")
    vocabulary_size: int = _parameter(8000, whole(4), "words kept, with sentence start, sentence end and unknown word")
    bptt: int = _parameter(4, whole(0), "steps each error is carried back through time")
    truncation: Truncation = _parameter(
        Truncation.TUTORIAL, choice(Truncation), "tutorial: every error goes bptt steps back; chunked: within its chunk"
    )
    learning_rate: float = _parameter(0.005, real(above=0), "of the first epoch")
    data: TextData = field(default=TextData(), metadata={"doc": "table"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig(Common):
    """Sequence classifier: h_t = f(x_t W_in + h_{t-1} W + b) + noise, read out at the last step."""

    n_in: int | None = _parameter(None, optional(whole(1)), "features per step; null: as the data has, 20 for words")
    activation: Activation = _parameter(Activation.RELU, choice(Activation), "f")
    readout: Readout = _parameter(Readout.LAST, choice(Readout), "which hidden states are read out")
    loss: LossKind = _parameter(LossKind.MSE, choice(LossKind), "between probabilities and labels")
    l1: float = _parameter(0.0, real(least=0), "weight of the sum of |w| over W_in, W and W_out (eq. 4.2)")
    l2: float = _parameter(0.0, real(least=0), "weight of the sum of w^2 over the same")
    noise: float = _parameter(0.0, real(least=0), "standard deviation of the noise on hidden activations (eq. 4.3)")
    batch_size: int = _parameter(100, whole(1), "sequences per update; the gradient is their mean")
    initial_momentum: float = _parameter(0.5, real(least=0, below=1), "classical momentum of the first epochs")
    final_momentum: float = _parameter(0.9, real(least=0, below=1), "momentum from epoch momentum_switchover on")
    data: SequenceData = field(default=SequenceData(), metadata={"doc": "table"})
    head: tuple[Head, ...] = field(default=(), metadata={"doc": "tables"})


Config = LanguageModelConfig | ClassifierConfig
MODELS: dict[ModelKind, type[LanguageModelConfig] | type[ClassifierConfig]] = {
    ModelKind.LANGUAGE_MODEL: LanguageModelConfig,
    ModelKind.CLASSIFIER: ClassifierConfig,
}
