"""The weights alone, for other programmes: NumPy's .npz, safetensors, and the names and shapes of PyTorch.

PyTorch keeps matrices transposed, and has two biases of which one is enough:

    h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)      rnn = nn.RNN(n_in, n_hidden, nonlinearity=…)
    z = A h + b                                         linear = nn.Linear(n_hidden, n_out)

A language model looks its words up in nn.Embedding, and nn.RNN reads what is found there as it is (W_ih = 1).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Floats
from trainer.config import Activation, ModelKind
from trainer.errors import UserMistake
from trainer.estimators.files import FilePath, parameters_in, read_arrays, weights_in, with_best_weights, write_arrays

_TORCH_HAS = (Activation.TANH, Activation.RELU)


class Format(Enum):
    NPZ = "npz"
    SAFETENSORS = "safetensors"
    TORCH = "torch"  # safetensors with the names and shapes of PyTorch


def main(arguments: list[str]) -> int:
    """`python -P -m trainer --export CHECKPOINT OUT`: returns the exit code. Raises UserMistake."""
    parser = argparse.ArgumentParser(prog="trainer --export", description="Write the weights of a checkpoint alone.")
    parser.add_argument("checkpoint", help="a .npz file that a run or an estimator wrote")
    parser.add_argument("out", help="the file to write; its ending says the format: .npz or .safetensors")
    parser.add_argument("--format", choices=[one.value for one in Format], help="torch: .safetensors, PyTorch's names")
    parser.add_argument("--best", action="store_true", help="the weights of the least validation loss, not the last")
    options = parser.parse_args(arguments)
    export_checkpoint(options.checkpoint, options.out, options.format, best=options.best)
    return 0


def export_checkpoint(
    checkpoint: FilePath, path: FilePath, format: str | None = None, *, best: bool = False  # noqa: A002
) -> None:  # fmt: skip
    """Write the weights of a checkpoint, its last or its best; see write_weights. Raises UserMistake."""
    arrays = with_best_weights(read_arrays(checkpoint)) if best else read_arrays(checkpoint)
    write_weights(weights_in(arrays), parameters_in(arrays), path, format)


def write_weights(
    weights: Mapping[str, Floats], parameters: Mapping[str, Any], path: FilePath, format: str | None = None  # noqa: A002
) -> None:  # fmt: skip
    """`format` is that of Format; None: what the path ends in. Parameters go into the file, too. Raises UserMistake.

    .npz: matrices (rows, columns) by name and the parameters as an array of bytes, UTF-8 JSON. safetensors: the same
    tensors, parameters in the metadata.
    """
    chosen = _format_of(path, format)
    content = json.dumps(dict(parameters), sort_keys=True)
    if chosen is Format.NPZ:
        write_arrays(path, {**weights, "parameters": np.frombuffer(content.encode(), dtype=np.uint8)})
        return
    if chosen is Format.TORCH:
        weights = torch_arrays(weights, activation_of(parameters))
    _save_safetensors(path, weights, {"format": "np", "parameters": content})


def _format_of(path: FilePath, name: str | None) -> Format:
    ending = Path(path).suffix.removeprefix(".").lower()
    if name is None and ending in ("pt", "pth", "bin", "pkl"):
        raise UserMistake(f"{path}: a .{ending} file is a pickle, which can run code; allowed: .safetensors, as torch")
    found = ending if name is None else name
    try:
        return Format(found)
    except ValueError:
        allowed = ", ".join(one.value for one in Format)
        raise UserMistake(f"{path}: the format is {found or 'not given'}; allowed: one of {allowed}") from None


def _save_safetensors(path: FilePath, tensors: Mapping[str, NDArray[Any]], metadata: dict[str, str]) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError:
        what = f"{path} needs the package safetensors, which is not installed"
        raise UserMistake(f"{what}: pip install 'labq[export]'") from None
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path, metadata)


def activation_of(parameters: Mapping[str, Any]) -> Activation:
    """The activation of the hidden units that these parameters of a run mean."""
    is_language_model = parameters["model"] == ModelKind.LANGUAGE_MODEL.value
    return Activation.TANH if is_language_model else Activation(parameters["activation"])


def torch_arrays(weights: Mapping[str, Floats], activation: Activation) -> dict[str, Floats]:
    """The state dict of modules called embedding, rnn and linear, as arrays. Raises UserMistake.

    Only tanh and relu: nn.RNN has no other. With readout = last, linear reads the state after the last step.
    """
    if activation not in _TORCH_HAS:
        raise UserMistake(f"the activation is {activation.value}; allowed for nn.RNN: tanh, relu")
    if "W_in" in weights:
        return {**_rnn(weights["W_in"], weights["W"], weights["b"]), **_linear(weights["W_out"], weights["b_out"])}
    n_hidden, n_words = weights["V"].shape
    dtype = weights["V"].dtype
    rnn = _rnn(np.eye(n_hidden, dtype=dtype), weights["W"], np.zeros((1, n_hidden), dtype))
    return {"embedding.weight": weights["U"], **rnn, **_linear(weights["V"], np.zeros((1, n_words), dtype))}


def _rnn(inputs: Floats, recurrent: Floats, bias: Floats) -> dict[str, Floats]:
    return {
        "rnn.weight_ih_l0": inputs.T,
        "rnn.weight_hh_l0": recurrent.T,
        "rnn.bias_ih_l0": bias[0],
        "rnn.bias_hh_l0": np.zeros_like(bias[0]),
    }


def _linear(weight: Floats, bias: Floats) -> dict[str, Floats]:
    return {"linear.weight": weight.T, "linear.bias": bias[0]}


def to_torch_state_dict(weights: Mapping[str, Floats], activation: Activation = Activation.TANH) -> dict[str, Any]:
    """torch_arrays as tensors, for load_state_dict of a module such as

        class Network(torch.nn.Module):
            def __init__(self, n_in, n_hidden, n_out):
                super().__init__()
                self.rnn = torch.nn.RNN(n_in, n_hidden, nonlinearity="relu", batch_first=True)
                self.linear = torch.nn.Linear(n_hidden, n_out)

            def forward(self, packed):                   # a torch.nn.utils.rnn.PackedSequence
                _, last = self.rnn(packed)
                return self.linear(last[0])              # what softmax or sigmoid turn into probabilities

    Raises UserMistake for an activation that nn.RNN has not; ImportError without PyTorch.
    """
    import torch

    arrays = torch_arrays(weights, activation)
    return {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
