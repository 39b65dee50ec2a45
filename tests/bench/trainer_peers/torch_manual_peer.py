"""PyTorch without autograd: packed rows, backward by hand, everything in place. The fastest way known there."""

from __future__ import annotations

import torch

from trainer_peers.packing import Packed, pack
from trainer_peers.workloads import N_OUT, SOFTMAX_SIZES, Array, ClassifierCase, TextCase, Weights

Tensor = torch.Tensor


class Classifier:
    """A row is [1 | x_t | h_{t-1}], so the gradient of b, W_in and W is one product over all rows of a batch."""

    def __init__(self, case: ClassifierCase) -> None:
        w, self.case = {name: torch.from_numpy(value) for name, value in case.weights.items()}, case
        self.n_in, self.n_hidden = w["W_in"].shape
        self.inner = torch.cat([w["b"], w["W_in"], w["W"]])  # (1+I+H, H)
        self.outer = torch.cat([w["b_out"], w["W_out"]])  # (1+H, O)
        self.velocity = torch.zeros_like(self.inner), torch.zeros_like(self.outer)
        self.gradient = torch.zeros_like(self.inner), torch.zeros_like(self.outer)
        self.values, self.labels = torch.from_numpy(case.values), torch.from_numpy(case.labels)
        longest = int((case.offsets[1:] - case.offsets[:-1]).max())
        n = case.batch_size * longest
        self.x = torch.ones((n, 1 + self.n_in + self.n_hidden), dtype=self.inner.dtype)
        self.z, self.d, self.noise = (torch.zeros((n, self.n_hidden), dtype=self.inner.dtype) for _ in range(3))
        self.last = torch.ones((case.batch_size, 1 + self.n_hidden), dtype=self.inner.dtype)

    @torch.no_grad()
    def run(self, order: Array) -> float:
        size, loss = self.case.batch_size, torch.zeros((), dtype=torch.float64)
        for first in range(0, len(order), size):
            loss += self._update(order[first : first + size])
        return float(loss)

    def weights(self) -> Weights:
        b, w_in, w = self.inner.split([1, self.n_in, self.n_hidden])
        outer = self.outer.numpy()
        return {"b": b.numpy(), "W_in": w_in.numpy(), "W": w.numpy(), "b_out": outer[:1], "W_out": outer[1:]}

    def _update(self, batch: Array) -> Tensor:
        packed = pack(self.case.offsets, batch)
        n, first = len(packed.rows), 1 + self.n_in
        torch.index_select(self.values, 0, torch.from_numpy(packed.rows), out=self.x[:n, 1:first])
        self._forward(packed)
        loss, error = self._read_out(packed, len(batch))
        self._backward(packed, error)
        torch.mm(self.x[:n].t(), self.d[:n], out=self.gradient[0])
        torch.mm(self.last[: len(batch)].t(), error, out=self.gradient[1])
        for w, v, g in zip((self.inner, self.outer), self.velocity, self.gradient, strict=True):
            g[1:].add_(torch.sign(w[1:]), alpha=self.case.l1)
            v.mul_(self.case.momentum).add_(g, alpha=-self.case.rate)
            w.add_(v)
        return loss

    def _forward(self, packed: Packed) -> None:
        """Every view is made by one split before the loop: in a loop they would cost as much as the products."""
        n, first = len(packed.rows), 1 + self.n_in
        self.x[: packed.counts[0], first:] = 0
        z, noise = self.z[:n], self.noise[:n]
        if self.case.noise:
            noise.normal_(0, self.case.noise)
        xs, hs, zs = (rows.split(packed.counts) for rows in (self.x[:n], self.x[:n, first:], z))
        ons, noises = z.split(packed.halves)[::2], noise.split(packed.halves)[::2]
        for t in range(len(packed.counts)):
            torch.mm(xs[t], self.inner, out=zs[t])
            zs[t].clamp_min_(0)
            if t + 1 < len(hs):
                torch.add(ons[t], noises[t], out=hs[t + 1])
        lasts = torch.from_numpy(packed.lasts)
        self.last[: len(lasts), 1:] = z[lasts].add_(noise[lasts])

    def _read_out(self, packed: Packed, n: int) -> tuple[Tensor, Tensor]:
        p = torch.mm(self.last[:n], self.outer)
        e = torch.empty_like(p)
        first = sum(SOFTMAX_SIZES)
        for part in p[:, :first].split(SOFTMAX_SIZES, 1):
            part.copy_(torch.softmax(part, 1))
        p[:, first:].sigmoid_()
        torch.sub(p, self.labels[torch.from_numpy(packed.order)], out=e)
        loss = torch.vdot(e.view(-1), e.view(-1)) / N_OUT
        e.mul_(2 / (N_OUT * n))
        rest = p[:, first:]
        e[:, first:].mul_(rest).mul_(1 - rest)
        for a, b in zip(p[:, :first].split(SOFTMAX_SIZES, 1), e[:, :first].split(SOFTMAX_SIZES, 1), strict=True):
            b.sub_((a * b).sum(1, keepdim=True)).mul_(a)
        return loss, e

    def _backward(self, packed: Packed, error: Tensor) -> None:
        n, w = len(packed.rows), self.inner[1 + self.n_in :].t()
        d = self.d[:n]
        d.index_copy_(0, torch.from_numpy(packed.lasts), error @ self.outer[1:].t())
        ds, zs, ons = d.split(packed.counts), self.z[:n].split(packed.counts), d.split(packed.halves)[::2]
        for t in reversed(range(len(ds))):
            if t + 1 < len(ds):
                torch.mm(ds[t + 1], w, out=ons[t])
            torch.ops.aten.threshold_backward(ds[t], zs[t], 0, grad_input=ds[t])


class LanguageModel:
    """Truncation by levels, and the update of V in one product with itself as the target."""

    def __init__(self, case: TextCase) -> None:
        self.case = case
        self.u, self.w, self.v = (torch.from_numpy(case.weights[name].copy()) for name in "UWV")

    @torch.no_grad()
    def run(self, order: Array) -> float:
        size, loss = self.case.batch_size, torch.zeros((), dtype=torch.float64)
        for first in range(0, len(order), size):
            loss += self._update(order[first : first + size])
        return float(loss)

    def weights(self) -> Weights:
        return {"U": self.u.numpy(), "W": self.w.numpy(), "V": self.v.numpy()}

    def _update(self, batch: Array) -> Tensor:
        packed = pack(self.case.offsets, batch, drop=1)
        words = torch.from_numpy(self.case.tokens[packed.rows]).long()
        targets = torch.from_numpy(self.case.tokens[packed.rows + 1]).long()[:, None]
        previous, first = torch.from_numpy(packed.previous), packed.counts[0]
        states = self._states(packed, words)
        p = torch.log_softmax(states @ self.v, 1)
        loss = -p.gather(1, targets).sum()
        p.exp_()
        p.scatter_add_(1, targets, torch.full_like(targets, -1, dtype=p.dtype))
        total = self._carried(p @ self.v.t(), states, previous, first)
        rate = self.case.rate / len(batch)
        self.v.addmm_(states.t(), p, alpha=-rate)
        self.w.addmm_(states[previous].t(), total[first:], alpha=-rate)
        self.u.index_add_(0, words, total, alpha=-rate)
        return loss

    def _states(self, packed: Packed, words: Tensor) -> Tensor:
        states = self.u.index_select(0, words)
        for t, (count, start) in enumerate(zip(packed.counts, packed.starts, strict=True)):
            row = states[start : start + count]
            if t:
                row.addmm_(states[packed.starts[t - 1] : packed.starts[t - 1] + count], self.w)
            row.tanh_()
        return states

    def _carried(self, level: Tensor, states: Tensor, previous: Tensor, first: int) -> Tensor:
        """D_k = (D_{k-1} W^T) * (1 - s^2), summed over the levels."""
        slope = 1 - states * states
        level.mul_(slope)
        total = level.clone()
        for _ in range(min(self.case.bptt, len(states) - 1)):
            carried = torch.zeros_like(level)
            carried.index_copy_(0, previous, level[first:] @ self.w.t())
            level = carried.mul_(slope)
            total.add_(level)
        return total
