"""A training that reports for as long as it is let: a curve that falls, or with a high learning rate one that explodes."""

import math
import time

import labq

params = labq.params()
at = labq.resume()
step = at.step + 1 if at else 0
while step < params["steps"]:
    healthy = 0.2 + math.exp(-step / 60)
    loss = math.exp(min(step / 5, 200.0)) if params["lr"] > 1 else healthy
    labq.log(step, val_loss=loss, train_loss=0.9 * loss, accuracy=1 / (1 + loss))
    labq.progress(step + 1, params["steps"])
    print(f"epoch {step} of {params['lr']}", flush=True)
    if step % 10 == 9:
        labq.checkpoint({}, step=step)
    if labq.should_stop():
        break
    step += 1
    time.sleep(params["pause_s"])
