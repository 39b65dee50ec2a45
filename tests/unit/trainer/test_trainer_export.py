"""Weights for other programmes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer import RNNClassifier, RNNLanguageModel
from trainer.config import Activation
from trainer.errors import UserMistake
from trainer.export import activation_of, export_checkpoint, main, to_torch_state_dict


def sequences(n: int = 40) -> tuple[list[np.ndarray], np.ndarray]:
    draw = np.random.default_rng(4)
    X = [draw.normal(size=(length, 3)) for length in draw.integers(1, 9, n)]
    return X, np.array([int(x[-1, 0] > 0) + int(x[0, 1] > 1) for x in X])


def classifier(**more: Any) -> RNNClassifier:
    parameters = {"n_hidden": 6, "epochs": 3, "batch_size": 8, "dtype": "float64", "learning_rate": 0.1, **more}
    return RNNClassifier(**parameters).fit(*sequences())


SENTENCES = ["the rain in spain", "the dog sleeps in the rain", "rain"] * 5


def language_model() -> RNNLanguageModel:
    return RNNLanguageModel(n_hidden=6, epochs=2, dtype="float64", vocabulary_size=9).fit(SENTENCES)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_classifier_in_torch_gives_the_same_answers(activation: str) -> None:
    torch = pytest.importorskip("torch")
    fitted, (X, _) = classifier(activation=activation), sequences()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.RNN(3, 6, nonlinearity=activation)
            self.linear = torch.nn.Linear(6, 3)

        def forward(self, packed: Any) -> Any:
            _, last = self.rnn(packed)
            return self.linear(last[0])

    network = Network().double()
    network.load_state_dict(fitted.to_torch_state_dict())
    tensors = [torch.from_numpy(x) for x in X]
    packed = torch.nn.utils.rnn.pack_sequence(tensors, enforce_sorted=False)
    found = torch.softmax(network(packed), dim=1).detach().numpy()
    assert np.allclose(found, fitted.predict_proba(X), rtol=1e-9, atol=0)


def test_a_language_model_in_torch_gives_the_same_probabilities() -> None:
    torch = pytest.importorskip("torch")
    fitted = language_model()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 6)
            self.rnn = torch.nn.RNN(6, 6)
            self.linear = torch.nn.Linear(6, 9)

        def forward(self, tokens: Any) -> Any:
            return self.linear(self.rnn(self.embedding(tokens))[0])

    network = Network().double()
    network.load_state_dict(fitted.to_torch_state_dict())
    tokens = np.array([0, 3, 5, 2, 4])
    found = torch.softmax(network(torch.from_numpy(tokens)), dim=1).detach().numpy()
    expected = fitted.predict_proba([tokens[: n + 1] for n in range(len(tokens))])
    assert np.allclose(found, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("activation", ["sigmoid", "capped-relu"])
def test_an_activation_that_torch_has_not_is_refused(activation: str) -> None:
    fitted = classifier(activation=activation)
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=f"the activation is {activation}; allowed for nn.RNN: tanh, relu"):
        fitted.to_torch_state_dict()


def test_a_state_dict_does_not_share_memory_with_the_model() -> None:
    pytest.importorskip("torch")
    fitted = language_model()
    kept = fitted.weights_["U"].copy()
    to_torch_state_dict(fitted.weights_, Activation.TANH)["embedding.weight"].fill_(7)
    assert np.array_equal(fitted.weights_["U"], kept)


def test_a_checkpoint_becomes_a_file_of_plain_matrices(tmp_path: Path) -> None:
    fitted = classifier()
    fitted.save(tmp_path / "checkpoint.npz")
    export_checkpoint(tmp_path / "checkpoint.npz", tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {"W_in", "W", "W_out", "b", "b_out", "parameters"}
        assert archive["W_in"].shape == (3, 6)
        assert np.array_equal(archive["W"], fitted.weights_["W"])
        assert json.loads(archive["parameters"].tobytes())["n_hidden"] == 6


def test_a_checkpoint_becomes_safetensors_under_both_kinds_of_names(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    numpy_files = pytest.importorskip("safetensors.numpy")
    fitted = language_model()
    fitted.save(tmp_path / "checkpoint.npz")
    export_checkpoint(tmp_path / "checkpoint.npz", tmp_path / "own.safetensors")
    fitted.export(tmp_path / "torch.safetensors", "torch")
    own, of_torch = (numpy_files.load_file(tmp_path / f"{name}.safetensors") for name in ("own", "torch"))
    assert own.keys() == {"U", "W", "V"}
    assert np.array_equal(own["V"], fitted.weights_["V"])
    assert np.array_equal(of_torch["linear.weight"], fitted.weights_["V"].T)
    assert np.array_equal(of_torch["rnn.weight_hh_l0"], fitted.weights_["W"].T)
    assert not of_torch["rnn.bias_hh_l0"].any()
    with safetensors.safe_open(tmp_path / "own.safetensors", "np") as file:
        assert activation_of(json.loads(file.metadata()["parameters"])) is Activation.TANH


def test_the_best_weights_can_be_exported_instead(tmp_path: Path) -> None:
    X, y = sequences()
    fitted = classifier().fit(X, y, X_valid=X, y_valid=np.roll(y, 1))
    fitted.save(tmp_path / "checkpoint.npz")
    export_checkpoint(tmp_path / "checkpoint.npz", tmp_path / "best.npz", best=True)
    with np.load(tmp_path / "best.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["W"], fitted.best().weights_["W"])


def test_the_command_line_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    fitted = classifier()
    fitted.save(tmp_path / "checkpoint.npz")
    assert main([str(tmp_path / "checkpoint.npz"), str(tmp_path / "x.npz")]) == 0
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["b"], fitted.weights_["b"])
    with pytest.raises(UserMistake, match="there are no best weights"):
        main(["--best", str(tmp_path / "checkpoint.npz"), str(tmp_path / "x.npz")])
    with pytest.raises(UserMistake, match=r"none.npz: no such file"):
        main([str(tmp_path / "none.npz"), str(tmp_path / "x.npz")])


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("x.pt", None, "a .pt file is a pickle, which can run code; allowed: .safetensors, as torch"),
        ("x", None, "the format is not given; allowed: one of npz, safetensors, torch"),
        ("x.onnx", None, "the format is onnx; allowed: one of npz, safetensors, torch"),
    ],
)
def test_a_format_that_is_not_written_is_refused(name: str, chosen: Any, message: str, tmp_path: Path) -> None:
    language_model().save(tmp_path / "checkpoint.npz")
    with pytest.raises(UserMistake, match=message):
        export_checkpoint(tmp_path / "checkpoint.npz", tmp_path / name, chosen)
    assert not (tmp_path / name).exists()
