"""A programme that is watched by resources.py: it makes steps, and what else its argument, a JSON object, says.

Keys: steps, step_s, work (share of a step that is computed instead of slept), start_s, start_mb; pause_every, pause_s, pause_mb
(a checkpoint: pause, and a file of which keep stay); leak_mb a step, leak_every; garbage_mb a step, garbage_most_mb (collected then);
cache_mb a step, cache_most_mb, cache_tau (levels off with this time, in steps); write_mb a step, write_every;
slow_from, slow_factor; halt_at, halt (sleep, busy, lock); jitter.
"""

import json
import random
import sys
import threading
import time
from pathlib import Path

GIVEN = json.loads(sys.argv[1])
FOLDER = Path(sys.argv[2])
DRAW = random.Random(GIVEN.get("seed", 0))
MB = 1 << 20
HELD: list[bytearray] = []
GARBAGE: list[bytearray] = []


def memory(mb: float) -> bytearray:
    """Touched, so that it is resident."""
    block = bytearray(int(mb * MB))
    block[::4096] = b"x" * len(block[::4096])
    return block


def turn() -> None:
    sum(range(200))


def turns_per_s() -> float:
    """How fast this machine is while nothing slows it."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.1:
        turn()
        count += 1
    return count / 0.1


TURNS_PER_S = turns_per_s()


def spend(seconds: float, work: float) -> None:
    """A fixed amount of work, and a pause."""
    for _ in range(int(TURNS_PER_S * seconds * work)):
        turn()
    time.sleep(max(0.0, seconds * (1 - work)))


def get(name: str, default: float = 0.0) -> float:
    return GIVEN.get(name, default)


def write(name: str, mb: float) -> None:
    (FOLDER / name).write_bytes(bytes(int(mb * MB)))


def halt() -> None:
    if GIVEN["halt"] == "busy":
        while True:
            sum(range(1000))
    if GIVEN["halt"] == "lock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    time.sleep(1e6)


def say(**what: float) -> None:
    print(json.dumps(what), flush=True)


def beside(step: int) -> None:
    """What is not the work itself."""
    if get("leak_mb") and step % get("leak_every", 1) == 0:
        HELD.append(memory(get("leak_mb")))
    if get("garbage_mb"):
        GARBAGE.append(memory(get("garbage_mb") * DRAW.uniform(0.5, 1.5)))
        if len(GARBAGE) * get("garbage_mb") > get("garbage_most_mb"):
            GARBAGE.clear()
    if get("cache_mb") and sum(map(len, HELD)) < get("cache_most_mb", 1e9) * MB:
        HELD.append(memory(get("cache_mb") * (2.718 ** (-step / get("cache_tau")) if get("cache_tau") else 1)))
    if get("write_mb") and step % get("write_every", 1) == 0:
        write(f"step-{step}", get("write_mb"))
    if get("pause_every") and step % get("pause_every") == 0:
        write(f"checkpoint-{step}", get("pause_mb", 1))
        for old in sorted(FOLDER.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))[: -int(get("keep", 2))]:
            old.unlink()
        spend(get("pause_s") * DRAW.uniform(0.7, 1.3), get("work"))


spend(get("start_s", 0.2), 0.5)
HELD.append(memory(get("start_mb", 5)))
for number in range(1, int(get("steps", 200)) + 1):
    if number == get("halt_at"):
        halt()
    slower = get("slow_factor", 1) if get("slow_from") and number >= get("slow_from") else 1
    jitter = DRAW.uniform(1 - get("jitter", 0.1), 1 + get("jitter", 0.1))
    spend(get("step_s", 0.05) * slower * jitter, get("work", 0.3))
    say(step=number, loss=round(2 / number**0.5 + DRAW.gauss(0, 0.02 / number**0.5), 5))
    beside(number)
