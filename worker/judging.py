"""The round of the stopping rules, as workers take part in it: whatever goes wrong there keeps no run from going on."""

from queueing.doorbell import Doorbell
from queueing.stopping.round import judge_runs
from store.errors import LabqError
from store.logbook import say, warn
from store.settings import Settings
from store.store import Store


def judge(store: Store, doorbell: Doorbell, settings: Settings, worker: str) -> bool:
    """One round; whether another should follow soon."""
    try:
        done = judge_runs(store, doorbell, settings, worker)
    except LabqError as error:
        warn("judging-failed", error=error)
        return False
    except Exception as error:  # noqa: BLE001 - a course or rules that nobody can read
        warn("judging-stumbled", error=repr(error))
        return False
    if done is None:
        return False
    if done.stopped or done.held or done.promoted:
        said = {"stopped": done.stopped, "held": done.held, "promoted": done.promoted}
        say("judged", **{what: ",".join(runs) for what, runs in said.items()})
    return done.unfinished
