"""The next-word model: descent, gradient and validation.

    s_t = tanh(U[x_t] + s_{t-1} W)        p_t = softmax(s_t V)        loss_t = -log p_t[y_t],  y_t = x_{t+1}

Plain descent adds factor * gradient to the weights as it goes, with factor = -rate / batch size; V gets its share with
the next pass over it, or at the end of the call. That is the same sequence of operations on each number of V wherever
a run is cut into calls, and the same as an update at once. Every other rule of update needs the whole gradient first.

All threads run the same function. The first computes the recurrent layer while the others wait; all share the parts of
the vocabulary. Letters in shapes: K words of the vocabulary, H hidden units, P their pitch, B panels of w columns.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from trainer.jit import entry, kernel
from trainer.kernels.barrier import meet
from trainer.kernels.language_model_output import PARTS, join_parts, owe, pay_part, read_part
from trainer.kernels.language_model_recurrence import add_recurrent_gradient, read_sentences, run_back, run_forward
from trainer.kernels.linear import clear
from trainer.kernels.optimizers import step
from trainer.kernels.tiles.memory import ahead, begin

DESCEND, GRADIENT, EVALUATE = 0, 1, 2


class Weights(NamedTuple):
    """The parameters; the gradient has the same form."""

    U: Any  # (K, P)
    W: Any  # (H, P)
    V: Any  # (B, H, w), zero behind the last word


class Room(NamedTuple):
    """Scratch memory that the threads share, and what the first one tells the others."""

    rows: Any
    softmax: Any
    owed: Any
    read: Any  # (2), int64: rows read, and rows of the longest sentence
    loss: Any  # (1), float64: the sum over these rows


class Seat(NamedTuple):
    """A thread among those that compute together."""

    number: int
    threads: int
    barrier: Any


class Reach(NamedTuple):
    """How far errors are carried back."""

    depth: int  # steps
    chunk: int  # and not beyond the beginning of a chunk of so many steps


class Model(NamedTuple):
    """What every kernel here looks at, as pointers."""

    weights: Any
    sizes: Any
    room: Any
    reach: Any


@entry
def run(task: int, text: Any, order: Any, batch_size: int, weights: Any, gradient: Any, sizes: Any, room: Any,
        reach: Any, rate: float, sums: Any, seat: Any) -> int:  # fmt: skip
    """A thread's share of DESCEND, GRADIENT or EVALUATE over the sentences of `order`, which are indices into text.

    One function for all, because each entry would be compiled with everything below it.
    """
    model = Model(begin(weights), sizes, begin(room), reach)
    text, seat, sentences, count = begin(text), begin(seat), begin(order), order.shape[0]
    if task == DESCEND:
        return descend(text, sentences, count, batch_size, model, rate, begin(sums), seat)
    if task == GRADIENT:
        add_gradient(text, sentences, count, model, begin(gradient), begin(sums), seat)
    else:
        evaluate(text, sentences, count, model, begin(sums), seat)
    return 0


@kernel
def descend(text: Any, order: Any, count: int, batch_size: int, model: Any, rate: float, sums: Any, seat: Any) -> int:
    """One update for every batch_size sentences; returns how many were made.

    sums: (4), float64: loss and number of words are added to sums[0], sums[1] and to sums[2], sums[3]. Ends at a loss
    that is not finite, before the update it would make; that loss is in the sums.
    """
    done = 0
    for first in range(0, count, batch_size):
        last = min(count, first + batch_size)
        read(text, order, first, last, model, model.reach.chunk, True, seat)
        if seat.number == 0:
            count_loss(model.room, sums)
            count_loss(model.room, ahead(sums, 2))
        if not math.isfinite(model.room.loss[0]):
            break
        if seat.number == 0:
            add_rows_gradient(-rate / (last - first), model, model.weights)
        done += 1
    wait(seat)
    pay(model.weights.V, model, seat)
    return done


@kernel
def add_gradient(text: Any, order: Any, count: int, model: Any, gradient: Any, sums: Any, seat: Any) -> None:
    """gradient += that of the mean over the sentences of their loss; loss and number of words are added to sums (2).

    Ends at a loss that is not finite; that loss is in the sums.
    """
    first = 0
    while first < count:
        last = end_of_group(text, order, first, count, model.sizes.rows)
        read(text, order, first, last, model, model.reach.chunk, True, seat)
        if seat.number == 0:
            count_loss(model.room, sums)
        if not math.isfinite(model.room.loss[0]):
            break
        if seat.number == 0:
            add_rows_gradient(1.0 / count, model, gradient)
        wait(seat)
        pay(gradient.V, model, seat)
        first = last


@kernel
def evaluate(text: Any, order: Any, count: int, model: Any, sums: Any, seat: Any) -> None:
    """Add loss and number of words to sums (2), float64, word by word: how sentences are grouped does not matter."""
    first = 0
    while first < count:
        last = end_of_group(text, order, first, count, model.sizes.rows)
        read(text, order, first, last, model, 1, False, seat)
        if seat.number == 0:
            for t in range(model.room.read[0]):
                sums[0] = sums[0] + model.room.rows.losses[t]
            sums[1] = sums[1] + model.room.read[0]
        first = last


@kernel
def end_of_group(text: Any, order: Any, first: int, count: int, most: int) -> int:
    """One more than the last of the sentences from `first` that together have no more than `most` rows."""
    n, last = 0, first
    while last < count:
        n += text.offsets[order[last] + 1] - text.offsets[order[last]] - 1
        if n > most:
            break
        last += 1
    return last


@kernel
def read(text: Any, order: Any, first: int, last: int, model: Any, chunk: int, learning: bool, seat: Any) -> None:
    """The forward pass of sentences order[first:last], with what goes back from the output layer if `learning`.

    Leaves states, losses and dLoss/dS in room.rows and the sum of the losses in room.loss. V gets what it is owed.
    """
    weights, sizes, room = model.weights, model.sizes, model.room
    if seat.number == 0:
        room.read[0], room.read[1] = read_sentences(text, order, first, last, chunk, room.rows)
        run_forward(room.read[0], weights, sizes, room.rows)
    wait(seat)
    n = room.read[0]
    for part in range(seat.number, PARTS, seat.threads):
        read_part(part, n, room.rows, weights.V, sizes, room.softmax, room.owed, seat.number, learning)
    wait(seat)
    if seat.number == 0:
        room.owed.n[0] = 0
        room.loss[0] = join_parts(n, room.rows, weights.V, sizes, room.softmax, room.owed)
    wait(seat)


@kernel
def add_rows_gradient(factor: float, model: Any, out: Any) -> None:
    """out.U and out.W += factor * gradient of the rows read; that of V is owed."""
    sizes, room = model.sizes, model.room
    n, longest = room.read[0], room.read[1]
    run_back(n, longest, model.reach.depth, model.weights, sizes, room.rows)
    add_recurrent_gradient(n, factor, sizes, room.rows, out)
    owe(n, factor, room.rows, sizes, room.owed)


@kernel
def count_loss(room: Any, sums: Any) -> None:
    """Add loss and number of words of the rows read to sums (2)."""
    sums[0] = sums[0] + room.loss[0]
    sums[1] = sums[1] + room.read[0]


@kernel
def wait(seat: Any) -> None:
    """Come back when all threads have come."""
    meet(seat.barrier, seat.threads)


@kernel
def pay(V: Any, model: Any, seat: Any) -> None:  # noqa: N803
    """V, or its gradient, gets what is owed; when all threads have come, nothing is."""
    for part in range(seat.number, PARTS, seat.threads):
        pay_part(part, V, model.sizes, model.room.softmax, model.room.owed, seat.number)
    wait(seat)
    if seat.number == 0:
        model.room.owed.n[0] = 0


@entry
def update(flat: Any, gradient: Any, memory: Any, rule: Any, number: int) -> None:
    """Update number `number` of this call by a whole gradient.   # (size), (size), (n_slots, size)"""
    step(flat, gradient, memory, rule, number)


@entry
def update_touched(text: Any, batch: Any, pitch: int, dense: int, flat: Any, gradient: Any, memory: Any, rule: Any,
                   number: int) -> None:  # fmt: skip
    """`update` for a rule by which a gradient of zero changes nothing, and the gradient becomes zero.

    flat holds U (K, P) first, then from `dense` on what every update changes. A word that comes twice has a gradient
    of zero the second time.
    """
    step_between(dense, flat.shape[0], flat, gradient, memory, rule, number)
    for sentence in batch:
        for at in range(text.offsets[sentence], text.offsets[sentence + 1] - 1):
            first = text.tokens[at] * pitch
            step_between(first, first + pitch, flat, gradient, memory, rule, number)


@kernel
def step_between(first: int, last: int, flat: Any, gradient: Any, memory: Any, rule: Any, number: int) -> None:
    """Update the numbers first … last-1, and make their gradient zero."""
    step(flat[first:last], gradient[first:last], memory[:, first:last], rule, number)
    clear(gradient[first:last].reshape(1, -1))
