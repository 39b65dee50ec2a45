"""Whether a whole history is what its recipe meant, by simple arithmetic on all of it: none of the diagnosis' own rules."""

from __future__ import annotations

from typing import Any

import numpy as np


def values(history: dict[str, Any], name: str) -> Any:
    """All values of a metric, or an empty array."""
    for group in history["groups"]:
        if name in group["values"]:
            return np.array(group["values"][name], dtype=float)
    return np.zeros(0)


def finite(history: dict[str, Any]) -> bool:
    return all(np.isfinite(v).all() for g in history["groups"] for n, v in g["values"].items() if "perplexity" not in n)


def _last(v: Any, share: float = 0.1) -> float:
    return float(np.median(v[-max(3, int(len(v) * share)) :]))


def healthy(history: dict[str, Any]) -> bool:
    """It learnt, it never got worse than at its begin, it ended near its best, and its second half was not in vain."""
    train, val = values(history, "train_loss"), values(history, "val_loss")
    if not finite(history) or len(val) < 5:
        return False
    gain, half = val[0] - val.min(), len(val) // 2
    return bool(
        gain > (0.12 if len(values(history, "train_perplexity")) else 0.3) * val[0]
        and _last(val) < val.min() + 0.08 * gain
        and max(train.max(), val.max()) < 1.05 * max(train[0], val[0])
        and val[:half].min() - val[half:].min() > 0.02 * gain
        and train[:half].min() - train[half:].min() > 0.02 * (train[0] - train.min())
        and (values(history, "dead_units") < 0.35).all()
    )


def over_fits(history: dict[str, Any]) -> bool:
    train, val = values(history, "train_loss"), values(history, "val_loss")
    best = int(val.argmin()) if len(val) else 0
    return bool(
        finite(history) and len(val) - best > 5 and _last(val) > 1.1 * val[best] and _last(train) < 0.85 * train[best]
    )


def diverges(history: dict[str, Any]) -> bool:
    train = values(history, "train_loss")
    return bool(
        len(train) > 8 and np.isfinite(train).all() and min(_last(train, 0.35), train[-1]) > 1.4 * np.median(train[:3])
    )


def is_not_finite(history: dict[str, Any]) -> bool:
    return not all(
        np.isfinite(v).all() for g in history["groups"] for n, v in g["values"].items() if "perplexity" not in n
    )


def stalls(history: dict[str, Any]) -> bool:
    """Nothing gained in the last 60 percent."""
    train, val = values(history, "train_loss"), values(history, "val_loss")
    if not finite(history) or len(val) < 20:
        return False
    cut = int(len(val) * 0.4)
    still = [v[:cut].min() - v[cut:].min() < 0.01 * max(v[0] - v.min(), 0.02 * v[0]) for v in (train, val)]
    return bool(all(still) and _last(val) < 1.05 * val.min())


def worse_than(history: dict[str, Any], good: dict[str, Any]) -> bool:
    """Much less learnt than the same run with a good rate."""
    mine, its = values(history, "train_loss"), values(good, "train_loss")
    return bool(np.isfinite(mine).all() and len(mine) and _last(mine, 0.2) > max(2 * _last(its, 0.2), 0.3 * its[0]))


def much_slower_than(history: dict[str, Any], good: dict[str, Any]) -> bool:
    mine, its = values(history, "train_loss"), values(good, "train_loss")
    return bool(
        np.isfinite(mine).all()
        and 0 < mine[0] - _last(mine) < 0.2 * (its[0] - _last(its))
        and _last(mine) < mine[0] * 0.999
    )


def dies(history: dict[str, Any]) -> bool:
    dead = values(history, "dead_units")
    return bool(len(dead) > 8 and (dead[-4:] > 0.6).all())


def layers(history: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        n: np.array(v, dtype=float)
        for g in history["groups"]
        for n, v in g["values"].items()
        if n.startswith(prefix + "_")
    }


def explodes(history: dict[str, Any]) -> bool:
    """A gradient a hundred times as long as in the first tenth, five times or more, while the loss got worse."""
    whole, train = values(history, "gradient_norm"), values(history, "train_loss")
    if len(whole) < 8 or not np.isfinite(whole).all() or len(train) < 5:
        return False
    early = np.median(whole[: max(3, len(whole) // 10)])
    return bool((whole > 100 * early).sum() > 4 and _last(train) > train.min() + 0.3 * (train[0] - train.min()))


def slows(history: dict[str, Any]) -> bool:
    """Steps of the last third take more than twice as long as those of the first fifth."""
    gaps = np.diff(history["groups"][0]["times"])
    return bool(len(gaps) > 50 and np.mean(gaps[-len(gaps) // 3 :]) > 2.2 * np.mean(gaps[: len(gaps) // 5]))


def vanishes(history: dict[str, Any]) -> bool:
    """Some layer's gradient is less than a thousandth of another's for the most part, and little is learnt."""
    found, val = layers(history, "gradient_norm"), values(history, "val_loss")
    if not found or not finite(history) or len(val) < 5:
        return False
    table = np.stack(list(found.values()))
    ratio = np.median(table.min(axis=0) / np.maximum(table.max(axis=0), 1e-300))
    return bool(ratio < 1e-3 and val[0] - val.min() < 0.3 * val[0])


def grows(history: dict[str, Any]) -> bool:
    """Some layer's weights end more than fifteen times as long as they were, and still grow."""
    found = {n: v for n, v in layers(history, "norm").items() if "_b" not in n}
    return any(
        np.isfinite(v).all() and v[-1] > 15 * v[0] and v[-1] > 1.1 * v[int(len(v) * 0.7)]
        for v in found.values()
        if len(v) > 8
    )


def fills(history: dict[str, Any]) -> bool:
    """More than half of the way from where memory or disk began to full is gone."""
    samples = history["samples"]
    memory, free = np.array(samples["memory_bytes"]), np.array(samples["disk_free_bytes"])
    base = np.median(memory[: len(memory) // 10])
    return bool((memory.max() - base) > 0.5 * (history["memory_limit_bytes"] - base) or free[-1] < 0.5 * free[0])
