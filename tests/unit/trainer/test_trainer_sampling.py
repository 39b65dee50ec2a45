from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trainer.data.vocabulary import Vocabulary
from trainer.errors import UserMistake
from trainer.origin import as_json
from trainer.sampling import main, probabilities, sample

VOCABULARY = Vocabulary(words=("<start>", "<end>", "<unknown>", "a", "b", "été", "."))
K, H = len(VOCABULARY), 4


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {"U": draw.normal(0, 1, (K, H)), "W": draw.normal(0, 1, (H, H)), "V": draw.normal(0, 1, (H, K))}


def following(order: list[int]) -> dict[str, np.ndarray]:
    """Weights by which each word of `order` is followed by the next, almost surely."""
    u, v = np.zeros((K, K)), np.zeros((K, K))
    for word, after in pairwise(order):
        u[word, word] = 10
        v[word, after] = 100
    return {"U": u, "W": np.zeros((K, K)), "V": v}


def test_a_sentence_follows_the_probabilities_of_the_model() -> None:
    assert sample(following([0, 4, 3, 5, 1]), VOCABULARY, 2) == [["b", "a", "été"]] * 2


def test_marks_are_never_drawn_and_no_sentence_is_empty() -> None:
    found = sample(weights(), VOCABULARY, 200, longest=12)
    assert {word for words in found for word in words} == {"a", "b", "été", "."}
    assert all(1 <= len(words) <= 12 for words in found)


def test_a_prefix_is_read_and_kept() -> None:
    assert sample(following([0, 4, 3, 5, 1]), VOCABULARY, 1, prefix=["b", "a"]) == [["b", "a", "été"]]
    assert sample(weights(), VOCABULARY, 1, prefix=["nobody knows"], longest=1) == [["nobody knows"]]


def test_the_same_seed_draws_the_same_sentences_however_many() -> None:
    ten = sample(weights(), VOCABULARY, 10, seed=7)
    assert sample(weights(), VOCABULARY, 3, seed=7) == ten[:3]
    assert sample(weights(), VOCABULARY, 10, seed=8) != ten
    assert len({tuple(words) for words in ten}) > 1


def test_sentences_differ_by_temperature() -> None:
    likeliest = sample(weights(), VOCABULARY, 5, temperature=0.0)
    assert likeliest == [likeliest[0]] * 5
    assert sample(weights(), VOCABULARY, 5, temperature=1e-6) == likeliest


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_probabilities_are_a_softmax_over_the_words_that_may_come(temperature: float) -> None:
    logits = np.random.default_rng(1).normal(0, 3, K)
    e = np.exp(logits / temperature)
    e[[0, 2]] = 0
    np.testing.assert_allclose(probabilities(logits, temperature, may_end=True), e / e.sum())
    e[1] = 0
    np.testing.assert_allclose(probabilities(logits, temperature, may_end=False), e / e.sum())


def test_the_command_prints_sentences_of_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "checkpoint.npz"
    named = {f"weight_{name}": value for name, value in following([0, 4, 3, 5, 1]).items()}
    configuration = as_json({"model": "language-model", "data": {"source": "pydoc"}})
    np.savez(file, words=np.array(VOCABULARY.words), configuration=configuration, **named)
    assert main([str(file), "--count", "2"]) == 0
    assert capsys.readouterr().out == "b a été\nb a été\n"
    assert main([str(file), "--count", "1", "--prefix=B", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["b a été"]


def test_a_file_that_is_no_language_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match=r"missing\.npz: No such file"):
        main([str(tmp_path / "missing.npz")])
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserMistake, match="not a checkpoint"):
        main([str(tmp_path / "text.npz")])
    np.savez(tmp_path / "other.npz", weight_W=np.zeros(1))
    with pytest.raises(UserMistake, match="there are no words in it"):
        main([str(tmp_path / "other.npz")])
