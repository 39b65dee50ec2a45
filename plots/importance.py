"""What mattered: how much worse a random forest guesses unseen runs when it does not see one parameter."""

from typing import Any

import numpy as np

from plots.asking import Ask
from plots.chosen import Chosen
from plots.figures import Figures, figures, sides
from plots.picture import Bar, Bars, Floats, Picture
from store.errors import UserError
from store.store import Store

FEWEST, FEW = 10, 40
_FOLDS, _ROUNDS, _TREES, _SHUFFLES = 5, 3, 64, 10
_TRUSTED = 0.5


def importance(ask: Ask, among: Chosen, _store: Store) -> Picture:
    """Permutation importance (Breiman 2001) on held-out runs of repeated cross-validation. Raises UserError."""
    found = figures(ask, among)
    names = sides(among, found, needed=1)
    if len(found.runs) < FEWEST:
        raise UserError(
            f"importance needs at least {FEWEST} runs with a finite {found.metric}, and here are {len(found.runs)}; "
            "see: labq plot … --kind scatter"
        )
    table = np.column_stack([coded([among.params[one.id].get(name) for one in found.runs]) for name in names])
    target = target_of(found)
    scores, explained = measured(table, target, seed=ask.seed)
    order = np.argsort(-np.median(scores, axis=0))
    bars = tuple(
        Bar(
            name=names[place],
            value=float(np.median(scores[:, place])),
            low=float(np.quantile(scores[:, place], 0.1)),
            high=float(np.quantile(scores[:, place], 0.9)),
        )
        for place in order.tolist()
    )
    return Picture(
        title=f"importance for {found.metric} · {among.title}",
        rows=(
            (
                Bars(
                    label="R² lost on unseen runs when the parameter is shuffled",
                    bars=bars,
                ),
            ),
        ),
        notes=(*_said(len(found.runs), explained), "line: 10 % to 90 % of the folds", *found.notes),
    )


def _said(count: int, explained: float) -> list[str]:
    share = f"{max(explained, 0):.0%}"
    told = [f"a random forest explains {share} of the differences between runs that it has not seen ({count} runs)"]
    if explained < _TRUSTED:
        told.append("that is little: the order of these bars says next to nothing")
    elif count < FEW:
        told.append(f"{count} runs are few: take it as a hint")
    return told


def target_of(found: Figures) -> Floats:
    """Ranks: one run that diverged would be all that counts otherwise."""
    return np.unique(np.array(found.values), return_inverse=True)[1].astype(np.float64)


def coded(values: list[Any]) -> Floats:
    """Trees ask for an order alone: places among the sorted values; what a run lacks is one more."""
    from notify.siblings import key_of, rising

    distinct = sorted({key_of(value): value for value in values if value is not None}.values(), key=rising)
    places = {key_of(value): float(place) for place, value in enumerate(distinct)}
    return np.array([-1.0 if value is None else places[key_of(value)] for value in values])


def measured(table: Floats, target: Floats, *, seed: int) -> tuple[Floats, float]:
    """Of every fold and parameter the loss of R², (folds, parameters), and the R² of all folds together."""
    try:
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.metrics import r2_score
        from sklearn.model_selection import KFold
    except ImportError as error:
        raise UserError("importance needs scikit-learn: pip install 'labq[importance]'") from error
    scores, explained = [], []
    for turn in range(_ROUNDS):
        guesses = np.empty(len(target))
        for train, test in KFold(_FOLDS, shuffle=True, random_state=seed + turn).split(table):
            forest = RandomForestRegressor(_TREES, random_state=seed, n_jobs=1).fit(table[train], target[train])
            guesses[test] = forest.predict(table[test])
            scores.append(_shuffled(forest, table[test], target[test], seed + turn))
        explained.append(float(r2_score(target, guesses)))
    variance = float(np.var(target)) or 1.0
    return np.array(scores) / variance, float(np.median(explained))


def _shuffled(forest: Any, table: Floats, target: Floats, seed: int) -> Floats:
    """The rise of the squared error, parameter by parameter, (parameters,). All shuffles are guessed at once."""
    dice = np.random.default_rng(seed)
    many = np.tile(table, (1 + table.shape[1] * _SHUFFLES, 1)).reshape(-1, *table.shape)  # (1 + P * shuffles, n, P)
    for place in range(1, len(many)):
        name = (place - 1) // _SHUFFLES
        many[place, :, name] = dice.permutation(table[:, name])
    guesses = forest.predict(many.reshape(-1, table.shape[1])).reshape(len(many), -1)
    errors = ((guesses - target) ** 2).mean(axis=1)
    rises: Floats = errors[1:].reshape(table.shape[1], _SHUFFLES).mean(axis=1) - errors[0]
    return rises
