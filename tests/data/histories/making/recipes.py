"""What is recorded: for each group a stream of recipes drawn by lot, of which those are kept that hindsight confirms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import hindsight
import numpy as np

History = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """`draw` gives a history (a dictionary) from a generator; `kept` says whether it is what was meant."""

    draw: Callable[[np.random.Generator], History]
    kept: Callable[[History], bool]
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    count: int = 12
    parallel: int = 1
    extra: dict[str, Any] = field(default_factory=dict)


def _train(params: dict[str, Any], data: dict[str, Any]) -> History:
    from trained import train

    return train(params, data)


def _deep(**given: Any) -> History:
    from networks import deep

    with np.errstate(all="ignore"):
        return deep(**given)


def pick(draw: np.random.Generator, *choices: Any) -> Any:
    return choices[int(draw.integers(len(choices)))]


def _log(draw: np.random.Generator, low: float, high: float) -> float:
    return float(f"{np.exp(draw.uniform(np.log(low), np.log(high))):.3g}")


# -- good settings ----------------------------------------------------------------------------------------------------

_RATES = {"sgd": (0.003, 0.02), "adam": (0.0005, 0.004), "rmsprop": (0.0003, 0.002), "adagrad": (0.01, 0.05)}


def classifier_params(draw: np.random.Generator, **given: Any) -> dict[str, Any]:
    optimizer = pick(draw, "sgd", "sgd", "adam", "rmsprop", "adagrad")
    params: dict[str, Any] = {
        "model": "classifier", "optimizer": optimizer, "activation": pick(draw, "relu", "tanh", "capped-relu", "sigmoid"),
        "n_hidden": pick(draw, 20, 40, 80), "batch_size": pick(draw, 10, 25, 50), "epochs": pick(draw, 12, 25, 40, 80),
        "loss": pick(draw, "mse", "cross-entropy"), "learning_rate": _log(draw, *_RATES[optimizer]),
        "noise": pick(draw, 0.0, 0.0, 0.05, 0.3), "l2": pick(draw, 0.0, 1e-5, 1e-4), "seed": int(draw.integers(1000)),
        "learning_rate_decay": pick(draw, 1.0, 0.99, 0.97), "early_stopping": pick(draw, "none", "none", "minimum", "moving-average"),
        "readout": pick(draw, "last", "last", "mean"), "clip_norm": pick(draw, 0, 0, 5.0),
    }  # fmt: skip
    if optimizer == "sgd":
        params |= {"nesterov": pick(draw, True, False), "initial_momentum": 0.5, "final_momentum": pick(draw, 0.5, 0.9)}
    if draw.random() < 0.7:
        params |= {"watch": ["layers"], "watch_every": pick(draw, 20, 50)}
    if params["early_stopping"] != "none":
        params |= {"patience": pick(draw, 5, 10)}
    return params | given


def language_params(draw: np.random.Generator, **given: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "model": "language-model", "n_hidden": pick(draw, 16, 30, 50), "vocabulary_size": pick(draw, 200, 500, 1000),
        "bptt": pick(draw, 4, 8), "learning_rate": _log(draw, 0.003, 0.015), "epochs": pick(draw, 6, 12, 20),
        "learning_rate_decay": pick(draw, 1.0, 0.95, 0.9), "seed": int(draw.integers(1000)),
        "log_every": pick(draw, 50, 200),
    }  # fmt: skip
    if draw.random() < 0.6:
        params |= {"watch": ["layers"], "watch_every": pick(draw, 150, 400)}
    return params | given


def healthy_classifier(draw: np.random.Generator) -> History:
    params = classifier_params(draw)
    data = {
        "kind": pick(draw, "digits", "digits", "sums"),
        "n": pick(draw, 600, 1000, 1700),
        "seed": int(draw.integers(99)),
    }
    if data["kind"] == "sums":
        data |= {"length": pick(draw, 5, 10)}
    return _train(params, data)


def healthy_language(draw: np.random.Generator) -> History:
    return _train(language_params(draw), {"kind": "docs", "sentences": pick(draw, 800, 2000, 4000)})


def healthy_full_batch(draw: np.random.Generator) -> History:
    params = {"model": "classifier", "optimizer": pick(draw, "cg", "l-bfgs", "bfgs"), "activation": pick(draw, "tanh", "relu"), "n_hidden": 15,
              "epochs": pick(draw, 8, 15), "iterations": pick(draw, 3, 5), "loss": "cross-entropy", "l2": 1e-4, "seed": int(draw.integers(99))}  # fmt: skip
    return _train(params, {"kind": "digits", "n": 600, "seed": int(draw.integers(99))})


def healthy_deep(draw: np.random.Generator) -> History:
    activation = pick(draw, "relu", "tanh")
    return _deep(depth=pick(draw, 1, 2, 4), width=pick(draw, 30, 60), activation=activation, learning_rate=_log(draw, 0.003, 0.03),
                 momentum=pick(draw, 0.0, 0.5, 0.9), weight_decay=pick(draw, 0.0, 1e-4, 1e-3), batch=pick(draw, 16, 64), epochs=pick(draw, 10, 20, 30),
                 n=pick(draw, 800, 1300), seed=int(draw.integers(999)), warmup=pick(draw, 0, 0, 100), clip=pick(draw, 0, 0, 1.0), cycle=pick(draw, 0, 0, 5))  # fmt: skip


def healthy_other(draw: np.random.Generator, _turn: list[int] = [0]) -> History:  # noqa: B006  (a counter)
    from networks import PROGRAMMES

    name = ["gan", "reinforce", "boosting", "mixture", "estimate", "recommender"][_turn[0] % 6]
    _turn[0] += 1
    return PROGRAMMES[name](seed=int(draw.integers(999)))


def healthy_fresh(draw: np.random.Generator, _turn: list[int] = [0]) -> History:  # noqa: B006  (a counter)
    """Programmes that the rules were not made with: of the held-out corpus alone."""
    from networks import PROGRAMMES

    name = ["perceptron", "expectation", "q_learning", "logistic"][_turn[0] % 4]
    _turn[0] += 1
    return PROGRAMMES[name](seed=int(draw.integers(999)))


# -- bad ones ---------------------------------------------------------------------------------------------------------


def over_fitting(draw: np.random.Generator) -> History:
    if draw.random() < 0.3:
        return _deep(
            depth=2, width=80, learning_rate=0.03, n=100, epochs=80, batch=20, seed=int(draw.integers(999)), every=20
        )
    optimizer = pick(draw, "sgd", "adam")
    params = {"model": "classifier", "optimizer": optimizer, "activation": pick(draw, "tanh", "relu"), "n_hidden": pick(draw, 50, 100),
              "batch_size": 10, "epochs": pick(draw, 40, 80), "loss": pick(draw, "mse", "cross-entropy"), "learning_rate": 0.01 if optimizer == "sgd" else 0.003, "seed": int(draw.integers(999))}  # fmt: skip
    kind = pick(draw, "noise", "digits", "sums")
    data = {"kind": kind, "n": 300, "seed": int(draw.integers(99))}
    return _train(params, data | ({} if kind == "noise" else {"wrong": pick(draw, 0.3, 0.6)}))


def hot(draw: np.random.Generator, low: float, high: float) -> History:
    """A rate so many times greater than a good one; the history remembers the factor."""
    which = draw.random()
    if which < 0.4:
        return _deep(depth=pick(draw, 2, 4), activation=pick(draw, "relu", "relu", "tanh"), learning_rate=0.02 * _log(draw, low, high), momentum=0.9,
                     epochs=pick(draw, 15, 25), seed=int(draw.integers(999)))  # fmt: skip
    if which < 0.75:
        factor, optimizer = _log(draw, low, high), pick(draw, "sgd", "sgd", "adam", "rmsprop")
        params = {"model": "classifier", "optimizer": optimizer, "activation": pick(draw, "relu", "tanh"), "n_hidden": 40, "batch_size": 20,
                  "epochs": 25, "loss": "cross-entropy", "learning_rate": {"sgd": 0.01, "adam": 0.002, "rmsprop": 0.001}[optimizer] * factor,
                  "seed": int(draw.integers(999)), "watch": ["layers"], "watch_every": 20}  # fmt: skip
        return _train(params, {"kind": "digits", "n": 800})
    params = language_params(draw, learning_rate=0.01 * _log(draw, low, high), epochs=10, vocabulary_size=300, n_hidden=30, log_every=100,
                             learning_rate_decay=1.0, watch=["layers"], watch_every=200)  # fmt: skip
    return _train(params, {"kind": "docs", "sentences": 1500})


@functools.cache
def _good(kind: str) -> History:
    if kind == "deep":
        return _deep(depth=3, learning_rate=0.02, epochs=20)
    return _train(_fixed(0.01), {"kind": "digits", "n": 800})


def _fixed(rate: float, **given: Any) -> dict[str, Any]:
    return {"model": "classifier", "activation": "tanh", "n_hidden": 40, "batch_size": 20, "epochs": 30, "loss": "cross-entropy", "learning_rate": rate,
            "watch": ["layers"], "watch_every": 20, **given}  # fmt: skip


def too_high(draw: np.random.Generator) -> History:
    if draw.random() < 0.4:
        history = _deep(
            depth=3,
            learning_rate=0.02 * _log(draw, 8, 40),
            epochs=20,
            seed=int(draw.integers(999)),
            activation=pick(draw, "relu", "tanh"),
        )
        return history | {"good": _good("deep")}
    rate, seed = 0.01 * _log(draw, 8, 50), int(draw.integers(999))
    activation = pick(draw, "tanh", "relu")
    history = _train(_fixed(rate, seed=seed, activation=activation), {"kind": "digits", "n": 800})
    return history | {"good": _good("rnn")}


def too_low(draw: np.random.Generator) -> History:
    if draw.random() < 0.4:
        history = _deep(
            depth=3,
            learning_rate=0.02 / _log(draw, 300, 3000),
            epochs=20,
            seed=int(draw.integers(999)),
            activation=pick(draw, "relu", "tanh"),
        )
        return history | {"good": _good("deep")}
    rate, seed = 0.01 / _log(draw, 100, 1000), int(draw.integers(999))
    watch = pick(draw, True, False)
    params = _fixed(rate, seed=seed, activation=pick(draw, "tanh", "relu"))
    if not watch:
        params = {k: v for k, v in params.items() if not k.startswith("watch")}
    return _train(params, {"kind": "digits", "n": 800}) | {"good": _good("rnn")}


def stalled(draw: np.random.Generator) -> History:
    """Rates that decay to nothing, too few units, or labels that cannot be told."""
    which = pick(draw, "decay", "small", "done")
    if which == "decay":
        params = _fixed(
            0.01,
            seed=int(draw.integers(999)),
            epochs=80,
            learning_rate_decay=pick(draw, 0.6, 0.75),
            activation=pick(draw, "tanh", "relu"),
        )
        return _train(params, {"kind": "digits", "n": 800})
    if which == "small":
        params = _fixed(
            0.01, seed=int(draw.integers(999)), epochs=100, n_hidden=pick(draw, 1, 2), l2=pick(draw, 1e-3, 1e-2)
        )
        return _train(params, {"kind": "digits", "n": 800})
    params = _fixed(
        0.02,
        seed=int(draw.integers(999)),
        epochs=150,
        n_hidden=40,
        loss="mse",
        l2=pick(draw, 1e-3, 3e-3),
        learning_rate_decay=0.97,
    )
    return _train(params, {"kind": pick(draw, "digits", "sums"), "n": 600})


def dead(draw: np.random.Generator) -> History:
    if draw.random() < 0.5:
        return _deep(
            depth=pick(draw, 2, 3),
            activation="relu",
            bias=pick(draw, -2, -3, -5),
            learning_rate=_log(draw, 0.005, 0.1),
            seed=int(draw.integers(999)),
        )
    params = _fixed(
        0.01 * _log(draw, 20, 150), seed=int(draw.integers(999)), activation=pick(draw, "relu", "capped-relu")
    )
    return _train(params, {"kind": "digits", "n": 800})


def exploding(draw: np.random.Generator) -> History:
    """Rectified recurrent units without a cap over long sequences; clipping, here and there, keeps the run alive."""
    params = _fixed(
        0.01 * _log(draw, 3, 100),
        seed=int(draw.integers(999)),
        activation="relu",
        clip_norm=pick(draw, 0, 1.0, 5.0, 10.0),
        watch_every=10,
    )
    return _train(params, {"kind": "sums", "n": 800, "length": pick(draw, 20, 30, 50)})


def vanishing(draw: np.random.Generator) -> History:
    return _deep(depth=pick(draw, 5, 6, 7, 9), activation=pick(draw, "sigmoid", "sigmoid", "tanh"), init=pick(draw, 1.0, 0.5, 0.2), learning_rate=_log(draw, 0.005, 0.1),
                 seed=int(draw.integers(999)), epochs=15)  # fmt: skip


def vanishing_rnn(draw: np.random.Generator) -> History:
    """Units driven into saturation by a rate that is far too high: nothing passes through them."""
    params = _fixed(
        0.01 * _log(draw, 50, 2000),
        seed=int(draw.integers(999)),
        activation=pick(draw, "sigmoid", "tanh", "capped-relu"),
    )
    return _train(params, {"kind": pick(draw, "digits", "sums"), "n": 800})


def growing(draw: np.random.Generator) -> History:
    which = draw.random()
    if which < 0.6:
        params = _fixed(
            0.01 * _log(draw, 10, 80), seed=int(draw.integers(999)), activation=pick(draw, "tanh", "sigmoid"), epochs=60
        )
        return _train(params, {"kind": pick(draw, "digits", "sums", "noise"), "n": 600})
    return _deep(
        depth=2,
        activation=pick(draw, "tanh", "sigmoid"),
        learning_rate=_log(draw, 0.3, 3),
        epochs=40,
        weight_decay=pick(draw, 0, -1e-3),
        seed=int(draw.integers(999)),
    )


# -- machines ---------------------------------------------------------------------------------------------------------


def _watch(given: dict[str, Any], **more: Any) -> History:
    from resources import watch

    return watch(given, **more)


def _seeded(draw: np.random.Generator, **given: Any) -> dict[str, Any]:
    return {
        "seed": int(draw.integers(999)),
        "step_s": pick(draw, 0.04, 0.06),
        "steps": 180,
        "work": pick(draw, 0.2, 0.4),
        "jitter": pick(draw, 0.05, 0.4),
        **given,
    }


_BUSY = {"busy": [[[0.0, 0.85, 0.1, 0, 0]]]}


def healthy_machine(draw: np.random.Generator, _turn: list[int] = [0]) -> History:  # noqa: B006  (a counter)
    _turn[0] += 1
    kinds: list[Callable[[], History]] = [
        lambda: _watch(_seeded(draw)),
        lambda: _watch(_seeded(draw, garbage_mb=1.0, garbage_most_mb=pick(draw, 15, 40))),
        lambda: _watch(_seeded(draw, cache_mb=2.0, cache_tau=pick(draw, 15, 30))),
        lambda: _watch(_seeded(draw, cache_mb=1.0, cache_most_mb=pick(draw, 20, 40))),
        lambda: _watch(
            _seeded(draw, pause_every=pick(draw, 25, 40), pause_s=pick(draw, 0.5, 1.0), pause_mb=20), disk_mb=500
        ),
        lambda: _watch(
            _seeded(
                draw,
                pause_every=30,
                pause_s=0.6,
                pause_mb=pick(draw, 10, 30),
                keep=3,
                garbage_mb=0.5,
                garbage_most_mb=10,
            ),
            gpus=_BUSY | {"seed": 1},
        ),
        lambda: _watch(
            _seeded(draw, write_mb=0.1),
            disk_mb=500,
            gpus={"busy": [[[0, 0.02, 0.02, 0, 0], [0.05, 0.6, 0.3, 300, 60]]]},
        ),
        lambda: _watch(_seeded(draw, start_s=2.5, start_mb=60, leak_mb=0.02)),
    ]
    return kinds[_turn[0] % len(kinds)]()


def stuck(draw: np.random.Generator) -> History:
    how = pick(draw, "sleep", "busy", "lock", "stop")
    given = _seeded(draw)
    if draw.random() < 0.5:
        given |= {"pause_every": pick(draw, 20, 30), "pause_s": pick(draw, 0.3, 0.6), "pause_mb": 2}
    if how == "stop":
        return _watch(given, seconds=20, outside={"stop_at_s": 5 + draw.uniform(0, 2)})
    return _watch(given | {"halt_at": int(draw.integers(50, 90)), "halt": how}, seconds=20)


def slow(draw: np.random.Generator) -> History:
    how = pick(draw, "itself", "itself", "throttled")
    if how == "itself":
        return _watch(
            _seeded(draw, slow_from=int(draw.integers(60, 90)), slow_factor=_log(draw, 3, 6), jitter=0.2), seconds=16
        )
    return _watch(_seeded(draw, work=0.9), seconds=16, outside={"throttle_from_s": 5.0, "share": pick(draw, 0.15, 0.3)})


def idle_gpu(draw: np.random.Generator) -> History:
    begin = pick(draw, 0.0, 0.3, 0.5)
    first = [[0.0, 0.8, 0.1, 0, 0]] if begin else []
    gpus = [[*first, [begin, 0.01, 0.01, 0, 0]]]
    if draw.random() < 0.4:
        gpus.append([[0.0, 0.8, 0.1, 0, 0]])
    return _watch(_seeded(draw, steps=320), seconds=14, gpus={"busy": gpus, "seed": int(draw.integers(99))})


def leaking(draw: np.random.Generator) -> History:
    given = _seeded(draw, leak_mb=_log(draw, 0.8, 1.2), leak_every=1)
    if draw.random() < 0.4:
        given |= {"leak_mb": 10 * given["leak_mb"], "leak_every": 10}
    if draw.random() < 0.4:
        given |= {"garbage_mb": 1.0, "garbage_most_mb": 12}
    return _watch(given, limit_mb=pick(draw, 150, 200))


def filling(draw: np.random.Generator) -> History:
    given = _seeded(draw, write_mb=_log(draw, 1.0, 3.0))
    if draw.random() < 0.5:
        given |= {"write_mb": 10 * given["write_mb"], "write_every": 10}
    if draw.random() < 0.4:
        given |= {"pause_every": 30, "pause_s": 0.4, "pause_mb": 20}
    return _watch(given, disk_mb=pick(draw, 250, 350))


def _always(_history: History) -> bool:
    return True


def _against_good(test: Callable[[History, History], bool]) -> Callable[[History], bool]:
    return lambda history: test(history, history["good"])


BAD_RATE = ("learning-rate-too-high", "divergence", "not-finite", "exploding-gradients", "dead-units", "growing-weights", "vanishing-gradients", "plateau", "over-fitting")  # fmt: skip

GROUPS: dict[str, Group] = {
    "healthy-classifier": Group(healthy_classifier, hindsight.healthy, count=26),
    "healthy-language": Group(healthy_language, hindsight.healthy, count=8),
    "healthy-full-batch": Group(healthy_full_batch, hindsight.healthy, count=3),
    "healthy-deep": Group(healthy_deep, hindsight.healthy, count=8),
    "healthy-other": Group(healthy_other, _always, count=12),
    "healthy-fresh": Group(healthy_fresh, _always, count=16),
    "healthy-machine": Group(healthy_machine, _always, count=16, parallel=4),
    "over-fitting": Group(over_fitting, hindsight.over_fits, must=("over-fitting",), may=("growing-weights", "dead-units", "plateau", "learning-rate-too-high", "vanishing-gradients")),
    "divergence": Group(lambda d: hot(d, 5, 60), hindsight.diverges, must=("divergence",), may=BAD_RATE),
    "not-finite": Group(lambda d: hot(d, 30, 3000), hindsight.is_not_finite, must=("not-finite",), may=BAD_RATE),
    "rate-too-high": Group(too_high, _against_good(hindsight.worse_than), must=("learning-rate-too-high",), may=BAD_RATE),
    "rate-too-low": Group(too_low, _against_good(hindsight.much_slower_than), must=("learning-rate-too-low",), may=("plateau", "vanishing-gradients")),
    "plateau": Group(stalled, hindsight.stalls, must=("plateau",), may=("vanishing-gradients", "dead-units", "learning-rate-too-low", "growing-weights", "over-fitting")),
    "dead-units": Group(dead, hindsight.dies, must=("dead-units",), may=BAD_RATE),
    "exploding": Group(exploding, hindsight.explodes, must=("exploding-gradients",), may=(*BAD_RATE, "learning-rate-too-low")),
    "vanishing": Group(vanishing, hindsight.vanishes, must=("vanishing-gradients",), may=("plateau", "learning-rate-too-low", "learning-rate-too-high", "dead-units")),
    "vanishing-rnn": Group(vanishing_rnn, hindsight.vanishes, must=("vanishing-gradients",), may=BAD_RATE, count=4),
    "growing": Group(growing, hindsight.grows, must=("growing-weights",), may=BAD_RATE),
    "stuck": Group(stuck, _always, must=("stuck",), may=("slow",), parallel=4),
    "slow": Group(slow, hindsight.slows, must=("slow",), parallel=2),
    "idle-gpu": Group(idle_gpu, _always, must=("idle-gpu",), may=("slow",), parallel=4),
    "leaking": Group(leaking, hindsight.fills, must=("memory-growth",), may=("slow",), parallel=4),
    "filling": Group(filling, hindsight.fills, must=("disk-filling",), may=("slow",), parallel=2),
}  # fmt: skip


def histories(group: Group, seed: int, tries: int) -> Iterator[tuple[History, bool]]:
    """Histories and whether they are kept, until as many are as the group wants."""
    draw, kept = np.random.default_rng(seed), 0
    for _ in range(tries):
        history = group.draw(draw)
        good = group.kept(history)
        history.pop("good", None)
        kept += good
        yield history, good
        if kept == group.count:
            return
