"""The output layer of the next-word model: p_t = softmax(s_t V) and what comes back from it, in one pass over V.

    E = exp(S V - top)        Z = sum of E        loss_t = log Z_t + top_t - s_t V[:, y_t]
    dLoss/dS = E V^T / Z - V[:, y]^T                   dLoss/dV = S^T (E / Z - one-hot of y)

V is the bulk of the memory and of the work. It is stored in panels of a few columns; a block of panels is read once
per update, and while it is in the cache it first gets what the update before owes it, then gives logits, exponentials
and its share of dLoss/dS. Each part of the vocabulary has maxima and sums of its own, which `join_parts` combines in
the order of the parts: so it does not matter how many threads shared them out.
Everything is a pointer. Letters in shapes: R rows that there is room for, of which n are used, H hidden units, P their
pitch, B panels of w columns.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from trainer.jit import inlined, kernel
from trainer.kernels.language_model_recurrence import add_scaled, copy, set_scaled
from trainer.kernels.tiles.functions import exp
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.panels import add_row_dots
from trainer.kernels.tiles.products import lanes, product
from trainer.kernels.tiles.vectors import choose, greatest_lane, load, store, sum_of_lanes

PARTS = 8
BLOCK = 16  # panels: with H = 100 about 100 kB of V, which the second-level cache holds


class Softmax(NamedTuple):
    """Room for the softmax of R rows."""

    exponentials: Any  # (B, R, w), E
    tops: Any  # (B, R), what was subtracted in the block that begins with this panel
    part_tops: Any  # (PARTS, R), the greatest logit of each part
    part_sums: Any  # (PARTS, R), the sum of E of each part, for part_tops
    part_errors: Any  # (PARTS, R, P), E V^T of each part, for part_tops
    target_logits: Any  # (R)


class Owed(NamedTuple):
    """factor * S^T (E / Z - one-hot of y), the gradient of V that is still to be added to a matrix."""

    n: Any  # (1), int64: rows
    factor: Any  # (1)
    states: Any  # (R, P), S
    targets: Any  # (R), int32, y
    tops: Any  # (R), the greatest logit
    shares: Any  # (R), factor / Z
    scaled: Any  # (threads, R, P), scratch


@inlined
def panels_of(part: int, n_panels: int) -> Any:
    """The first panel of a part, and the first behind it."""
    return part * n_panels // PARTS, (part + 1) * n_panels // PARTS


@kernel
def read_part(part: int, n: int, rows: Any, V: Any, sizes: Any, softmax: Any, owed: Any, thread: int,  # noqa: N803
              learning: bool) -> None:  # fmt: skip
    """The pass over one part: V gets what it is owed, then maxima, sums and, if `learning`, errors of n rows."""
    first, last = panels_of(part, sizes.panels)
    errors = ahead(softmax.part_errors, part * sizes.rows * sizes.pitch)
    for t in range(n):
        softmax.part_tops[part * sizes.rows + t] = -math.inf
        softmax.part_sums[part * sizes.rows + t] = 0
        clear(ahead(errors, t * sizes.pitch), sizes.pitch)
    for panel in range(first, last, BLOCK):
        behind = min(last, panel + BLOCK)
        pay_block(panel, behind, V, sizes, softmax, owed, thread)
        set_logits(panel, behind, n, rows.states, V, sizes, softmax.exponentials)
        note_targets(panel, behind, n, rows.targets, sizes, softmax)
        hide_padding(behind, n, sizes, softmax.exponentials)
        exponentiate(panel, behind, n, part, sizes, softmax)
        if learning:
            add_errors(panel, behind, n, V, sizes, softmax.exponentials, errors)


@kernel
def pay_part(part: int, V: Any, sizes: Any, softmax: Any, owed: Any, thread: int) -> None:  # noqa: N803
    """Give a part of V, or of its gradient, what it is owed."""
    first, last = panels_of(part, sizes.panels)
    for panel in range(first, last, BLOCK):
        pay_block(panel, min(last, panel + BLOCK), V, sizes, softmax, owed, thread)


@kernel
def pay_block(first: int, behind: int, V: Any, sizes: Any, softmax: Any, owed: Any, thread: int) -> None:  # noqa: N803
    """V += factor * S^T (E / Z - one-hot of y)                # (H, w) += (R, H).T @ (R, w), for each panel"""
    n, hidden, pitch, width = owed.n[0], sizes.hidden, sizes.pitch, sizes.width
    if n == 0:
        return
    scaled = ahead(owed.scaled, thread * sizes.rows * pitch)
    for t in range(n):
        share = owed.shares[t] * math.exp(softmax.tops[first * sizes.rows + t] - owed.tops[t])
        set_scaled(ahead(scaled, t * pitch), share, ahead(owed.states, t * pitch), pitch)
    for panel in range(first, behind):
        v, e = ahead(V, panel * hidden * width), ahead(softmax.exponentials, panel * sizes.rows * width)
        product(v, width, scaled, 1, pitch, e, width, hidden, width, n, True)
    for t in range(n):
        word = owed.targets[t]
        if first * width <= word < behind * width:
            column, state = ahead(V, word // width * hidden * width + word % width), ahead(owed.states, t * pitch)
            for h in range(hidden):
                column[h * width] = column[h * width] - owed.factor[0] * state[h]


@kernel
def set_logits(first: int, behind: int, n: int, states: Any, V: Any, sizes: Any, out: Any) -> None:  # noqa: N803
    """out = S V                                               # (R, w) = (R, H) @ (H, w), for each panel"""
    hidden, pitch, width = sizes.hidden, sizes.pitch, sizes.width
    for panel in range(first, behind):
        v, logits = ahead(V, panel * hidden * width), ahead(out, panel * sizes.rows * width)
        product(logits, width, states, pitch, 1, v, width, n, width, hidden, False)


@kernel
def note_targets(first: int, behind: int, n: int, targets: Any, sizes: Any, softmax: Any) -> None:
    """Keep the logits of the words that come next, before they are exponentials."""
    width = sizes.width
    for t in range(n):
        word = targets[t]
        if first * width <= word < behind * width:
            at = (word // width * sizes.rows + t) * width + word % width
            softmax.target_logits[t] = softmax.exponentials[at]


@kernel
def hide_padding(behind: int, n: int, sizes: Any, logits: Any) -> None:
    """The columns behind the last word are no words: exp(-inf) = 0."""
    if behind == sizes.panels:
        for t in range(n):
            row = ahead(logits, ((behind - 1) * sizes.rows + t) * sizes.width)
            for column in range(sizes.words - (behind - 1) * sizes.width, sizes.width):
                row[column] = -math.inf


@kernel
def exponentiate(first: int, behind: int, n: int, part: int, sizes: Any, softmax: Any) -> None:
    """E = exp(logits - top) in place, top being the greatest of the part up to here.

    The sums and errors of the part so far are brought to the new top.
    """
    step, pitch = sizes.rows * sizes.width, sizes.pitch
    for t in range(n):
        row, at = ahead(softmax.exponentials, first * step + t * sizes.width), part * sizes.rows + t
        last_top, total = softmax.part_tops[at], softmax.part_sums[at]
        top = max(last_top, greatest_of_panels(row, behind - first, step, sizes.width))
        if top != last_top:
            shrunk = math.exp(last_top - top)
            error = ahead(softmax.part_errors, at * pitch)
            set_scaled(error, shrunk, error, pitch)
            softmax.part_tops[at], total = top, total * shrunk
        softmax.tops[first * sizes.rows + t] = top
        softmax.part_sums[at] = total + exponentiate_panels(row, behind - first, step, sizes.width, top)


@kernel
def greatest_of_panels(row: Any, panels: int, step: int, width: int) -> Any:
    """The greatest number of a row that goes on in the next panel `step` numbers further."""
    greatest = load(row)
    for panel in range(panels):
        for column in range(0, width, lanes(row)):
            x = load(ahead(row, panel * step + column))
            greatest = choose(x > greatest, x, greatest)
    return greatest_lane(greatest)


@kernel
def exponentiate_panels(row: Any, panels: int, step: int, width: int, top: Any) -> Any:
    """Such a row becomes exp(row - top); returns its sum.

    Two vectors at a time: the processor computes one while it waits for the other.
    """
    total = zeros(load(row))
    for panel in range(panels):
        for column in range(0, width, 2 * lanes(row)):
            here = ahead(row, panel * step + column)
            there = ahead(here, lanes(row))
            e, f = exp(load(here) - top), exp(load(there) - top)
            store(here, e)
            store(there, f)
            total = total + (e + f)
    return sum_of_lanes(total)


@inlined
def zeros(like: Any) -> Any:
    """A vector of zeros, whatever `like` holds."""
    return choose(like > like, like, 0.0)


@kernel
def clear(out: Any, n: int) -> None:
    """out = 0                                                 # (n)"""
    for j in range(0, n, lanes(out)):
        store(ahead(out, j), 0.0)


@kernel
def add_errors(first: int, behind: int, n: int, V: Any, sizes: Any, exponentials: Any, errors: Any) -> None:  # noqa: N803
    """errors += E V^T                                         # (R, H) += (R, columns) @ (H, columns).T"""
    step_e, step_v = sizes.rows * sizes.width, sizes.hidden * sizes.width
    add_row_dots(errors, sizes.pitch, ahead(exponentials, first * step_e), step_e, ahead(V, first * step_v), step_v,
                 n, sizes.hidden, behind - first)  # fmt: skip


@kernel
def join_parts(n: int, rows: Any, V: Any, sizes: Any, softmax: Any, owed: Any) -> float:  # noqa: N803
    """Loss of n rows, in float64. Leaves the loss and dLoss/dS of each in rows, and 1 / Z in owed.shares."""
    loss = 0.0
    for t in range(n):
        top = softmax.part_tops[t]
        for part in range(1, PARTS):
            top = max(top, softmax.part_tops[part * sizes.rows + t])
        total = 0.0
        for part in range(PARTS):
            at = part * sizes.rows + t
            total += float(softmax.part_sums[at]) * math.exp(float(softmax.part_tops[at]) - float(top))
        rows.losses[t] = math.log(total) + float(top) - float(softmax.target_logits[t])
        loss += rows.losses[t]
        owed.tops[t], owed.shares[t] = top, 1.0 / total
        join_errors(t, top, total, rows, V, sizes, softmax)
    return loss


@kernel
def join_errors(t: int, top: Any, total: float, rows: Any, V: Any, sizes: Any, softmax: Any) -> None:  # noqa: N803
    """error = E V^T / Z - V[:, y] of row t                    # (P)"""
    hidden, pitch, width, word = sizes.hidden, sizes.pitch, sizes.width, rows.targets[t]
    error = ahead(rows.errors, t * pitch)
    clear(error, pitch)
    for part in range(PARTS):
        at = part * sizes.rows + t
        share = math.exp(float(softmax.part_tops[at]) - float(top)) / total
        add_scaled(error, share, ahead(softmax.part_errors, at * pitch), pitch)
    column = ahead(V, word // width * hidden * width + word % width)
    for h in range(hidden):
        error[h] = error[h] - column[h * width]


@kernel
def owe(n: int, factor: float, rows: Any, sizes: Any, owed: Any) -> None:
    """From now on factor * dLoss/dV of these rows is owed; join_parts has left 1 / Z in owed.shares."""
    owed.n[0] = n
    owed.factor[0] = factor
    for t in range(n):
        owed.shares[t] = owed.shares[t] * owed.factor[0]
        owed.targets[t] = rows.targets[t]
        copy(ahead(owed.states, t * sizes.pitch), ahead(rows.states, t * sizes.pitch), sizes.pitch)
