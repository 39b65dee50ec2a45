"""A command that anyone can check: a seeded random walk that publishes checkpoints in every way the protocol knows."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import labq

CHECKPOINT_EVERY = 10
HERE = Path(os.environ["LABQ_DIR"])


def arrays(weights: np.ndarray, step: int) -> None:
    labq.checkpoint({"weights": weights}, step=step)


def folder(weights: np.ndarray, step: int) -> None:
    made = HERE / "model"
    made.mkdir(exist_ok=True)
    np.save(made / "weights.npy", weights)
    labq.checkpoint(made, step=step, best=step % 3 == 0)


def same_name(weights: np.ndarray, step: int) -> None:
    """By hand, under one name that is replaced again and again."""
    np.save(HERE / "hidden.npy", weights)
    (HERE / "hidden.npy").rename(HERE / "checkpoints" / "last.npy")
    with open(os.environ["LABQ_EVENTS"], "a") as events:
        events.write(f'{{"_checkpoint": "last.npy", "step": {step}}}\n')


def read(at: labq.Resumed) -> np.ndarray:
    if at.path.suffix == ".npz":
        return np.asarray(at.arrays()["weights"])
    return np.asarray(np.load(at.path / "weights.npy" if at.path.is_dir() else at.path))


params = labq.params()
labq.should_stop()
seed = params["seed"]
publish = (arrays, folder, same_name)[seed % 3]
size = 40_000 if seed % 4 == 0 else 8  # the larger ones fill several GridFS chunks
if seed % 5 == 0:  # somebody who wants to outlive us
    subprocess.run(["sh", "-c", "setsid sleep 900 >/dev/null 2>&1 &"], check=True)
at = labq.resume()
weights = read(at) if at else np.zeros(size)
for step in range(at.step + 1 if at else 0, params["steps"]):
    weights = 0.9 * weights + np.random.default_rng([seed, step]).normal(size=size)
    labq.log(step, loss=float(weights @ weights), first=float(weights[0]))
    labq.progress(step + 1, params["steps"])
    print(f"step {step}")
    if step % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1 or labq.should_stop():
        publish(weights, step)
    if labq.should_stop():
        sys.exit(0)
    time.sleep(params["pause_s"])
publish(weights, params["steps"] - 1)
result = HERE / "weights.sha256"
result.write_text(hashlib.sha256(weights.tobytes()).hexdigest())
labq.artifact(result)
