from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainer.config import ClassifierConfig, HeadKind, LanguageModelConfig, Precision
from trainer.describe import help_text
from trainer.errors import UserMistake
from trainer.validation import check, load_config

ROOT = Path(__file__).resolve().parents[3]
LM = {"model": "language-model", "data": {"source": "pydoc"}}
CL = {"model": "classifier", "data": {"train": "x.npz"}}
HEAD = {"name": "a", "kind": "softmax", "size": 2}

MISTAKES: list[tuple[Any, str]] = [
    (3, "the parameters are 3; allowed: a JSON object"),
    ({}, "model is missing; allowed: one of language-model, classifier"),
    ({"model": "rnn"}, 'model is "rnn"; allowed: one of language-model, classifier'),
    ({**LM, "learning_rate": -1}, "learning_rate is -1; allowed: a number > 0"),
    ({**LM, "learning_rate": "0.1"}, 'learning_rate is "0.1"; allowed: a number > 0'),
    ({**LM, "learning_rate": float("nan")}, "learning_rate is NaN; allowed: a number > 0"),
    ({**LM, "n_hidden": 2.5}, "n_hidden is 2.5; allowed: a whole number >= 1"),
    ({**LM, "n_hidden": True}, "n_hidden is true; allowed: a whole number >= 1"),
    ({**LM, "epochs": None}, "epochs is null; allowed: a whole number >= 1"),
    ({**LM, "initial_momentum": 1}, "initial_momentum is 1; allowed: a number >= 0 and < 1"),
    ({**LM, "halve_on_rise": 1}, "halve_on_rise is 1; allowed: true or false"),
    ({**LM, "dtype": "float16"}, 'dtype is "float16"; allowed: one of float32, float64'),
    ({**LM, "learnig_rate": 1}, "unknown parameter learnig_rate; did you mean learning_rate or learning_rate_decay?"),
    ({**LM, "activation": "relu"}, "activation is a parameter of the classifier, not of this model"),
    ({**CL, "bptt": 4}, "bptt is a parameter of the language-model, not of this model"),
    ({"model": "language-model"}, 'the text is missing; allowed: either data.source = "pydoc" or data.train = a file'),
    ({**LM, "data": 3}, "data is 3; allowed: a table"),
    ({**LM, "data": {"sorce": "pydoc"}}, "unknown parameter data.sorce; did you mean source?"),
    ({**LM, "data": {"source": "web"}}, 'data.source is "web"; allowed: one of pydoc, or null'),
    ({"model": "classifier"}, "data.train is missing; allowed: a .npz, .csv or .tsv file"),
    ({**CL, "data": {"train": "x.txt"}}, 'the data file is "x.txt"; allowed: a .npz, .csv or .tsv file'),
    (
        {**CL, "data": {"train": "x.tsv", "thresholds": [1, 0]}},
        "data.thresholds is [1, 0]; allowed: a list of rising numbers",
    ),
    ({**CL, "head": {}}, "head is {}; allowed: a list of tables with name, kind and size"),
    ({**CL, "head": [{**HEAD, "size": 0}]}, "head[0].size is 0; allowed: a whole number >= 1"),
    (
        {**CL, "head": [HEAD, {"name": "b", "size": 1}]},
        "head[1].kind is missing; allowed: one of softmax, sigmoid, linear",
    ),
    ({**CL, "head": [HEAD, HEAD]}, "head a is given twice; allowed: one head of a name"),
    (
        {**LM, "early_stopping": "minimum", "data": {"source": "pydoc", "valid_fraction": 0}},
        "early_stopping needs validation data; allowed: data.valid or data.valid_fraction > 0",
    ),
]


@pytest.mark.parametrize(("params", "problem"), MISTAKES)
def test_a_mistake_is_named_with_what_is_allowed(params: Any, problem: str) -> None:
    assert check(params) == [problem]


def test_all_mistakes_are_collected_in_one_go() -> None:
    problems = check({**CL, "epochs": 0, "l1": -1, "data": {"train": "", "valid_fraction": 1}, "head": [{"size": "a"}]})
    assert len(problems) == 7
    with pytest.raises(UserMistake) as raised:
        load_config({**LM, "epochs": 0, "seed": -1})
    assert str(raised.value).splitlines() == check({**LM, "epochs": 0, "seed": -1})


def test_defaults_are_those_of_the_model() -> None:
    model, classifier = load_config(LM), load_config(CL)
    assert isinstance(model, LanguageModelConfig)
    assert (model.n_hidden, model.vocabulary_size, model.bptt, model.batch_size) == (100, 8000, 4, 1)
    assert not model.has_momentum
    assert isinstance(classifier, ClassifierConfig)
    assert (classifier.n_hidden, classifier.batch_size, classifier.final_momentum) == (50, 100, 0.9)


def test_values_arrive_as_the_types_the_trainer_uses() -> None:
    config = load_config({**CL, "n_hidden": 32.0, "l1": 1, "dtype": "float64", "head": [HEAD]})
    assert isinstance(config, ClassifierConfig)
    assert (config.n_hidden, type(config.n_hidden)) == (32, int)
    assert (config.l1, type(config.l1)) == (1.0, float)
    assert config.dtype is Precision.FLOAT64
    assert config.head[0].kind is HeadKind.SOFTMAX


def test_help_names_every_parameter() -> None:
    shown = help_text()
    for name in ("model", "learning_rate", "bptt", "capped-relu", "thresholds", "valid_fraction", "kind", "8000"):
        assert name in shown


def test_check_answers_line_by_line_without_numpy() -> None:
    script = "import sys; from trainer.__main__ import main; main(['--check']); print('numpy' in sys.modules)"
    lines = "\n".join([json.dumps(LM), json.dumps({**LM, "epochs": 0}), "{oops"])
    done = subprocess.run(
        [sys.executable, "-c", script], input=lines, text=True, capture_output=True, cwd=ROOT, check=True
    )
    fine, wrong, broken, numpy_loaded = done.stdout.splitlines()
    assert json.loads(fine) == []
    assert json.loads(wrong) == ["epochs is 0; allowed: a whole number >= 1"]
    assert "not JSON" in json.loads(broken)[0]
    assert numpy_loaded == "False"
