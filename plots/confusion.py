"""Confusion matrices: how often each class was answered with which."""

import numpy as np

from plots.asking import Ask
from plots.at_end import at_end, watched
from plots.chosen import Chosen
from plots.picture import Floats, Heat, Picture
from store.errors import UserError
from store.outcomes import Outcome
from store.store import Store

MOST_RUNS, PER_ROW = 6, 2


def confusion(ask: Ask, among: Chosen, store: Store) -> Picture:
    """The best runs' matrices, each head by itself. Raises UserError where no run has one."""
    most = ask.top or MOST_RUNS
    runs = among.ranked(among.main_metric())
    found: list[Heat] = []
    without: list[Outcome] = []
    for looked, one in enumerate(runs):
        if len(found) and looked - len(without) >= most:
            break
        maps = _of(one, ask, among, store)
        found += maps
        without += [] if maps else [one]
    if not found:
        at = "" if ask.epoch is None else f" of epoch {ask.epoch}"
        raise UserError(
            f"{among.title}: there is no confusion matrix{at}. Classifiers of labq's trainer with a softmax head keep "
            'one at their end (answers-at-end.json), and one for each epoch with watch = ["confusion"]'
        )
    drawn = len(runs) if len(runs) <= most else most
    notes = ["rows: what is right; columns: what was answered; colour: the share of the row"]
    if len(among.outcomes) > 1 and drawn < len(runs):
        notes.append(f"the best {drawn} of {len(among.outcomes):,} runs by {among.main_metric()}; more: --top")
    notes.append(among.lacking("confusion matrix", without))
    per_row = min(PER_ROW, len(found))
    return Picture(
        title=f"confusion · {among.title}",
        rows=tuple(tuple(found[start : start + per_row]) for start in range(0, len(found), per_row)),
        notes=tuple(note for note in notes if note),
    )


def _of(one: Outcome, ask: Ask, among: Chosen, store: Store) -> list[Heat]:
    """By epoch from the files of `watch`, else that of the end."""
    every = {head: (epoch, matrix) for head, (epoch, matrix) in watched(one, store, ask.epoch).items()}
    if not every and (kept := at_end(one, store)) is not None and ask.epoch in (None, kept.epoch):
        every = {head: (kept.epoch, matrix) for head, matrix in kept.confusion.items()}
    return [
        _heat(head, epoch, matrix, "" if len(among.outcomes) == 1 else among.names[one.id])
        for head, (epoch, matrix) in every.items()
    ]


def _heat(head: str, epoch: int, matrix: Floats, name: str) -> Heat:
    totals = matrix.sum(axis=1, keepdims=True)
    right = float(np.trace(matrix) / matrix.sum()) if matrix.sum() else float("nan")
    classes = tuple(str(place) for place in range(len(matrix)))
    return Heat(
        title=f"{name} {head}, epoch {epoch}: {right:.1%} right".strip(),
        x_label="answered",
        y_label="class",
        columns=classes,
        rows=classes,
        values=matrix,
        shades=np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0),
        greatest=None,
    )
