"""What the classifier answers: loss and errors head by head, confusion, what each feature is worth, samples.

All of it from Classifier.predict, without noise, at the end of an epoch; nothing here is a kernel.
Letters in shapes: N sequences, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Head, HeadKind, LossKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Training or validation data of a classifier."""

    values: Floats  # (rows, n_in)
    offsets: Ints  # (N+1)
    targets: Floats  # (N, O)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was answered, and what would have been right."""

    heads: tuple[Head, ...]
    given: Floats  # (N, O)
    right: Floats  # (N, O)

    def by_head(self) -> Iterator[tuple[Head, Doubles, Doubles]]:
        """Each head with its columns of answers and targets, (N, size)."""
        first = 0
        for head in self.heads:
            columns = slice(first, first + head.size)
            yield head, self.given[:, columns].astype(np.float64), self.right[:, columns].astype(np.float64)
            first += head.size


def head_losses(answers: Answers, kind: LossKind) -> dict[str, float]:
    """Each head's part of the loss, by name: they add up to it (a mean over all outputs, where it is mse)."""
    parts = {head.name: _loss(head, a, y, kind) for head, a, y in answers.by_head()}
    share = answers.given.shape[1] if kind is LossKind.MSE else 1
    return {name: float(loss.sum(axis=1).mean()) / share for name, loss in parts.items()}


def _loss(head: Head, a: Doubles, y: Doubles, kind: LossKind) -> Doubles:
    """(N, size); a probability of 0 counts as the smallest positive number."""
    least = np.finfo(np.float64).tiny
    if kind is LossKind.MSE:
        return (a - y) ** 2
    if head.kind is HeadKind.LINEAR:
        return (a - y) ** 2 / 2
    loss: Doubles = -y * np.log(np.maximum(a, least))
    return loss - (1 - y) * np.log(np.maximum(1 - a, least)) if head.kind is HeadKind.SIGMOID else loss


def head_errors(answers: Answers) -> dict[str, float]:
    """The share of wrong decisions by head: the greatest of a softmax, every output of a sigmoid at 1/2."""
    found = {}
    for head, a, y in answers.by_head():
        if head.kind is HeadKind.SOFTMAX:
            found[head.name] = float((a.argmax(axis=1) != y.argmax(axis=1)).mean())
        elif head.kind is HeadKind.SIGMOID:
            found[head.name] = float(((a > 0.5) != (y > 0.5)).mean())
    return found


def confusion(answers: Answers) -> dict[str, Ints]:
    """For each softmax head (size, size): how often the class of the row was answered with that of the column."""
    found = {}
    for head, a, y in answers.by_head():
        if head.kind is HeadKind.SOFTMAX:
            pairs = y.argmax(axis=1) * head.size + a.argmax(axis=1)
            found[head.name] = np.bincount(pairs, minlength=head.size**2).reshape(head.size, head.size)
    return found


def recalls(matrices: dict[str, Ints]) -> dict[str, float]:
    """`val_recall_HEAD_CLASS`: the share of a class that was recognised; left out for a class that does not occur."""
    return {
        f"val_recall_{name}_{c}": float(matrix[c, c] / row.sum())
        for name, matrix in matrices.items()
        for c, row in enumerate(matrix)
        if row.sum()
    }


def without_feature(part: Part) -> Iterator[Part]:
    """The data once for each feature, with that feature replaced by its mean over all steps."""
    for j, mean in enumerate(part.values.mean(axis=0, dtype=np.float64)):
        values = part.values.copy()
        values[:, j] = mean
        yield replace(part, values=values)


def confusion_lines(epoch: int, matrix: Ints, *, with_header: bool) -> str:
    """CSV: epoch, class, how often it was answered with class 0, 1, …"""
    header = f"epoch,class,{','.join(f'answered_{c}' for c in range(len(matrix)))}\n" if with_header else ""
    return header + "".join(f"{epoch},{c},{','.join(str(n) for n in row)}\n" for c, row in enumerate(matrix))


def sample_lines(epoch: int, answers: Answers) -> str:
    """CSV with a header: one line for each output of each of these sequences."""
    lines = [
        f"{epoch},{n},{head.name},{j},{y[n, j]:.6g},{a[n, j]:.6g}\n"
        for head, a, y in answers.by_head()
        for n in range(len(a))
        for j in range(head.size)
    ]
    return "epoch,sequence,head,output,target,answer\n" + "".join(lines)
