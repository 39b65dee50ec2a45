"""A training whose loss falls towards `floor`: an epoch per step, a checkpoint every five and when told to stop."""

import sys
import time

import numpy as np

import labq

params = labq.params()
labq.should_stop()
at = labq.resume()
weights = at.arrays()["weights"] if at else np.zeros(4)
for epoch in range(at.step + 1 if at else 1, params["epochs"] + 1):
    weights = 0.9 * weights + np.random.default_rng([7, epoch]).normal(size=4)
    loss = params["floor"] + 2.0 ** (-epoch / 5) + 1e-3 * float(np.tanh(weights[0]))
    labq.log(epoch * 10, epoch=epoch, val_loss=loss)
    if epoch % 5 == 0 or labq.should_stop():
        labq.checkpoint({"weights": weights}, step=epoch)
    if labq.should_stop():
        sys.exit(0)
    time.sleep(params["pause_s"])
labq.checkpoint({"weights": weights}, step=params["epochs"])
