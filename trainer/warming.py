"""`python -P -m trainer --warm`: compile every kernel now, so that no run has to."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from trainer.config import ClassifierConfig, LanguageModelConfig, ModelKind, Precision

if TYPE_CHECKING:
    from trainer.config import Common
    from trainer.models import Model


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="trainer --warm")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=Precision, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only is not None:
        print(json.dumps(compile_kernels(options.only)))
        return 0
    warmed = {precision.value: _in_a_process_of_its_own(precision) for precision in Precision}
    if options.json:
        print(json.dumps(warmed))
        return 0
    for precision, found in warmed.items():
        print(f"{precision}  {found['seconds']:.1f} s  {found['folder'] or 'not kept: no folder can be written'}")
    return 0


def compile_kernels(precision: Precision) -> dict[str, Any]:
    """Compile, or load, all kernels of one precision in this process; returns the seconds it took and their folder."""
    from trainer.jit import keep_compiled_kernels_for

    began = time.perf_counter()
    folder = keep_compiled_kernels_for(precision.value)
    for model, config in (_tiny_classifier(precision), _tiny_language_model(precision)):
        _use(model, config)
    return {"seconds": round(time.perf_counter() - began, 3), "folder": None if folder is None else str(folder)}


def _in_a_process_of_its_own(precision: Precision) -> dict[str, Any]:
    """The folder of compiled kernels is chosen once a process."""
    command = [sys.executable, "-P", "-E", "-m", "trainer", "--warm", "--only", precision.value]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _use(model: Model, config: Common) -> None:
    """Call everything that Python ever calls."""
    import numpy as np

    from trainer.schedule import rule
    from trainer.watching_layers import norms

    weights, gradient = model.initial_weights(), model.layout.zeros()
    order = np.arange(model.n_train)
    model.train(order, 0, weights, model.layout.zeros(config.memory_slots), rule(config, 0.01, 0, 0), np.zeros(4))
    model.gradient(order, 0, weights, gradient)
    model.evaluate(0, model.n_valid, weights, np.zeros(model.validation_size))
    model.training_metrics(weights, 1.0)
    norms(model.layout, weights)


def _tiny_classifier(precision: Precision) -> tuple[Model, Common]:
    import numpy as np

    from trainer.data.sequences import Sequences, default_heads
    from trainer.models.classifier import Classifier

    config = ClassifierConfig(model=ModelKind.CLASSIFIER, dtype=precision, n_hidden=4, batch_size=2, l1=1e-6)
    labels, offsets = np.array([0.0, 1.0]), np.array([0, 2, 3])
    data = Sequences(values=np.zeros((3, 2)), offsets=offsets, labels=labels, name="warm")
    return Classifier(config, default_heads(data), data, data), config


def _tiny_language_model(precision: Precision) -> tuple[Model, Common]:
    from trainer.data.vocabulary import build_vocabulary, pack
    from trainer.models.language_model import LanguageModel

    config = LanguageModelConfig(model=ModelKind.LANGUAGE_MODEL, dtype=precision, n_hidden=4)
    sentences = [["so", "it", "goes"], ["it", "is"]]
    vocabulary = build_vocabulary(sentences, 8)
    text = pack(sentences, vocabulary)
    return LanguageModel(config, vocabulary, text, text), config
