"""A script whose loss leaves every bound when its rate is too high; it would go on for minutes."""

import math
import time

import labq

given = labq.params()
for step in range(given["steps"]):
    fall = 2.0 * math.exp(-step / 15) + 0.2
    rise = math.exp(0.15 * (step - 40)) if given["rate"] > 0.05 and step > 40 else 0.0
    loss = (fall + rise) * (1 + 0.01 * math.sin(1.7 * step))
    labq.log(step, train_loss=loss, val_loss=1.1 * loss)
    time.sleep(given["pause_s"] if rise else given["pause_s"] / 20)
