"""One patient of a ward: `kind` says what is wrong with it."""

import math
import random
import time

import labq

p = labq.params()
drawn = random.Random(p["kind"])
hoard = []
for step in range(p["steps"]):
    fallen = math.exp(-step / 40)
    train, val = 0.2 + fallen + drawn.gauss(0, 0.005), 0.3 + fallen + drawn.gauss(0, 0.005)
    if p["kind"] == "diverging" and step > 60:
        grown = math.exp((step - 60) / 12)
        train, val = train + grown, val + grown
    labq.log(step, train_loss=train, val_loss=val)
    if p["kind"] == "crashing" and step == 50:
        print("\x1b[31mabout to look up a key\x1b[0m")
        raise KeyError("no such column: humidity")
    if p["kind"] == "stuck" and step == 100:
        print("waiting for a lock that nobody gives back", flush=True)
        time.sleep(3600)
    if p["kind"] == "hungry" and step > 40:
        hoard.append(bytearray(random.randbytes(1 << 20)) * 12)
    time.sleep(0.05)
