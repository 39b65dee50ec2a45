"""PyTorch as one would write it: the recurrence of nn.RNN over packed sequences, gradients by autograd."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from trainer_peers.packing import pack
from trainer_peers.workloads import N_OUT, SOFTMAX_SIZES, Array, ClassifierCase, TextCase, Weights

Tensor = torch.Tensor


class Classifier:
    """nn.RNN (relu) adds no noise behind its activation, but h = r + noise is the same network with the inputs
    [x_t | noise_{t-1}] and the input weights [W_in | W], tied, and the last noise added to the last state.
    """

    def __init__(self, case: ClassifierCase) -> None:
        self.case = case
        w = {name: torch.from_numpy(value) for name, value in case.weights.items()}
        leaves = w["W_in"].t(), w["W"].t(), w["b"][0], w["W_out"].t(), w["b_out"][0]
        self.parameters = [leaf.clone(memory_format=torch.contiguous_format).requires_grad_() for leaf in leaves]
        self.velocity = [torch.zeros_like(leaf) for leaf in self.parameters]
        self.no_bias = torch.zeros_like(w["b"][0])  # nn.RNN has two biases that are added up
        self.values, self.labels = torch.from_numpy(case.values), torch.from_numpy(case.labels)

    def run(self, order: Array) -> float:
        size, loss = self.case.batch_size, torch.zeros((), dtype=torch.float64)
        for first in range(0, len(order), size):
            loss += self._update(order[first : first + size])
        return float(loss)

    def weights(self) -> Weights:
        w_in, w, b, w_out, b_out = (leaf.detach().numpy() for leaf in self.parameters)
        return {"W_in": w_in.T, "W": w.T, "b": b[None], "W_out": w_out.T, "b_out": b_out[None]}

    def _update(self, batch: Array) -> Tensor:
        packed = pack(self.case.offsets, batch)
        labels = self.labels[torch.from_numpy(packed.order)]
        last = self._last_states(torch.from_numpy(packed.rows), packed.counts)
        loss = self._loss(functional.linear(last, self.parameters[3], self.parameters[4]), labels)
        gradients = torch.autograd.grad(loss / len(batch), self.parameters)
        with torch.no_grad():
            for w, v, g in zip(self.parameters, self.velocity, gradients, strict=True):
                if w.dim() == 2:
                    g.add_(torch.sign(w), alpha=self.case.l1)
                v.mul_(self.case.momentum).add_(g, alpha=-self.case.rate)
                w.add_(v)
        return loss.detach()

    def _last_states(self, rows: Tensor, counts: list[int]) -> Tensor:
        x, n, sigma = self.values[rows], counts[0], self.case.noise
        w_in, w, b = self.parameters[:3]
        noise = None
        if sigma:
            noise = torch.empty((len(x), w.shape[0]), dtype=x.dtype).normal_(0, sigma)
            before = torch.cat([torch.zeros_like(noise[:n]), noise[n:]])
            x, w_in = torch.cat([x, before], 1), torch.cat([w_in, w], 1)
        start = torch.zeros((1, n, w.shape[0]), dtype=x.dtype)
        flat = [w_in, w, b, self.no_bias]
        # This is what nn.RNN.forward calls; the module itself cannot hold weights that are tied.
        _, last = torch._VF.rnn_relu(x, torch.tensor(counts), start, flat, True, 1, 0.0, True, False)
        return last[0] if noise is None else last[0] + noise[:n]

    def _loss(self, z: Tensor, labels: Tensor) -> Tensor:
        first = sum(SOFTMAX_SIZES)
        groups = [torch.softmax(part, 1) for part in z[:, :first].split(SOFTMAX_SIZES, 1)]
        answers = torch.cat([*groups, torch.sigmoid(z[:, first:])], 1)
        return functional.mse_loss(answers, labels, reduction="sum") / N_OUT


class LanguageModel:
    """Every error is carried back to the start of its sentence: autograd does not truncate as the tutorial does.

    The looked-up rows of U are the inputs of nn.RNN with the identity as input weights; U has a sparse gradient.
    """

    def __init__(self, case: TextCase) -> None:
        self.case = replace(case, bptt=len(case.tokens))
        w = {name: torch.from_numpy(value) for name, value in case.weights.items()}
        leaves = w["U"], w["W"].t(), w["V"].t()
        self.parameters = [leaf.clone(memory_format=torch.contiguous_format).requires_grad_() for leaf in leaves]
        self.identity = torch.eye(len(w["W"]), dtype=w["W"].dtype)

    def run(self, order: Array) -> float:
        size, loss = self.case.batch_size, torch.zeros((), dtype=torch.float64)
        for first in range(0, len(order), size):
            loss += self._update(order[first : first + size])
        return float(loss)

    def weights(self) -> Weights:
        u, w, v = (leaf.detach().numpy() for leaf in self.parameters)
        return {"U": u, "W": w.T, "V": v.T}

    def _update(self, batch: Array) -> Tensor:
        packed = pack(self.case.offsets, batch, drop=1)
        words = torch.from_numpy(self.case.tokens[packed.rows]).long()
        targets = torch.from_numpy(self.case.tokens[packed.rows + 1]).long()
        u, w, v = self.parameters
        x = functional.embedding(words, u, sparse=True)
        start = torch.zeros((1, packed.counts[0], w.shape[0]), dtype=u.dtype)
        counts = torch.tensor(packed.counts)
        states, _ = torch._VF.rnn_tanh(x, counts, start, [self.identity, w], False, 1, 0.0, True, False)
        loss = functional.cross_entropy(functional.linear(states, v), targets, reduction="sum")
        du, dw, dv = torch.autograd.grad(loss, self.parameters)
        rate = self.case.rate / len(batch)
        with torch.no_grad():
            u.index_add_(0, du._indices()[0], du._values(), alpha=-rate)
            w.add_(dw, alpha=-rate)
            v.add_(dv, alpha=-rate)
        return loss.detach()
