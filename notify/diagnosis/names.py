"""What the name of a metric says: of which part of the data it is, whether it is a loss, and what its best end is."""

import re
from enum import Enum
from functools import lru_cache


class Part(Enum):
    """Which data a metric was measured on."""

    TRAIN = "train"
    HELD_OUT = "held-out"


class Kind(Enum):
    """How a metric may be judged."""

    LOSS = "loss"
    """Less is better."""
    SCORE = "score"
    """More is better."""
    CONTEST = "contest"
    """Of an adversarial game or of reinforcement learning: it rises and falls while all is well."""
    GRADIENT = "gradient"
    """Length of a gradient."""
    NORM = "norm"
    """Length of weights."""
    SHARE = "share"
    """Of units, 0 to 1."""
    RATIO = "ratio"
    """Length of an update over that of its weights."""
    OTHER = "other"


_TRAIN = frozenset({"train", "training", "tr", "trn"})
_HELD_OUT = frozenset({"val", "valid", "validation", "dev", "eval", "test", "heldout", "holdout"})
_LOSS = frozenset(
    {"loss", "error", "err", "nll", "mse", "rmse", "mae", "mape", "perplexity", "ppl", "bpc", "bpb", "cost",
     "objective", "xent", "crossentropy", "ce", "logloss", "hinge", "kl", "kld", "elbo_loss", "wer", "cer", "deviance"}
)  # fmt: skip
_SCORE = frozenset(
    {"acc", "accuracy", "auc", "auroc", "auprc", "f1", "precision", "recall", "score", "r2", "bleu", "rouge", "iou",
     "miou", "dice", "map", "likelihood", "elbo", "top1", "top5", "psnr", "ssim"}
)  # fmt: skip
# A GAN's two losses are at odds, and a policy's loss has no floor: neither its rise nor its standstill means anything.
_CONTEST = frozenset(
    {"g", "d", "gen", "generator", "disc", "discriminator", "critic", "actor", "policy", "adv", "adversarial", "fake",
     "real", "wasserstein", "entropy", "alpha", "td", "q", "qf", "qf1", "qf2", "pg", "vf", "value", "surrogate",
     "advantage", "gp"}
)  # fmt: skip
_REWARD = frozenset({"reward", "rewards", "return", "returns", "episode", "episodic", "success", "ep"})
_BIASES = re.compile(r"(^|[._/])(b|bias|b_?out|biases)\d*$", re.IGNORECASE)
_WORDS = re.compile(r"[^A-Za-z0-9]+")


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """Its words in lower case: `valLoss`, `val/loss`, `val-loss` and `Val Loss` have the same."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return tuple(word for word in _WORDS.split(spaced.lower()) if word)


@lru_cache(maxsize=4096)
def kind_of(name: str) -> Kind:
    """A guess from the words; a name that says nothing is OTHER and is judged only for being no number."""
    for prefix, kind in (("gradient_norm", Kind.GRADIENT), ("update_ratio", Kind.RATIO), ("norm_", Kind.NORM)):
        if name.startswith(prefix):
            return kind
    if name == "dead_units":
        return Kind.SHARE
    if name in ("grad_norm", "train/grad_norm", "total_grad_norm"):
        return Kind.GRADIENT
    said = set(words(name))
    if said & _REWARD or (said & _CONTEST and said & _LOSS):
        return Kind.CONTEST
    if said & _LOSS:
        return Kind.LOSS
    return Kind.SCORE if said & _SCORE else Kind.OTHER


def part_of(name: str) -> Part:
    """A metric that names no part is of training."""
    return Part.HELD_OUT if _HELD_OUT & set(words(name)) else Part.TRAIN


def stem_of(name: str) -> tuple[str, ...]:
    """What `loss`, `train_loss` and `val_loss` have in common."""
    return tuple(word for word in words(name) if word not in _TRAIN and word not in _HELD_OUT)


def names_training(name: str) -> bool:
    """Whether it says outright that it is of training: then it stands for whole epochs more often than `loss` does."""
    return bool(_TRAIN & set(words(name)))


def is_bias(layer: str) -> bool:
    """Biases begin at nought, so ratios to their own past mean nothing."""
    return bool(_BIASES.search(layer))
