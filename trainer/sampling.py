"""Sentences drawn from a language model: each word from the probabilities that the words before it leave."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.arrays import Doubles, Floats, Named
from trainer.config import LanguageModelConfig
from trainer.data.tokenizers import tokenizer
from trainer.data.vocabulary import END, START, UNKNOWN, Vocabulary
from trainer.errors import UserMistake
from trainer.validation import load_config

_NEVER = (START, UNKNOWN)


def sample(
    weights: Mapping[str, Floats],
    vocabulary: Vocabulary,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    prefix: Sequence[str] = (),
    longest: int = 50,
) -> list[list[str]]:
    """n sentences of at most `longest` words, each beginning with the words of `prefix`.

    weights: U (K, H), W (H, H), V (H, K) of s_t = tanh(U[x_t] + s_{t-1} W), p_t = softmax(s_t V / temperature). A low
    temperature prefers likely words; 0 always takes the likeliest. The marks <start> and <unknown> are never drawn,
    and <end> ends the sentence, but not before there is a word. A word of the prefix that the vocabulary has not is
    read as <unknown>. Each sentence has random numbers of its own: the first of ten is the same as of one.
    """
    number = {word: index for index, word in enumerate(vocabulary.words)}
    given = [START, *(number.get(word, UNKNOWN) for word in prefix)]
    return [
        [*prefix, *(vocabulary.words[word] for word in _continue(weights, given, generator, temperature, longest))]
        for generator in (np.random.Generator(np.random.Philox(key=[seed, index])) for index in range(n))
    ]


def _continue(
    weights: Mapping[str, Floats], given: list[int], generator: np.random.Generator, temperature: float, longest: int
) -> list[int]:
    """The words behind the given ones, up to the end of the sentence."""
    u, w, v = (weights[name].astype(np.float64) for name in ("U", "W", "V"))
    state = np.zeros(len(w))
    for word in given:
        state = np.tanh(u[word] + state @ w)
    words: list[int] = []
    while len(given) - 1 + len(words) < longest:
        up_to = np.cumsum(probabilities(state @ v, temperature, may_end=len(given) + len(words) > 1))
        word = int(np.searchsorted(up_to, generator.random() * up_to[-1], side="right"))
        if word == END:
            break
        words.append(word)
        state = np.tanh(u[word] + state @ w)
    return words


def probabilities(logits: Doubles, temperature: float, may_end: bool) -> Doubles:
    """softmax(logits / temperature) over the words that may come next   # (K)"""
    allowed = logits.copy()
    allowed[list(_NEVER)] = -np.inf
    if not may_end:
        allowed[END] = -np.inf
    if temperature == 0:
        return np.bincount([int(allowed.argmax())], minlength=len(allowed)).astype(np.float64)
    e = np.exp((allowed - allowed.max()) / temperature)
    p: Doubles = e / e.sum()
    return p


def main(arguments: Sequence[str]) -> int:
    """`python -P -m trainer --sample FILE`: print sentences of a checkpoint, one a line. Raises UserMistake."""
    options = _parser().parse_args(arguments)
    weights, vocabulary, config = read_checkpoint(options.file, best=options.best)
    prefix = tokenizer(config.data.tokenizer)(options.prefix)
    drawn = sample(weights, vocabulary, options.count, options.seed, options.temperature, prefix, options.longest)
    sentences = [" ".join(words) for words in drawn]
    print(json.dumps(sentences, ensure_ascii=False) if options.json else "\n".join(sentences))
    return 0


def read_checkpoint(path: str, *, best: bool = False) -> tuple[dict[str, Floats], Vocabulary, LanguageModelConfig]:
    """Weights by name, the newest or the best, vocabulary and parameters of a checkpoint. Raises UserMistake."""
    arrays = _arrays(path)
    if "words" not in arrays:
        raise UserMistake(f"{path}: there are no words in it; allowed: a checkpoint of a language model")
    config = load_config(json.loads(arrays["configuration"].tobytes()))
    assert isinstance(config, LanguageModelConfig)  # no other has words
    prefix = "best_weight" if best else "weight"
    if f"{prefix}_U" not in arrays:
        raise UserMistake(f"{path}: there are no best weights in it: no validation data, or no epoch yet")
    weights = {name: arrays[f"{prefix}_{name}"] for name in ("U", "W", "V")}
    return weights, Vocabulary(words=tuple(arrays["words"].tolist())), config


def _arrays(path: str) -> Named:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except OSError as problem:
        raise UserMistake(f"{path}: {problem.strerror or problem}") from None
    except (ValueError, zipfile.BadZipFile, EOFError):
        raise UserMistake(f"{path}: this is not a checkpoint of the trainer") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -P -m trainer --sample")
    parser.add_argument("file", help="a checkpoint of a language model (.npz)")
    parser.add_argument("--count", type=int, default=5, help="sentences (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other sentences (default 0)")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1: safer words")
    parser.add_argument("--prefix", default="", help="what each sentence begins with")
    parser.add_argument("--longest", type=int, default=50, help="words after which a sentence is cut (default 50)")
    parser.add_argument("--best", action="store_true", help="the weights of the least validation loss, not the newest")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    return parser
