"""Histories of other programmes: a deep network in NumPy, a GAN, REINFORCE, boosting, and whatever else reports numbers."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from recording import Recorder, grouped

STRETCH = 60.0


def _kept(recorder: Recorder, by: str, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "made": {"by": by},
        "params": params,
        "groups": grouped(recorder.lines, STRETCH),
        "output": "\n".join(recorder.output[-40:]),
        "stopped": "",
    }


def _digits(n: int, seed: int) -> tuple[Any, Any, Any, Any]:
    from sklearn.datasets import load_digits

    found = load_digits()
    chosen = np.random.default_rng(seed).permutation(len(found.target))[: n + 400]
    x, y = found.data[chosen] / 16 - 0.3, np.eye(10)[found.target[chosen]]
    return x[:n], y[:n], x[n:], y[n:]


_ACTIVATIONS = {
    "relu": (lambda a: np.maximum(a, 0), lambda h: (h > 0).astype(float)),
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda h: h * (1 - h)),
}


def deep(
    depth: int = 4, width: int = 40, activation: str = "relu", init: float = 1.0, learning_rate: float = 0.05,
    momentum: float = 0.9, weight_decay: float = 0.0, batch: int = 32, epochs: int = 20, n: int = 800, seed: int = 0,
    every: int = 10, bias: float = 0.0, warmup: int = 0, clip: float = 0.0, cycle: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """A network of `depth` hidden layers on handwritten digits; `init` is a factor on He's or Glorot's initial lengths."""
    params = {k: v for k, v in locals().items() if k not in ("seed", "every")}
    x, y, vx, vy = _digits(n, seed)
    draw = np.random.default_rng(seed)
    f, slope = _ACTIVATIONS[activation]
    sizes = [64, *[width] * depth, 10]
    gain = 2.0 if activation == "relu" else 1.0
    w = [draw.normal(0, init * np.sqrt(gain / a), (a, b)) for a, b in pairwise(sizes)]
    w[-1] = draw.normal(0, np.sqrt(1 / width), (width, 10))
    b = [np.full(size, float(bias) if i < depth else 0.0) for i, size in enumerate(sizes[1:])]
    memory = [np.zeros_like(one) for one in (*w, *b)]
    recorder, update = Recorder(), 0
    for _ in range(epochs):
        total = 0.0
        for _ in range(0, n, batch):
            chosen = draw.permutation(n)[:batch]
            hs = [x[chosen]]
            for i in range(depth):
                hs.append(f(hs[-1] @ w[i] + b[i]))
            p = _softmax(hs[-1] @ w[-1] + b[-1])
            loss = float(-np.mean(np.log(np.maximum(np.sum(p * y[chosen], axis=1), 1e-300))))
            delta, gw, gb = (p - y[chosen]) / batch, [None] * (depth + 1), [None] * (depth + 1)
            for i in range(depth, -1, -1):
                gw[i], gb[i] = hs[i].T @ delta, delta.sum(axis=0)
                if i:
                    delta = (delta @ w[i].T) * slope(hs[i])
            lengths = {f"gradient_norm_layer{i + 1}": float(np.linalg.norm(g)) for i, g in enumerate(gw)}
            whole = float(np.sqrt(sum(v * v for v in lengths.values())))
            scale = min(1.0, clip / whole) if clip and whole > clip else 1.0
            rate = learning_rate * min(1.0, (update + 1) / warmup) if warmup else learning_rate
            if cycle:  # cosines that begin anew every so many epochs
                rate *= 0.55 + 0.45 * np.cos(np.pi * ((update * batch / n) % cycle) / cycle)
            moved = []
            for m, one, g in zip(memory, (*w, *b), (*gw, *gb), strict=True):
                m *= momentum
                m -= rate * (scale * g + weight_decay * one)
                one += m
                moved.append(float(np.linalg.norm(m)))
            update += 1
            total += loss
            if update % every == 0:
                ratios = {
                    f"update_ratio_layer{i + 1}": moved[i] / float(np.linalg.norm(w[i])) for i in range(depth + 1)
                }
                recorder.log(update, {"loss": loss, "gradient_norm": whole, **lengths, **ratios})
        hs = [vx]
        for i in range(depth):
            hs.append(f(hs[-1] @ w[i] + b[i]))
        p = _softmax(hs[-1] @ w[-1] + b[-1])
        states = np.concatenate(hs[1:], axis=1)
        flat = states <= 0 if activation == "relu" else np.abs(slope(states)) < 0.02
        recorder.log(update, {
            "train_loss": total / (n // batch + (n % batch > 0)),
            "val_loss": float(-np.mean(np.log(np.maximum(np.sum(p * vy, axis=1), 1e-300)))),
            "val_accuracy": float(np.mean(p.argmax(axis=1) == vy.argmax(axis=1))),
            "learning_rate": rate,
            **{f"norm_layer{i + 1}": float(np.linalg.norm(one)) for i, one in enumerate(w)},
            "dead_units": float(flat.all(axis=0).mean()),
        })  # fmt: skip
    return _kept(recorder, "making/networks.py deep", params)


def _softmax(a: Any) -> Any:
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gan(steps: int = 3000, seed: int = 0, learning_rate: float = 0.01, every: int = 10) -> dict[str, Any]:
    """A generator g(z) = a z + b against a logistic discriminator on (x, x^2): losses that swing for ever."""
    draw, recorder = np.random.default_rng(seed), Recorder()
    a, b, u = 0.3, -1.0, np.zeros(3)
    for step in range(1, steps + 1):
        real, z = draw.normal(2, 0.7, 64), draw.normal(0, 1, 64)
        fake = a * z + b
        fr, ff = (np.stack([np.ones(64), v, v * v]) for v in (real, fake))
        pr, pf = (1 / (1 + np.exp(-np.clip(u @ one, -30, 30))) for one in (fr, ff))
        d_loss = float(-np.mean(np.log(pr + 1e-9)) - np.mean(np.log(1 - pf + 1e-9)))
        u += learning_rate * ((fr * (1 - pr)).mean(axis=1) - (ff * pf).mean(axis=1)) * 5
        g_loss = float(-np.mean(np.log(pf + 1e-9)))
        push = (1 - pf) * (u[1] + 2 * u[2] * fake)
        a, b = a + learning_rate * float(np.mean(push * z)), b + learning_rate * float(np.mean(push))
        if step % every == 0:
            recorder.log(step, {"d_loss": d_loss, "g_loss": g_loss, "mean_of_fakes": b})
    return _kept(recorder, "making/networks.py gan", {"learning_rate": learning_rate, "steps": steps})


def reinforce(episodes: int = 1500, seed: int = 0, learning_rate: float = 0.05, every: int = 10) -> dict[str, Any]:
    """REINFORCE with a baseline in a corridor: the policy's loss is noise around nought, the reward what counts."""
    draw, recorder = np.random.default_rng(seed), Recorder()
    theta, baseline, rewards, losses = np.zeros((8, 2)), 0.0, [], []
    for episode in range(1, episodes + 1):
        place, steps = 0, []
        while place < 7 and len(steps) < 60:
            p = np.exp(theta[place] - theta[place].max())
            p /= p.sum()
            act = int(draw.random() < p[1])
            steps.append((place, act, p))
            place = min(7, place + 1) if act and draw.random() < 0.9 else max(0, place - 1)
        reward = -len(steps) + draw.normal(0, 2)
        advantage = reward - baseline
        baseline += 0.05 * advantage
        losses.append(-advantage * sum(float(np.log(p[act])) for _, act, p in steps) / 10)
        for where, act, p in steps:
            theta[where] += learning_rate * np.clip(advantage, -20, 20) / 20 * (np.eye(2)[act] - p)
        rewards.append(reward)
        if episode % every == 0:
            recorder.log(episode, {"policy_loss": float(np.mean(losses[-every:])), "loss": float(np.mean(losses[-every:])) + 0.5 * advantage**2 / 100,
                                   "episode_reward": float(np.mean(rewards[-every:]))})  # fmt: skip
    return _kept(recorder, "making/networks.py reinforce", {"lr": learning_rate})


def boosting(trees: int = 150, seed: int = 0, learning_rate: float = 0.1) -> dict[str, Any]:
    """scikit-learn's gradient boosting, a point a tree."""
    from sklearn.datasets import make_friedman1
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = make_friedman1(n_samples=900, noise=1.0, random_state=seed)
    model = GradientBoostingRegressor(
        learning_rate=learning_rate, subsample=0.7, random_state=seed, warm_start=True, n_estimators=1
    )
    recorder = Recorder()
    for k in range(1, trees + 1):
        model.n_estimators = k
        model.fit(x[:600], y[:600])
        of = {
            part: float(np.mean((model.predict(x[s]) - y[s]) ** 2))
            for part, s in (("train", slice(600)), ("valid", slice(600, 900)))
        }
        recorder.log(k, {"train/mse": of["train"], "valid/mse": of["valid"]})
    return _kept(recorder, "making/networks.py boosting", {"learning_rate": learning_rate})


def mixture(steps: int = 500, seed: int = 0, learning_rate: float = 0.01, every: int = 5) -> dict[str, Any]:
    """A Gaussian's density fitted by gradient: the negative log likelihood falls below nought."""
    draw, recorder = np.random.default_rng(seed), Recorder()
    mean, log_s = draw.normal(3, 1, 4), np.full(4, 1.0)
    true, width = draw.normal(0, 1, 4), np.exp(draw.normal(-3, 0.5, 4))
    for step in range(1, steps + 1):
        x = true + width * draw.normal(0, 1, (32, 4))
        s = np.exp(log_s)
        nll = float(np.mean(np.sum(0.5 * ((x - mean) / s) ** 2 + log_s + 0.919, axis=1)))
        rate = learning_rate * (1 - step / (steps + 1))
        mean = mean + rate * np.mean(x - mean, axis=0)
        log_s = log_s + rate * np.clip(np.mean(((x - mean) / s) ** 2 - 1, axis=0), -3, 3)
        if step % every == 0:
            recorder.log(step, {"nll": nll, "lr": rate})
    return _kept(recorder, "making/networks.py mixture", {"lr": learning_rate})


def estimate(steps: int = 400, seed: int = 0, every: int = 1) -> dict[str, Any]:
    """Monte Carlo: pi and its error bar; nothing is trained."""
    draw, recorder, hits = np.random.default_rng(seed), Recorder(), 0
    for step in range(1, steps + 1):
        hits += int((np.hypot(*draw.random((2, 1000))) < 1).sum())
        recorder.log(step * 1000, {"estimate": 4 * hits / (1000 * step), "temperature": float(draw.normal(20, 3))})
    return _kept(recorder, "making/networks.py estimate", {"steps": steps})


def recommender(
    epochs: int = 60, seed: int = 0, learning_rate: float = 0.02, rank: int = 5, l2: float = 0.02
) -> dict[str, Any]:
    """Matrix factorisation by stochastic gradient, with a ranking score that grows."""
    draw, recorder = np.random.default_rng(seed), Recorder()
    true = draw.normal(0, 1, (60, rank)) @ draw.normal(0, 1, (rank, 40))
    seen = np.argwhere(draw.random(true.shape) < 0.5)
    held = np.argwhere(draw.random(true.shape) < 0.1)
    u, v = draw.normal(0, 0.1, (60, rank)), draw.normal(0, 0.1, (40, rank))
    for epoch in range(1, epochs + 1):
        for i, j in draw.permutation(seen):
            error = true[i, j] + draw.normal(0, 0.1) - u[i] @ v[j]
            u[i], v[j] = (
                u[i] + learning_rate * (error * v[j] - l2 * u[i]),
                v[j] + learning_rate * (error * u[i] - l2 * v[j]),
            )
        of = {
            name: np.array([true[i, j] - u[i] @ v[j] for i, j in part])
            for name, part in (("train", seen), ("test", held))
        }
        recorder.log(epoch, {"train_rmse": float(np.sqrt(np.mean(of["train"] ** 2))), "test_rmse": float(np.sqrt(np.mean(of["test"] ** 2))),
                             "test_r2": 1 - float(np.mean(of["test"] ** 2) / true.var())})  # fmt: skip
    return _kept(recorder, "making/networks.py recommender", {"eta": learning_rate})


def perceptron(epochs: int = 60, seed: int = 0, learning_rate: float = 0.002) -> dict[str, Any]:
    """scikit-learn's MLPRegressor with Adam, an epoch at a time."""
    from sklearn.datasets import make_friedman1
    from sklearn.neural_network import MLPRegressor

    x, y = make_friedman1(n_samples=1500, noise=1.0, random_state=seed)
    model = MLPRegressor(
        hidden_layer_sizes=(40, 20), learning_rate_init=learning_rate, random_state=seed, batch_size=50, alpha=0.01
    )
    recorder = Recorder()
    for epoch in range(1, epochs + 1):
        model.partial_fit(x[:1000], y[:1000] / 5)
        held = model.predict(x[1000:])
        recorder.log(
            epoch,
            {
                "trainLoss": model.loss_,
                "testLoss": float(np.mean((held - y[1000:] / 5) ** 2) / 2),
                "R2": model.score(x[1000:], y[1000:] / 5),
            },
        )
    return _kept(recorder, "making/networks.py perceptron", {"model": {"learning_rate": learning_rate}})


def expectation(steps: int = 25, seed: int = 0) -> dict[str, Any]:
    """Expectation maximisation of a Gaussian mixture: a log likelihood that rises."""
    import warnings

    from sklearn.datasets import make_blobs
    from sklearn.mixture import GaussianMixture

    x, _ = make_blobs(800, centers=8, n_features=3, cluster_std=3.0, random_state=seed)
    model, recorder = (
        GaussianMixture(8, max_iter=1, warm_start=True, random_state=seed, init_params="random_from_data", tol=0),
        Recorder(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(1, steps + 1):
            model.fit(x[:600])
            recorder.log(
                step, {"log_likelihood": float(model.score(x[:600])), "val_log_likelihood": float(model.score(x[600:]))}
            )
    return _kept(recorder, "making/networks.py expectation", {"components": 8})


def q_learning(episodes: int = 2000, seed: int = 0, learning_rate: float = 0.1, every: int = 10) -> dict[str, Any]:
    """Tabular Q-learning with random exploration: errors that come and go, returns that rise."""
    draw, recorder, q = np.random.default_rng(seed), Recorder(), np.zeros((10, 2))
    returns, errors = [], []
    for episode in range(1, episodes + 1):
        place, total = 0, 0.0
        for _ in range(50):
            act = int(draw.integers(2)) if draw.random() < max(0.05, 1 - episode / 1000) else int(q[place].argmax())
            new = min(9, place + 1) if act and draw.random() < 0.9 else max(0, place - 1)
            reward = 10.0 if new == 9 else draw.normal(-0.5, 1)
            error = reward + 0.95 * (0 if new == 9 else q[new].max()) - q[place, act]
            q[place, act] += learning_rate * error
            errors.append(error * error)
            place, total = new, total + reward
            if new == 9:
                break
        returns.append(total)
        if episode % every == 0:
            recorder.log(
                episode,
                {
                    "td_loss": float(np.mean(errors[-200:])),
                    "loss": float(np.mean(errors[-50:])),
                    "return_mean": float(np.mean(returns[-every:])),
                },
            )
    return _kept(recorder, "making/networks.py q_learning", {"alpha": learning_rate})


def logistic(steps: int = 800, seed: int = 0, learning_rate: float = 0.3, every: int = 4) -> dict[str, Any]:
    """Logistic regression by tiny mini-batches: a loss of much noise that falls slowly."""
    draw, recorder = np.random.default_rng(seed), Recorder()
    w, true = np.zeros(20), draw.normal(0, 1, 20)
    for step in range(1, steps + 1):
        x = draw.normal(0, 1, (8, 20))
        y = (draw.random(8) < 1 / (1 + np.exp(-x @ true))).astype(float)
        p = 1 / (1 + np.exp(-x @ w))
        w -= learning_rate / (1 + step / 200) * x.T @ (p - y) / 8
        if step % every == 0:
            recorder.log(step, {"batch_loss": float(-np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)))})
    return _kept(recorder, "making/networks.py logistic", {"lr": learning_rate})


PROGRAMMES = {
    f.__name__: f
    for f in (
        deep,
        gan,
        reinforce,
        boosting,
        mixture,
        estimate,
        recommender,
        perceptron,
        expectation,
        q_learning,
        logistic,
    )
}
