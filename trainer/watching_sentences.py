"""Sentences that a language model makes up, drawn word by word."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from trainer.arrays import Floats
from trainer.data.vocabulary import END, START, Vocabulary
from trainer.order import samples_generator

_SENTENCES, _MOST_WORDS = 5, 30


class Words(Protocol):
    """What is asked of a language model beyond trainer.models.Model."""

    vocabulary: Vocabulary


def sentences(words: tuple[str, ...], named: dict[str, Floats], seed: int, epoch: int) -> str:
    """Some sentences, one a line; the same for the same weights, seed and epoch, counted from 1."""
    draw = samples_generator(seed, epoch)
    lines = (" ".join(words[w] for w in _sentence(named, draw)) for _ in range(_SENTENCES))
    return f"epoch {epoch}\n" + "".join(line + "\n" for line in lines)


def _sentence(named: dict[str, Floats], draw: np.random.Generator) -> list[int]:
    """s_t = tanh(U[x_t] + s_{t-1} W), x_{t+1} drawn from softmax(s_t V), until the end mark or enough words."""
    found: list[int] = []
    state, word = np.zeros(named["W"].shape[0]), START
    while len(found) < _MOST_WORDS:
        state = np.tanh(named["U"][word] + state @ named["W"])  # (H) + (H) @ (H, H)
        z = state @ named["V"]  # (K) = (H) @ (H, K)
        p = np.exp(z - z.max())
        word = int(draw.choice(len(p), p=p / p.sum()))
        if word == END:
            break
        found.append(word)
    return found
