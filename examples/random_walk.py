"""A training script that reports to labq, with the standard library and NumPy alone."""

import argparse
import sys
import time

import numpy as np

import labq

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
lr = parser.parse_args().lr
params = {"steps": 300, "seed": 0, **labq.params()}

labq.should_stop()  # from now on SIGTERM means: checkpoint and leave
at = labq.resume()
weights = at.arrays()["weights"] if at else np.ones(8)
for step in range(at.step + 1 if at else 0, params["steps"]):
    noise = np.random.default_rng([params["seed"], step]).normal(size=8)
    weights = (1 - lr) * weights + 0.01 * noise
    labq.log(step, loss=float(weights @ weights))
    labq.progress(step + 1, params["steps"])
    if step % 50 == 49 or labq.should_stop():
        labq.checkpoint({"weights": weights}, step=step)
    if labq.should_stop():
        sys.exit(0)
    time.sleep(0.02)
print("loss at the end:", float(weights @ weights))
