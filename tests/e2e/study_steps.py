"""A training whose loss is a function of its parameters, and which goes on from its checkpoint."""

import sys
import time

import numpy as np

import labq

params = labq.params()
at = labq.resume()
for step in range(at.step + 1 if at else 0, 4):
    loss = (params["x"] - 0.3) ** 2 + abs(params["n"] - 50) / 100
    labq.log(step, val_loss=loss + 1 / (step + 1), test_loss=-loss)
    labq.checkpoint({"step": np.zeros(1)}, step=step)
    time.sleep(params["pause_s"])
if params["n"] > 90:
    sys.exit("too large")
