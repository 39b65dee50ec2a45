"""An estimator and the programme make the same bits of the same data, and read each other's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_examples import text
from trainer_process import Run

from trainer import RNNClassifier, RNNLanguageModel

PARAMETERS: dict[str, Any] = {
    "n_hidden": 7, "epochs": 4, "batch_size": 9, "learning_rate": 0.05, "learning_rate_decay": 0.9,
    "initial_momentum": 0.3, "final_momentum": 0.6, "momentum_switchover": 1, "clip_norm": 1.0,
}  # fmt: skip


def weights(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if "weight_" in name or name.startswith("memory")}


def last_checkpoint(run: Run) -> Path:
    published = [line["_checkpoint"] for line in run.lines() if "_checkpoint" in line]
    return run.checkpoints / published[-1]


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert np.array_equal(one[name], other[name])


def metrics(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: v for name, v in point.items() if not name.startswith("clock_")} for point in points]


def packed(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(8)
    offsets = np.cumsum([0, *draw.integers(1, 6, n)])
    return draw.normal(0, 1, (offsets[-1], 4)), offsets, draw.integers(0, 3, n)


@pytest.mark.parametrize("more", [{}, {"noise": 0.2, "l1": 1e-4, "dtype": "float64", "activation": "tanh"}])
def test_a_classifier_is_the_one_of_the_programme(more: dict[str, Any], tmp_path: Path) -> None:
    values, offsets, labels = packed(120)
    np.savez(tmp_path / "x.npz", values=values, offsets=offsets, labels=labels)
    data = {"train": str(tmp_path / "x.npz"), "valid_fraction": 0.25, "split_seed": 6}
    run = Run(tmp_path / "run", {**PARAMETERS, **more, "model": "classifier", "seed": 11, "data": data})
    run.finish()
    fitted = RNNClassifier(**PARAMETERS, **more, valid_fraction=0.25, split_seed=6, random_state=11).fit(
        (values, offsets), labels
    )
    fitted.save(tmp_path / "model.npz")
    assert_same(weights(tmp_path / "model.npz"), weights(last_checkpoint(run)))
    assert metrics(fitted.history_) == metrics(run.series())
    read = RNNClassifier.from_checkpoint(last_checkpoint(run))
    assert read.get_params() == fitted.get_params()
    assert read.classes_.tolist() == [0, 1, 2]
    assert (read.predict_proba((values, offsets)) == fitted.predict_proba((values, offsets))).all()
    assert_same(
        read.partial_fit((values, offsets), labels).weights_, fitted.partial_fit((values, offsets), labels).weights_
    )


def test_a_language_model_is_the_one_of_the_programme(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(text(80))
    (tmp_path / "valid.txt").write_text(text(20))
    data = {"train": str(tmp_path / "train.txt"), "valid": str(tmp_path / "valid.txt"), "max_words": 6}
    common = {**PARAMETERS, "vocabulary_size": 10, "bptt": 2}
    run = Run(tmp_path / "run", {**common, "model": "language-model", "seed": 3, "data": data})
    run.finish()
    train, valid = text(80).splitlines(), text(20).splitlines()
    fitted = RNNLanguageModel(**common, max_words=6, random_state=3).fit(train, X_valid=valid)
    fitted.save(tmp_path / "model.npz")
    assert_same(weights(tmp_path / "model.npz"), weights(last_checkpoint(run)))
    assert metrics(fitted.history_) == metrics(run.series())
    read = RNNLanguageModel.from_checkpoint(last_checkpoint(run))
    assert read.vocabulary_ == fitted.vocabulary_
    assert read.score(valid) == fitted.score(valid)
    assert -read.score(valid) == pytest.approx(fitted.history_[-1]["val_loss"], rel=1e-5)


def test_the_classes_of_a_table_are_those_of_the_model(tmp_path: Path) -> None:
    rows = ["text,weather", *(f"it is {'so ' * (n % 4)}{word},{word}" for n in range(40) for word in ("warm", "cold"))]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    head = [{"name": "weather", "kind": "softmax", "size": 2, "columns": "weather"}]
    data = {"train": str(tmp_path / "x.csv")}
    run = Run(tmp_path / "run", {**PARAMETERS, "epochs": 20, "model": "classifier", "data": data, "head": head})
    run.finish()
    read = RNNClassifier.from_checkpoint(last_checkpoint(run))
    assert read.classes_.tolist() == ["cold", "warm"]
    assert read.n_features_in_ == 20
    assert set(read.predict(np.ones((3, 2, 20)))) <= {"cold", "warm"}
    read.save(tmp_path / "model.npz")
    assert RNNClassifier.load(tmp_path / "model.npz").classes_.tolist() == ["cold", "warm"]


def test_a_language_model_that_holds_back_sentences_is_the_one_of_the_programme(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(text(80))
    common = {**PARAMETERS, "vocabulary_size": 10, "optimizer": "adam"}
    common = {name: value for name, value in common.items() if "momentum" not in name}
    data = {"train": str(tmp_path / "train.txt"), "valid_fraction": 0.3, "max_words": 4}
    run = Run(tmp_path / "run", {**common, "model": "language-model", "data": data})
    run.finish()
    fitted = RNNLanguageModel(**common, valid_fraction=0.3, max_words=4).fit(text(80).splitlines())
    fitted.save(tmp_path / "model.npz")
    assert_same(weights(tmp_path / "model.npz"), weights(last_checkpoint(run)))
    assert metrics(fitted.history_) == metrics(run.series())
