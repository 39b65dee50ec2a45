"""Many short runs in a row: one supervisor's process carries out several, and every promise holds for each."""

import json
import random
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from lab import Lab, kill, supervisor_of, until

from queueing.doorbell import Doorbell
from store.connect import redis_url
from store.runs import Run
from store.states import State
from store.store import RunQuery

PARENT = "import os; print(os.getppid())"


def _enqueue(lab: Lab, name: str, code: str, values: list[str]) -> list[Run]:
    """One run per value, which the code finds in sys.argv[1]."""
    command = json.dumps([sys.executable, "-c", code, "{value}"])
    text = f'name = "{name}"\ncommand = {command}\n[sweep.params]\nvalue = {json.dumps(values)}\n'
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return [lab.store.run(run_id) for run_id in json.loads(done.stdout)["ids"]]


def _output(lab: Lab, run: Run) -> str:
    return lab.store.log_tail(run.id, lab.run(run).attempt, 1000).decode()


def _endings(lab: Lab, runs: list[Run]) -> list[int]:
    return [lab.settles(run) for run in runs]


def _states(lab: Lab, name: str) -> set[State]:
    return {run.state for run in lab.store.runs(RunQuery(experiment=name))}


def test_one_process_carries_out_several_and_each_ends_once(lab: Lab) -> None:
    runs = _enqueue(lab, "several", PARENT, [str(number) for number in range(12)])
    lab.worker("--burst").wait(60)
    assert _states(lab, "several") == {State.FINISHED}
    assert _endings(lab, runs) == [1] * 12
    assert all(len(lab.run(run).history) == 1 for run in runs)
    assert len({_output(lab, run) for run in runs}) < 12  # of their parents
    doorbell = Doorbell(redis_url(lab.settings), 5.0)
    tickets = [(run.id, run.attempt, run.queue) for run in runs]
    assert doorbell.missing(tickets) == tickets  # none is left to wake anybody
    doorbell.close()
    facts = [lab.run(run).history[0].facts for run in runs]
    assert all(fact["host"] for fact in facts)
    assert any(fact.get("packages") for fact in facts)


def test_a_later_run_dies_with_its_supervisor_and_worker(lab: Lab) -> None:
    code = "import sys, time, pathlib; pathlib.Path('later.pid').write_text(str(__import__('os').getpid())); time.sleep(float(sys.argv[1]))"
    _enqueue(lab, "later", code, ["0", "0.1", "600"])
    worker = lab.worker()
    until(lambda: _states(lab, "later") == {State.FINISHED, State.RUNNING}, what="the long one")
    long_one = next(run for run in lab.store.runs(RunQuery(experiment="later")) if run.state is State.RUNNING)
    until(lambda: len(lab.run(long_one).history[0].facts) > 0, what="its beginning")
    supervisor = supervisor_of(worker)
    child = until(lambda: next((p for p in supervisor.children() if "600" in p.cmdline()), None), what="its child")
    for process in (psutil.Process(worker.pid), supervisor):
        process.suspend()
    for process in (psutil.Process(worker.pid), supervisor):
        kill(process)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the end of the child")
    lab.labq("stop", long_one.id)
    lab.worker("--burst").wait(60)


def test_a_later_run_hears_its_own_ctrl_c(lab: Lab) -> None:
    code = "import os, signal, sys; sys.argv[1] == 'tell' and os.kill(os.getpid(), signal.SIGINT)"
    *_, told = _enqueue(lab, "ctrl-c", code, ["a", "b", "tell"])
    lab.worker("--burst").wait(60)
    ending = lab.run(told).history[0].ending
    assert ending is not None
    assert ending.signal == signal.SIGINT
    lab.labq("stop", told.id)


def test_the_memory_of_one_run_is_not_told_of_the_next(lab: Lab) -> None:
    code = "import sys; x = bytearray(int(sys.argv[1]))"
    large, small = _enqueue(lab, "memory", code, [str(400 * 10**6), "1"])
    lab.worker("--burst").wait(60)
    peaks = [(lab.run(run).history[0].ending, run) for run in (large, small)]
    assert [(ending.peak_memory_bytes or 0) > 300e6 for ending, _ in peaks if ending] == [True, False]


def test_a_programme_that_breaks_in_between_says_so(lab: Lab) -> None:
    """The first run breaks the interpreter line of the script that it is: the second must not look as if it had run."""
    script = lab.home / "breaks.sh"
    script.write_text(
        '#!/bin/sh\nsleep 0.2\nprintf "#!/nowhere/sh\\n" > "$0.new"; chmod +x "$0.new"; mv "$0.new" "$0"\n'
    )
    script.chmod(0o755)
    text = f'name = "breaks"\ncommand = ["{script}", "{{n}}"]\n[sweep.params]\nn = [1, 2]\n'
    done = lab.labq("enqueue", "--json", str(lab.write("breaks.toml", text)))
    first, second = json.loads(done.stdout)["ids"]
    lab.worker("--burst").wait(60)
    assert lab.store.run(first).state is State.FINISHED
    assert lab.store.run(second).state is not State.FINISHED
    lab.labq("stop", second, ok=False)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_worker_that_is_asked_to_leave_takes_no_further_run(lab: Lab, seed: int) -> None:
    name = f"leaving-{seed}"
    runs = _enqueue(lab, name, "pass", [str(number) for number in range(150)])
    worker = lab.worker()
    until(lambda: State.FINISHED in _states(lab, name), what="the first one")
    time.sleep(random.Random(seed).uniform(0.0, 0.5))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert _states(lab, name) == {State.FINISHED, State.QUEUED}
    lab.worker("--burst").wait(60)
    assert _endings(lab, runs) == [1] * 150


def test_supervisors_that_are_killed_all_the_time_lose_and_repeat_nothing(lab: Lab) -> None:
    code = "import sys, pathlib; open('ran.txt', 'a').write(sys.argv[1] + '\\n')"
    runs = _enqueue(lab, "storm", code, [str(number) for number in range(120)])
    worker, chance = lab.worker(), random.Random(5)
    for _ in range(12):
        time.sleep(chance.uniform(0.05, 0.4))
        for process in psutil.Process(worker.pid).children():
            kill(process)
    # One by one: a list is no snapshot, and may miss the run that goes back into the queue while it is read.
    until(lambda: all(lab.run(run).state is State.FINISHED for run in runs), 90, "the end of all")
    assert _endings(lab, runs) == [1] * 120
    assert set(Path(lab.home, "ran.txt").read_text().split()) == {str(number) for number in range(120)}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
