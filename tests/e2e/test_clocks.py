"""A worker's host whose clock is an hour wrong, and everything on it (libfaketime): nobody can tell."""

import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lab import LEASE_S, Lab, supervisor_of, until

from store.runs import Run
from store.states import Reason, State

LITTLE = timedelta(seconds=3)
FAKES = Path(__file__).parent.parent / "fakes" / "clock"
LIBRARIES = [
    "/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
]  # fmt: skip


def faketime() -> str:
    found = [str(path) for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if not found and os.environ.get("CI"):
        raise AssertionError("libfaketime is missing: apt-get install libfaketime")
    if not found:
        pytest.skip("libfaketime is not installed (Debian: libfaketime)")
    return found[0]


@pytest.fixture(params=["+3600", "-3600"], ids=["ahead", "behind"])
def wrong(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a process whose clock is an hour off. The time that passes is right, as on such a host."""
    return {
        "LD_PRELOAD": faketime(), "FAKETIME": request.param, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(FAKES), os.environ.get("PYTHONPATH")])),
    }  # fmt: skip


def way(wrong: dict[str, str]) -> str:
    return "ahead" if wrong["FAKETIME"].startswith("+") else "behind"


def enqueue(lab: Lab, name: str, body: str, more: str = "") -> Run:
    command = json.dumps([sys.executable, str(lab.write(f"{name}.py", body))])
    text = f'name = "{name}"\ncommand = {command}\nworkdir = {json.dumps(str(Path(__file__).parents[2]))}\n{more}\n'
    return lab.store.run(json.loads(lab.labq("enqueue", "--json", str(lab.write("c.toml", text))).stdout)["ids"][0])


def test_the_clock_of_the_worker_is_really_wrong(lab: Lab, wrong: dict[str, str]) -> None:
    run = enqueue(lab, f"clock{way(wrong)}", "import time\nprint(time.time())\n")
    lab.worker("--burst", **wrong)
    lab.wait_until_ended(run)
    said = float(lab.store.log_tail(run.id, 1, 100))
    assert abs(said - lab.store.now().timestamp() - float(wrong["FAKETIME"])) < 60


def test_a_run_on_a_host_with_a_wrong_clock_is_like_any_other(
    lab: Lab, undisturbed: dict[str, Any], wrong: dict[str, str]
) -> None:
    run = lab.enqueue_steps(f"wrong{way(wrong)}", pause_s=0.05)
    lab.worker(LABQ_SAMPLE_S="0.3", **wrong)
    lab.wait_for_checkpoint(run)
    lab.worker(**wrong)  # idle, looks for leases that are over
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1), "its lease outlasted nobody's patience"
    assert lab.outcome(run) == undisturbed
    check_times(lab, ended)
    (mail,) = until(lambda: lab.notices(run))
    assert mail.created_at == ended.ended_at


def check_times(lab: Lab, ended: Run) -> None:
    """Every time that is kept lies between the run's claim and its end, in order."""
    began, over = ended.started_at, ended.ended_at
    assert began is not None
    assert over is not None
    times = [datetime.fromtimestamp(at, began.tzinfo) for at in lab.store.series(ended.id, "loss").times]
    assert times == sorted(times)
    samples = [sample.at for sample in lab.store.samples(ended.id)]
    assert len(samples) > 3
    assert samples == sorted(filter(None, samples))
    kept = [checkpoint.created_at for checkpoint in lab.store.checkpoints(ended.id)]
    assert kept == sorted(kept, reverse=True)
    for at in [*times, *filter(None, samples), *kept, *[event.at for event in lab.store.events(ended.id)]]:
        assert began - LITTLE < at < over + LITTLE


def test_a_retry_waits_as_long_as_it_should(lab: Lab, wrong: dict[str, str]) -> None:
    body = "import os, sys\nsys.exit(int(os.environ['LABQ_ATTEMPT'] == '1'))\n"
    more = '[retry]\non = ["error"]\nbackoff = "3s"'
    run = enqueue(lab, f"retry{way(wrong)}", body, more)
    lab.worker(**wrong)
    lab.worker()
    lab.wait_until_ended(run)
    first, second = lab.run(run).history
    assert first.ended_at is not None
    waited_s = (second.started_at - first.ended_at).total_seconds()
    assert 3.0 <= waited_s < 3.0 + 4.0, "back-off, a look, and a little"


@pytest.mark.parametrize("victim", ["wrong", "right"])
def test_a_dead_workers_run_is_released_in_time(
    lab: Lab, undisturbed: dict[str, Any], wrong: dict[str, str], victim: str
) -> None:
    run = lab.enqueue_steps(f"lost-{victim}{way(wrong)}", pause_s=0.05)
    doomed = lab.worker(**(wrong if victim == "wrong" else {}))
    lab.wait_for_checkpoint(run)
    lab.worker(**(wrong if victim == "right" else {}))
    doomed.kill()
    died_at = lab.store.now()
    until(lambda: lab.run(run).attempt == 2, 15, what="the next attempt")
    (first, _) = lab.run(run).history
    assert first.ended_at is not None
    assert first.ended_at - died_at < timedelta(seconds=LEASE_S + 0.4 + 5)
    lab.wait_until_ended(run)
    assert lab.outcome(run) == undisturbed


def test_a_frozen_workers_run_goes_on_elsewhere_and_nothing_of_it_is_accepted(
    lab: Lab, undisturbed: dict[str, Any], wrong: dict[str, str]
) -> None:
    run = lab.enqueue_steps(f"frozen{way(wrong)}", pause_s=0.05)
    frozen = supervisor_of(lab.worker())
    lab.wait_for_checkpoint(run)
    frozen.suspend()
    lab.worker(**wrong)
    lab.wait_for_checkpoint(run, attempt=2)
    frozen.resume()
    assert lab.wait_until_ended(run).attempt == 2
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1


def test_a_person_with_a_wrong_clock_sees_the_right_ages(lab: Lab, wrong: dict[str, str]) -> None:
    lab.env |= wrong
    try:
        run = lab.enqueue_steps(f"ages{way(wrong)}", more='[resources]\ndisk = "900TB"')
        worker = lab.worker()
        until(lambda: lab.run(run).refusals, what="a refusal")
        shown = {verb: lab.labq(verb, *more).stdout for verb, more in
                 {"ls": [], "show": [run.id], "why": [run.id], "workers": []}.items()}  # fmt: skip
        recent = lab.labq("stop", "--dry-run", "--where", "created > -10m and created < now").stdout
    finally:
        for name in wrong:
            del lab.env[name]
    assert run.id[:8] in recent
    for verb, text in shown.items():
        assert not any(far in text for far in ("59m", "1h", " 60m")), (verb, text)
    (line,) = [line for line in shown["ls"].splitlines() if run.id[:8] in line]
    assert line.rstrip().endswith("s ago")
    assert "until" in shown["show"]
    assert lab.run(run).reason is Reason.REFUSED
    worker.kill()
    lab.labq("stop", run.id)
