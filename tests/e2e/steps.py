"""A training that anyone can check: 120 steps of a seeded random walk, a checkpoint every ten."""

import sys
import time

import numpy as np

import labq

params = labq.params()
labq.should_stop()
at = labq.resume()
weights = at.arrays()["weights"] if at else np.zeros(4)
for step in range(at.step + 1 if at else 0, params["steps"]):
    weights = 0.9 * weights + np.random.default_rng([params["seed"], step]).normal(size=4)
    labq.log(step, loss=float(weights @ weights), first=float(weights[0]))
    labq.progress(step + 1, params["steps"])
    print(f"step {step}")
    if step % 10 == 9 or labq.should_stop():
        labq.checkpoint({"weights": weights}, step=step)
    if labq.should_stop():
        sys.exit(0)
    time.sleep(params["pause_s"])
labq.checkpoint({"weights": weights}, step=params["steps"] - 1)
