"""labq's own trainer, through the interface that its training loop uses."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from trainer_peers.workloads import N_OUT, SOFTMAX_SIZES, Array, ClassifierCase, TextCase, Weights

THREADS = int(os.environ.get("BENCH_THREADS", "1"))


class _Training:
    """One model of labq with its weights."""

    def __init__(self, config: Any, model: Any, weights: Weights) -> None:
        from trainer.schedule import rule

        self.model, self.rule = model, rule(config, config.learning_rate, 0, 0)
        self.flat, self.memory = model.layout.pack(weights), model.layout.zeros(config.memory_slots)
        self.epoch = 0

    def run(self, order: Array) -> float:
        sums = np.zeros(4)
        self.model.train(order, self.epoch, self.flat, self.memory, self.rule, sums)
        self.epoch += 1
        return float(sums[2])

    def weights(self) -> Weights:
        found: Weights = self.model.layout.unpack(self.flat)
        return found


class Classifier(_Training):
    def __init__(self, case: ClassifierCase) -> None:
        from trainer.data.sequences import Sequences
        from trainer.models.classifier import Classifier as Model
        from trainer.validation import load_config

        groups = [{"name": f"group{i}", "kind": "softmax", "size": size} for i, size in enumerate(SOFTMAX_SIZES)]
        answers = {"name": "answers", "kind": "sigmoid", "size": N_OUT - sum(SOFTMAX_SIZES)}
        config: Any = load_config({
            "model": "classifier", "n_hidden": case.weights["W"].shape[0], "dtype": case.dtype,
            "batch_size": case.batch_size, "noise": case.noise, "l1": case.l1, "learning_rate": case.rate,
            "initial_momentum": case.momentum, "final_momentum": case.momentum, "threads": THREADS,
            "head": [*groups, answers], "data": {"train": "made.npz"},
        })  # fmt: skip
        given = Sequences(values=case.values, offsets=case.offsets, labels=case.labels, name="made.npz")
        super().__init__(config, Model(config, config.head, given, given.take(np.arange(1))), case.weights)


class LanguageModel(_Training):
    def __init__(self, case: TextCase) -> None:
        from trainer.data.vocabulary import PackedText, Vocabulary
        from trainer.models.language_model import LanguageModel as Model
        from trainer.validation import load_config

        k, h = case.weights["U"].shape
        config: Any = load_config({
            "model": "language-model", "n_hidden": h, "dtype": case.dtype, "batch_size": case.batch_size,
            "learning_rate": case.rate, "bptt": case.bptt, "threads": THREADS, "data": {"source": "pydoc"},
        })  # fmt: skip
        text = PackedText(tokens=case.tokens, offsets=case.offsets)
        none = replace(text, tokens=text.tokens[: case.offsets[1]], offsets=text.offsets[:2])
        vocabulary = Vocabulary(words=tuple(map(str, range(k))))
        super().__init__(config, Model(config, vocabulary, text, none), case.weights)
