"""By how much the validation loss rises when the network does not see an input feature."""

import re

import numpy as np

from plots.asking import Ask
from plots.at_end import at_end
from plots.chosen import Chosen
from plots.picture import Bar, Bars, Floats, Picture, array
from store.errors import UserError
from store.outcomes import Outcome
from store.store import Store

_NAME = re.compile(r"feature_(\d+)")
MOST_BARS, MOST_RUNS = 40, 60


def features(ask: Ask, among: Chosen, store: Store) -> Picture:
    """One run's, or the mean of several with the range in which they lie. Raises UserError where no run has any."""
    runs = among.ranked(among.main_metric())[: ask.top or MOST_RUNS]
    found = {one.id: values for one in runs if len(values := _of(one, store))}
    without = [one for one in runs if one.id not in found]
    if not found:
        raise UserError(
            f"{among.title}: nothing is known about input features. Classifiers of labq's trainer keep it at their end "
            '(answers-at-end.json), or as metrics feature_J after every epoch with watch = ["features"]'
        )
    size = max(map(len, found.values()))
    if any(len(values) != size for values in found.values()):
        sizes = sorted({len(values) for values in found.values()})
        raise UserError(f"{among.title}: the runs have different numbers of features ({', '.join(map(str, sizes))})")
    table = np.vstack(list(found.values()))
    notes = [among.lacking("errors per input feature", without)]
    if len(runs) < len(among.outcomes):
        notes.append(f"the best {len(runs)} of {len(among.outcomes):,} runs")
    if len(found) > 1:
        notes.append(f"mean of {len(found)} runs; line: from the least to the greatest")
    order = np.argsort(-table.mean(axis=0))
    if size > MOST_BARS:
        notes.append(f"the {MOST_BARS} that count most, of {size}")
    bars = tuple(_bar(table, place) for place in order[:MOST_BARS].tolist())
    label = "rise of the validation loss when the feature is replaced by its mean"
    return Picture(
        title=f"error per input feature · {among.title}",
        rows=((Bars(label=label, bars=bars),),),
        notes=tuple(note for note in notes if note),
    )


def _bar(table: Floats, place: int) -> Bar:
    column = table[:, place]
    ends = (float(column.min()), float(column.max())) if len(column) > 1 else (None, None)
    return Bar(name=f"feature {place}", value=float(column.mean()), low=ends[0], high=ends[1])


def _of(one: Outcome, store: Store) -> Floats:
    """The last metrics, else the file of the end; empty: there is neither."""
    numbers = {int(match[1]): name for name in one.summary if (match := _NAME.fullmatch(name))}
    if numbers and set(numbers) == set(range(len(numbers))):
        return array([one.summary[numbers[place]].last for place in range(len(numbers))])
    kept = at_end(one, store)
    return array([]) if kept is None else kept.features
