"""Runs under fire: python tests/chaos/run.py --runs 200 --workers 4 --faults 400 --seed 1 [--json] [--keep]

The same runs are made twice on the same workers: once in peace, once while an agent kills, freezes, restarts and cuts
whatever there is, by a plan that depends on the seed alone. Then MongoDB is asked whether anybody could tell the
difference. Prints one JSON object; exits with 1 when a promise was broken. --keep leaves the folder with the logs of all
processes, the strikes and the database: `LABQ_HOME=FOLDER labq up`, and look.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from agent import Agent, Strike, share_done  # noqa: E402
from checks import Violation, check_leftovers, check_runs, owed  # noqa: E402
from fleet import LEASE_S, Fleet  # noqa: E402
from lab import Lab  # noqa: E402
from plan import plan  # noqa: E402
from pymongo.errors import PyMongoError  # noqa: E402

from store.mongo import open_store  # noqa: E402
from store.runs import Run  # noqa: E402
from store.servers.places import places  # noqa: E402
from store.states import State  # noqa: E402
from store.store import RunQuery  # noqa: E402

TRAINER_SHARE = 10
"""One run in so many is the RNN trainer."""

MAIL_S = 120.0

WALK = """
name = "{name}"
command = [{python}, {script}]
grace = "20s"
[params]
steps = {steps}
pause_s = {pause_s}
[sweep.params]
seed = {seeds}
"""
TRAINER = """
name = "{name}"
trainer = "rnn"
[params]
model = "language-model"
n_hidden = 8
vocabulary_size = 300
epochs = 3
learning_rate = 0.01
checkpoint_every_s = 0.2
[data]
source = "pydoc"
max_sentences = 1500
[sweep.params]
seed = {seeds}
"""
COMMON = """
[retry]
max = 1000
backoff = "0.2s"
on = ["lost", "killed"]
[notify]
on = []
[[notify.rule]]
on = ["finished", "failed"]
to = ["me@lab.example"]
at_most = "100000 per hour"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    runs: int
    steps: int
    pause_s: float

    @property
    def trainers(self) -> int:
        """Runs of the RNN trainer."""
        return self.runs // TRAINER_SHARE


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends us early still gets a clean machine
    lab = Lab()
    try:
        report = _report(lab, options)
    finally:
        lab.close(keep=options.keep)
    print(json.dumps(report, indent=None if options.json else 2, ensure_ascii=False))
    return 1 if report["violations"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--faults", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200, help="steps of the deterministic command")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between two of its steps")
    parser.add_argument("--timeout", type=float, default=1500.0, help="seconds for the runs under fire")
    parser.add_argument("--json", action="store_true", help="one line, and nothing on stderr")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the lab")
    return parser.parse_args()


def _report(lab: Lab, options: argparse.Namespace) -> dict[str, Any]:
    say = _Told(quiet=options.json)
    size = Size(runs=options.runs, steps=options.steps, pause_s=options.pause)
    fleet = Fleet(lab, options.workers)
    faults = plan(options.seed, options.faults, LEASE_S)
    (lab.home / "plan.txt").write_text("".join(f"{fault}\n" for fault in faults))
    fleet.start()
    try:
        calm_agent = _work(lab, fleet, "calm", size, Agent(fleet, (), _asking(lab, "calm")), options.timeout)
        say(f"in peace: {_makespan_s(_runs(lab, 'calm')):.1f} s")
        agent = _work(lab, fleet, "stormy", size, Agent(fleet, faults, _asking(lab, "stormy")), options.timeout)
        say(f"under fire: {_makespan_s(_runs(lab, 'stormy')):.1f} s, {len(agent.strikes)} faults")
        (lab.home / "strikes.txt").write_text("".join(f"{strike}\n" for strike in agent.strikes))
        _await_mails(lab, fleet)
        fleet.leave()
        time.sleep(LEASE_S)  # the named leases of those that were killed run out
        violations = _violations(lab, fleet)
    finally:
        fleet.close()
    del calm_agent
    return _figures(lab, options, agent, violations)


class _Told:
    """Where we are, for whoever waits."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._began = quiet, time.monotonic()

    def __call__(self, text: str) -> None:
        if not self._quiet:
            print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


# ── the work ──
def _work(lab: Lab, fleet: Fleet, mood: str, size: Size, agent: Agent, timeout_s: float) -> Agent:
    """Enqueue, and let the agent loose until all is done."""
    walks, trainers = size.runs - size.trainers, size.trainers
    steps = {"steps": size.steps, "pause_s": size.pause_s}
    for name, text, count in ((f"{mood}-walk", WALK, walks), (f"{mood}-rnn", TRAINER, trainers)):
        if count:
            words = {"python": json.dumps(sys.executable), "script": json.dumps(str(HERE / "walk.py"))}
            filled = text.format(name=name, seeds=list(range(count)), **words, **steps)
            lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", filled + COMMON)))
    agent.run(time.monotonic() + timeout_s)
    return agent


def _asking(lab: Lab, mood: str) -> Any:
    """A function that tells how much of the work is done, or None while MongoDB does not answer."""
    database = open_store(places(lab.home).mongo_url, "labq", 1.0).database
    match = {"experiment": {"$regex": f"^{mood}-"}}

    def ask() -> float | None:
        try:
            found = list(database["runs"].find(match, {"state": 1, "progress": 1}))
        except PyMongoError:
            return None
        return share_done([(State(one["state"]), _fraction(one["progress"])) for one in found])

    return ask


def _fraction(progress: dict[str, float] | None) -> float:
    return progress["done"] / progress["total"] if progress and progress["total"] else 0.0


def _await_mails(lab: Lab, fleet: Fleet) -> None:
    deadline = time.monotonic() + MAIL_S
    while owed(lab.store) and time.monotonic() < deadline:
        fleet.look_after()
        time.sleep(0.2)


def _runs(lab: Lab, mood: str) -> list[Run]:
    found = [run for kind in ("walk", "rnn") for run in lab.store.runs(RunQuery(experiment=f"{mood}-{kind}"))]
    return sorted(found, key=lambda run: (run.task.trainer or "", run.params["seed"]))


# ── the verdict ──
def _violations(lab: Lab, fleet: Fleet) -> list[Violation]:
    pairs = list(zip(_runs(lab, "calm"), _runs(lab, "stormy"), strict=True))
    odd = [Violation(promise="workers live on", subject="fleet", detail=oddity) for oddity in fleet.oddities]
    return [*check_runs(lab.store, pairs), *check_leftovers(lab.store, lab.home), *odd]


def _figures(lab: Lab, options: argparse.Namespace, agent: Agent, violations: list[Violation]) -> dict[str, Any]:
    calm, stormy = _runs(lab, "calm"), _runs(lab, "stormy")
    calm_s, stormy_s = _makespan_s(calm), _makespan_s(stormy)
    return {
        "runs": len(stormy),
        "workers": options.workers,
        "seed": options.seed,
        "faults": dict(sorted(Counter(strike.fault.kind for strike in agent.strikes).items())),
        "faults_total": len(agent.strikes),
        "missed": len(agent.missed),
        "violations": len(violations),
        "details": [violation.plain() | {"strikes": _on(violation, agent.strikes)} for violation in violations],
        "attempts": sum(run.attempt for run in stormy),
        "makespan_s": round(stormy_s, 1),
        "calm_makespan_s": round(calm_s, 1),
        "overhead": round(stormy_s / calm_s - 1, 3) if calm_s else None,
        **({"home": str(lab.home)} if options.keep else {}),
    }


def _on(violation: Violation, strikes: list[Strike]) -> list[str]:
    """What hit the run that it is about."""
    return [str(strike) for strike in strikes if strike.run.startswith(f"{violation.subject}-")]


def _makespan_s(runs: list[Run]) -> float:
    """From the first claim to the last settle, on MongoDB's clock."""
    began = [run.started_at for run in runs if run.started_at]
    ended = [run.ended_at for run in runs if run.ended_at]
    return (max(ended) - min(began)).total_seconds() if began and ended else 0.0


if __name__ == "__main__":
    sys.exit(main())
