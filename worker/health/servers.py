"""MongoDB and Redis, asked as a worker would: connected to, logged into, written to, timed."""

import os
import time
from collections.abc import Callable
from statistics import median

from store.connect import connect, mongo_url, redis_url
from store.errors import LabqError, StoreFailed, StoreUnavailable
from store.settings import Settings, mask_url
from worker.cluster.reach import answers_here_only
from worker.health.rows import Row, Verdict

SLOW_S = 0.2
"""A claim is a handful of round trips."""

WRONG_CLOCK_S = 60.0
_TIMES = 5


def server_rows(settings: Settings) -> list[Row]:
    """Both servers."""
    return [mongo_row(settings), redis_row(settings)]


def mongo_row(settings: Settings) -> Row:
    """A lock is taken and given back: an account that may only read is no account for a worker."""
    where = mask_url(mongo_url(settings))
    try:
        store = connect(settings)
        try:
            ping_s, version = _typical(store.now), store.version()
            skew_s = time.time() - store.now().timestamp()
            store.lock(f"doctor-{os.getpid()}", "doctor", 0.0, gap_s=0.0)
        finally:
            store.close()
    except LabqError as error:
        return Row(subject="mongodb", verdict=Verdict.WRONG, text=str(error), advice=_mongo_advice(error, settings))
    text = f"{version} at {where}, {1000 * ping_s:.1f} ms"
    if abs(skew_s) > WRONG_CLOCK_S:
        text += f", its clock differs by {skew_s:.0f} s"
    return _timed("mongodb", text, ping_s)


def redis_row(settings: Settings) -> Row:
    """Redis alone never keeps a worker from working, only from being quick; a wrong password is a mistake."""
    from queueing.doorbell import Doorbell

    where = mask_url(redis_url(settings))
    try:
        doorbell = Doorbell(redis_url(settings), settings.redis_timeout_s)
        try:
            ping_s, version = _typical(doorbell.version), doorbell.version()
        finally:
            doorbell.close()
    except LabqError as error:
        where_to_look = _where_to_look("redis_url", redis_url(settings))
        advice = f"workers would look every {settings.look_s:g} s instead of being woken; {where_to_look}"
        return Row(subject="redis", verdict=Verdict.WRONG, text=str(error), advice=advice)
    return _timed("redis", f"{version} at {where}, {1000 * ping_s:.1f} ms", ping_s)


def _typical(ask: Callable[[], object]) -> float:
    ask()  # the first one connects
    took = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return median(took)


def _timed(subject: str, text: str, ping_s: float) -> Row:
    if ping_s <= SLOW_S:
        return Row(subject=subject, text=text)
    return Row(subject=subject, verdict=Verdict.WARN, text=text, advice="short runs will be slow to begin and to end")


def _mongo_advice(error: LabqError, settings: Settings) -> str:
    if isinstance(error, StoreFailed):
        return "its user must be allowed to read and write the database (role readWrite)"
    if isinstance(error, StoreUnavailable):
        return _where_to_look("mongo_url", mongo_url(settings))
    return "see: labq config"


def _where_to_look(setting: str, url: str) -> str:
    if answers_here_only(url):
        return f"this address means the machine itself: labq up here, {setting} of a server elsewhere, or labq tunnel"
    return f"a firewall, a wrong {setting}, a server that is down; if this machine cannot reach it: labq tunnel"
