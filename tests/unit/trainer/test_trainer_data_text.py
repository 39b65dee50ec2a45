"""Text of a language model: words, vocabulary, numbers."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import LanguageModelConfig, Tokenizer
from trainer.data.text import load_text
from trainer.data.tokenizers import tokenize, tokenizer
from trainer.data.vocabulary import END, START, UNKNOWN, build_vocabulary, pack
from trainer.errors import UserMistake
from trainer.validation import load_config


def config(path: Path | None = None, vocabulary_size: int = 100, **data: Any) -> LanguageModelConfig:
    data = {**({"train": str(path)} if path else {}), "valid_fraction": 0, **data}
    found = load_config({"model": "language-model", "vocabulary_size": vocabulary_size, "data": data})
    assert isinstance(found, LanguageModelConfig)
    return found


def sentences(settings: LanguageModelConfig) -> list[str]:
    """The training part, spelled out again."""
    vocabulary, train, _ = load_text(settings)
    words = np.array(vocabulary.words)[train.tokens]
    return [" ".join(words[a + 1 : b - 1]) for a, b in zip(train.offsets, train.offsets[1:], strict=False)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Don't stop!", ["don't", "stop", "!"]),
        ("it costs 3.50, or 1,000", ["it", "costs", "3.50", ",", "or", "1,000"]),
        ("snake_case :)", ["snake", "_", "case", ":)"]),
        ("Ähre – naïve", ["ähre", "–", "naïve"]),
        ("  ", []),
    ],
)
def test_a_sentence_becomes_words(line: str, words: list[str]) -> None:
    assert tokenize(line) == words


def test_other_tokenizers_cut_as_their_field_does() -> None:
    pytest.importorskip("nltk")
    assert tokenizer(Tokenizer.TREEBANK)("Don't stop.") == ["do", "n't", "stop", "."]
    assert tokenizer(Tokenizer.TWEET)("@me SOOOO hot :-D #sun") == ["@me", "sooo", "hot", ":-D", "#sun"]


def test_a_missing_tokenizer_is_said_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "nltk.tokenize.casual", None)
    (tmp_path / "t.txt").write_text("a\n")
    message = (
        "data.tokenizer = \"tweet\" needs the package nltk, which is not installed: pip install 'labq[tokenizers]'"
    )
    with pytest.raises(UserMistake, match=re.escape(message)):
        load_text(config(tmp_path / "t.txt", tokenizer="tweet"))


def test_long_sentences_are_cut_and_blank_lines_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfa b c d e\r\n\r\n   \r\nf")
    assert sentences(config(tmp_path / "t.txt", max_words=2)) == ["a b", "c d", "e", "f"]
    assert sentences(config(tmp_path / "t.txt", max_words=2, max_sentences=1)) == ["a b"]


def test_sentences_may_be_a_column_of_a_table(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "body"], [1, 'He said "no",\nthen left'], [2, ""], [3, "ok"]])
    assert sentences(config(tmp_path / "t.csv", text_column="body")) == ['he said " no ", then left', "ok"]
    with pytest.raises(UserMistake, match=re.escape("there is no column text (data.text_column)")):
        load_text(config(tmp_path / "t.csv"))


def test_the_built_in_text_is_there() -> None:
    vocabulary, train, valid = load_text(config(source="pydoc", valid_fraction=0.1))
    assert len(vocabulary) == 100
    assert train.n_sentences > 9 * valid.n_sentences - 9 > 1000


def test_the_vocabulary_keeps_the_most_frequent_and_breaks_ties_by_spelling() -> None:
    vocabulary = build_vocabulary([["b", "a", "c", "c"], ["d"]], 5)
    assert vocabulary.words[3:] == ("c", "a")
    packed = pack([["c", "zebra"], ["a"]], vocabulary)
    assert packed.tokens.tolist() == [START, 3, UNKNOWN, END, START, 4, END]
    assert packed.offsets.tolist() == [0, 4, 7]
    assert packed.longest == 3


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), min_size=1), st.integers(4, 12))
def test_packing_marks_both_ends_and_loses_only_rare_words(texts: list[list[str]], size: int) -> None:
    vocabulary = build_vocabulary(texts, size)
    packed = pack(texts, vocabulary)
    for text, a, b in zip(texts, packed.offsets, packed.offsets[1:], strict=False):
        first, *inside, last = packed.tokens[a:b].tolist()
        assert (first, last) == (START, END)
        kept = [word if word in vocabulary.words else "<unknown>" for word in text]
        assert [vocabulary.words[token] for token in inside] == kept


def test_words_are_counted_in_the_training_part_only(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a b\nc c c\nb\n")
    vocabulary, train, valid = load_text(config(tmp_path / "t.txt", valid_slice=[1, 2]))
    assert vocabulary.words[3:] == ("b", "a")
    assert (train.n_sentences, valid.tokens.tolist()) == (2, [START, UNKNOWN, UNKNOWN, UNKNOWN, END])


def tokens(folder: Path, name: str = "t.npz", **changed: Any) -> Path:
    arrays = {"tokens": np.array([0, 3, 1, 0, 4, 5, 1]), "offsets": np.array([0, 3, 7]), **changed}
    np.savez(folder / name, **{key: array for key, array in arrays.items() if array is not None})
    return folder / name


def test_ready_tokens_are_taken_as_they_are(tmp_path: Path) -> None:
    vocabulary, train, valid = load_text(config(tokens(tmp_path), 6, train_slice=[1, 2], valid_slice=[0, 1]))
    assert (train.tokens.tolist(), valid.tokens.tolist()) == ([0, 4, 5, 1], [0, 3, 1])
    assert vocabulary.words == ("<start>", "<end>", "<unknown>", "#3", "#4", "#5")
    words = np.array(["<s>", "</s>", "?", "rain", "in", "spain"])
    path = tokens(tmp_path, words=words)
    other = tokens(tmp_path, "v.npz", words=words, tokens=np.array([0, 1]), offsets=np.array([0, 2]))
    vocabulary, _, valid = load_text(config(path, valid=str(other)))
    assert (vocabulary.words[5], valid.tokens.tolist()) == ("spain", [0, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens": None}, "the array tokens is missing; found offsets"),
        ({"tokens": np.array([0, 3, 1, 0, 6, 5, 1])}, "tokens: row 4 (sentence 1): found 6; allowed: from 0 to 5"),
        ({"tokens": np.array([0, -1, 1, 0, 4, 5, 1])}, "tokens: row 1 (sentence 0): found -1; allowed: from 0 to 5"),
        ({"tokens": np.ones(7)}, "tokens has shape (7,) and type float64; allowed: whole numbers in one dimension"),
        ({"offsets": np.array([0, 1, 7])}, "offsets: sequence 0 is of length 1; allowed: at least 2 rows"),
        ({"offsets": np.array([0, 3, 6])}, "offsets go from 0 to 6; allowed: from 0 to 7, the rows of tokens"),
        ({"words": np.array(["a"] * 9)}, "words has shape (9,) and type <U1; allowed: 4 to 6 (vocabulary_size) texts"),
        (
            {"words": np.array(["a"] * 5)},
            "tokens: row 5 (sentence 1): found 5; allowed: from 0 to 4 (the words it has)",
        ),
    ],
)
def test_ready_tokens_that_no_model_can_learn_are_refused(tmp_path: Path, changed: Any, message: str) -> None:
    with pytest.raises(UserMistake, match=re.escape("t.npz: " + message)):
        load_text(config(tokens(tmp_path, **changed), 6))
