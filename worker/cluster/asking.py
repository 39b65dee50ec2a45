"""Asking for the jobs of an experiment's runs, each for its own."""

import argparse
import sys

from store.errors import ExitCode
from store.runs import Resources
from store.schedulers import Scheduler
from store.settings import Settings
from store.store import Store
from worker.cluster.own_jobs import ask_for, grouped, place_for, without_job
from worker.cluster.place import place_from
from worker.cluster.submit import Submitter, check_place, cluster_of
from worker.cluster.words import duration


class Asking:
    """Asks for the jobs of the runs that have just been queued, and of those that wait since earlier."""

    def __init__(self, options: argparse.Namespace, chosen: Settings) -> None:
        """Raises UserError."""
        self.on = Scheduler(options.on)
        self.code = ExitCode.OK
        self._as_json: bool = options.json
        self._settings = chosen
        self._time_s = duration("--time", options.time)
        self._base = place_from(_as_of_a_place(options), chosen, self.on)
        self._cluster = cluster_of(self.on, chosen)

    def check(self, wants: Resources, queue: str) -> None:
        """Raises UserError, SchedulerMissing, SchedulerUnavailable: nothing is queued then."""
        place = place_for(self._base, queue, wants, self._time_s)
        check_place(self._cluster, place, self._settings)

    def ask(self, store: Store, queue: str) -> None:
        """Raises SchedulerUnavailable: the runs stay queued."""
        submitter = Submitter(store, self._cluster, self._settings)
        wanted = without_job(store, self._cluster, queue)
        asked = ask_for(submitter, grouped(wanted, self._base, time_s=self._time_s))
        self._tell(len(asked.ids), len(wanted), asked.refusal)

    def _tell(self, asked: int, wanted: int, refusal: str) -> None:
        if not self._as_json and asked:
            print(f"{asked} job{'s' * (asked != 1)} asked for on {self.on}; see: labq workers")
        if refusal:
            again = f"the runs stay queued: the same command, or labq scale --on {self.on}, asks for the rest"
            print(f"labq: {asked} of {wanted} jobs asked for: {refusal}; {again}", file=sys.stderr)
            self.code = ExitCode.FAILED


def _as_of_a_place(options: argparse.Namespace) -> argparse.Namespace:
    """What a place has, each run says itself."""
    missing = dict.fromkeys(("gpus", "memory", "cpus", "queue", "idle_exit"))
    return argparse.Namespace(**{**missing, "tag": [], **vars(options)})
