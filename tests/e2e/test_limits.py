"""Limits that hold and machines that say no, with real workers and real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from lab import Lab, until

from store.runs import Run
from store.states import Reason, State


def enqueue(lab: Lab, name: str, body: str, more: str = "", command: list[str] | None = None) -> Run:
    script = lab.write(f"{name}.py", textwrap.dedent(body))
    text = f'name = "{name}"\ncommand = {json.dumps(command or [sys.executable, str(script)])}\n{more}\n'
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


def output(lab: Lab, run: Run) -> str:
    return lab.store.log_tail(run.id, lab.run(run).attempt, 100_000).decode()


# ── limits ──
def test_a_run_that_takes_too_much_memory_is_ended_and_says_so(lab: Lab) -> None:
    run = enqueue(
        lab,
        "greedy",
        """
        import time
        held = []
        while True:
            held.append(bytearray(b"x") * 10_000_000); time.sleep(0.05)
        """,
        '[resources]\nmemory = "150MB"',
    )
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason, ended.attempt) == (State.FAILED, Reason.OUT_OF_MEMORY, 1)
    assert ended.ending is not None
    assert "[resources] memory is 150.0 MB" in ended.ending.message
    assert ended.ending.signal == signal.SIGKILL
    assert (ended.ending.peak_memory_bytes or 0) > 100e6


def test_the_memory_of_all_its_processes_counts_and_all_of_them_end(lab: Lab) -> None:
    run = enqueue(
        lab,
        "many",
        """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                os.setsid(); held = bytearray(b"x") * 60_000_000; time.sleep(600)
        time.sleep(600)
        """,
        '[resources]\nmemory = "150MB"',
    )
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert ended.reason is Reason.OUT_OF_MEMORY
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(lab.home / "many.py") in (p.info["cmdline"] or [])]


def test_memory_that_is_shared_counts_once(lab: Lab) -> None:
    run = enqueue(
        lab,
        "sharing",
        """
        import os, time
        held = bytearray(b"x") * 80_000_000
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(2.5); os._exit(0)
        time.sleep(2.5)
        """,
        '[resources]\nmemory = "150MB"',
    )
    lab.worker("--burst")
    assert lab.wait_until_ended(run).state is State.FINISHED


def test_cpus_and_nice_reach_the_script_unless_the_file_says_otherwise(lab: Lab) -> None:
    run = enqueue(
        lab,
        "threads",
        """
        import os
        print(os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], os.nice(0))
        """,
        'env = { MKL_NUM_THREADS = "7" }\n[resources]\ncpus = 2\nnice = 5',
    )
    lab.worker("--burst", OMP_NUM_THREADS="1")
    lab.wait_until_ended(run)
    threads, numba, mkl, nice = output(lab, run).split()
    assert (threads, numba, mkl, int(nice)) == ("2", "2", "7", os.nice(0) + 5)


# ── preflight ──
def test_a_programme_that_no_worker_has_fails_the_run_with_the_reason(lab: Lab) -> None:
    until(lambda: not lab.store.workers(3), what="nobody else, not even killed a moment ago")
    run = enqueue(lab, "unknown", "", command=["no-such-programme"])
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason, ended.attempt) == (State.FAILED, Reason.REFUSED, 1)
    assert ended.ending is not None
    assert "there is no programme 'no-such-programme'" in ended.ending.message
    assert ended.history[0].ending is not None


def test_a_worker_without_the_programme_leaves_the_run_to_one_that_has_it(lab: Lab, tmp_path: Path) -> None:
    tool = tmp_path / "tool-of-another-environment"
    tool.write_text("#!/bin/sh\necho done\n")
    tool.chmod(0o755)
    (blocker,), go = waiting_runs(lab, "blocker", 1, "env = { CUDA_VISIBLE_DEVICES = 'none' }")
    lab.worker(PATH=f"{tmp_path}:{lab.env['PATH']}")
    until(lambda: output(lab, blocker), what="a busy worker that has it")
    run = enqueue(lab, "elsewhere", "", command=[tool.name])
    lab.worker()
    refused = until(lambda: r if (r := lab.run(run)).refusals else None, what="a worker without it")
    assert (refused.state, refused.reason, refused.history) == (State.QUEUED, Reason.REFUSED, ())
    go.touch()
    ended = lab.wait_until_ended(run)
    assert (ended.state, output(lab, run), ended.refusals) == (State.FINISHED, "done\n", ())


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_worker_killed_a_moment_ago_that_may_have_the_programme_is_waited_for(
    lab: Lab, tmp_path: Path, comes_back: bool
) -> None:
    tool = tmp_path / f"tool-of-a-dead-worker-{comes_back}"
    tool.write_text("#!/bin/sh\necho done\n")
    tool.chmod(0o755)
    path = f"{tmp_path}:{lab.env['PATH']}"
    until(lambda: not lab.store.workers(lab.living_s), what="nobody else")
    doomed = lab.worker(PATH=path)
    until(lambda: lab.store.workers(lab.living_s), what="a worker that has it")
    doomed.kill()
    doomed.wait()
    run = enqueue(lab, f"waited-{comes_back}".lower(), "", command=[tool.name])
    lab.worker(LABQ_LOOK_S="4", LABQ_LEASE_S="12")  # living: 12 s
    until(lambda: lab.run(run).attempt, what="a worker without it")
    refused = until(lambda: r if (r := lab.run(run)).state is not State.RUNNING else None, what="its word")
    assert (refused.state, refused.reason) == (State.QUEUED, Reason.REFUSED), "failing would be final"
    if comes_back:
        lab.worker(PATH=path)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == ((State.FINISHED, None) if comes_back else (State.FAILED, Reason.REFUSED))


def test_a_run_that_its_only_worker_has_no_disk_for_waits_without_spinning(lab: Lab) -> None:
    hungry = enqueue(lab, "hungry", "print('never')", '[resources]\ndisk = "900TB"')
    modest = enqueue(lab, "modest", "print('done')")
    before = lab.log_text()
    worker = lab.worker()
    assert lab.wait_until_ended(modest).state is State.FINISHED
    time.sleep(4)
    waiting = lab.run(hungry)
    assert (waiting.state, waiting.reason, waiting.setbacks, waiting.history) == (State.QUEUED, Reason.REFUSED, 0, ())
    assert "900.0 TB of disk in the run directory are needed" in waiting.remark
    assert lab.log_text().removeprefix(before).count(" refused ") == 1
    shown = lab.labq("show", hungry.id).stdout
    assert "refused by" in shown
    assert "900.0 TB" in shown
    lab.labq("stop", hungry.id)
    assert lab.run(hungry).state is State.CANCELLED
    worker.terminate()
    assert worker.wait(timeout=15) == 0


def test_a_run_that_declares_more_memory_than_is_free_waits(lab: Lab) -> None:
    total = psutil.virtual_memory().total
    run = enqueue(lab, "big", "print('never')", f"[resources]\nmemory = {int(total * 0.999)}")
    worker = lab.worker("--burst")
    worker.wait(timeout=30)
    waiting = lab.run(run)
    lab.labq("stop", run.id)
    if waiting.attempt:  # a container with a lower limit does not even claim it
        assert (waiting.state, waiting.reason) == (State.QUEUED, Reason.REFUSED)
        assert "of memory are needed" in waiting.remark


# ── GPUs ──
@pytest.fixture
def gpu_env(tmp_path: Path) -> dict[str, str]:
    """Two idle GPUs."""
    fakes = Path(__file__).parent.parent / "fakes" / "nvml"
    environ = {"FAKE_NVML": str(tmp_path / "table.json"), "PYTHONPATH": str(fakes)}
    write_table(environ)
    return environ


def write_table(environ: dict[str, str], **first: object) -> None:
    idle = {"total": 80e9, "used": 0, "processes": [], "busy": 40, "milliwatts": 90000, "celsius": 50}
    table = [{"uuid": "GPU-a", **idle, **first}, {"uuid": "GPU-b", **idle}]
    file = Path(environ["FAKE_NVML"])
    hidden = file.with_suffix(".new")
    hidden.write_text(json.dumps(table))
    hidden.rename(file)


WAITING = """
    import os, pathlib, time
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    while not pathlib.Path("{go}").exists():
        time.sleep(0.05)
    """


def waiting_runs(lab: Lab, name: str, count: int, more: str) -> tuple[list[Run], Path]:
    go = lab.home / f"{name}.go"
    return [enqueue(lab, f"{name}-{i}", WAITING.format(go=go), more) for i in range(count)], go


def running(lab: Lab, runs: list[Run]) -> list[str]:
    """What those that run see."""
    return sorted(output(lab, run).strip() for run in runs if lab.run(run).state is State.RUNNING and output(lab, run))


def test_workers_of_one_machine_give_each_run_a_gpu_of_its_own(lab: Lab, gpu_env: dict[str, str]) -> None:
    runs, go = waiting_runs(lab, "own", 3, "[resources]\ngpus = 1")
    lab.worker("-n", "3", **gpu_env)
    until(lambda: running(lab, runs) == ["0", "1"], what="two runs on two GPUs")
    time.sleep(1.5)
    assert running(lab, runs) == ["0", "1"]
    assert sum(lab.run(run).attempt for run in runs) == 2, "the third is not even claimed"
    go.touch()
    for run in runs:
        assert lab.wait_until_ended(run).state is State.FINISHED
        assert lab.run(run).history[-1].facts["gpus"] in (["GPU-a"], ["GPU-b"])


def test_runs_share_a_gpu_once_they_say_what_they_need(lab: Lab, gpu_env: dict[str, str]) -> None:
    runs, go = waiting_runs(lab, "share", 3, '[resources]\ngpus = 1\ngpu_memory = "30GB"')
    lab.worker("-n", "3", "--gpus", "1,", "--slots-per-gpu", "3", LABQ_LOOK_S="0.5", **gpu_env)
    until(lambda: running(lab, runs) == ["1", "1"], what="two runs on one GPU")
    refused = until(lambda: next((r for r in map(lab.run, runs) if r.refusals), None), what="the third, refused")
    assert "a GPU with 30.0 GB free is needed, none can be had" in refused.remark
    go.touch()
    for run in runs:
        assert lab.wait_until_ended(run).state is State.FINISHED


def test_a_gpu_that_a_stranger_computes_on_is_left_alone(lab: Lab, gpu_env: dict[str, str]) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    write_table(gpu_env, used=20e9, processes=[[stranger.pid, 20e9]])
    runs, go = waiting_runs(lab, "strange", 2, "[resources]\ngpus = 1")
    lab.worker("-n", "2", **gpu_env)
    until(lambda: running(lab, runs) == ["1"], what="one run on the other GPU")
    time.sleep(1.5)
    assert running(lab, runs) == ["1"]
    stranger.kill()
    stranger.wait()
    write_table(gpu_env)
    until(lambda: running(lab, runs) == ["0", "1"], what="a run on the GPU that is free again")
    go.touch()
    for run in runs:
        lab.wait_until_ended(run)


def test_a_killed_workers_gpu_is_taken_again(lab: Lab, gpu_env: dict[str, str]) -> None:
    (run,), go = waiting_runs(lab, "killed", 1, "[resources]\ngpus = 1")
    first = lab.worker("--gpus", "0,", **gpu_env)
    until(lambda: running(lab, [run]) == ["0"], what="the run")
    first.kill()
    lab.worker("--gpus", "0,", **gpu_env)
    until(lambda: lab.run(run).attempt == 2 and running(lab, [run]) == ["0"], what="the run again")
    go.touch()
    assert lab.wait_until_ended(run).state is State.FINISHED


def test_a_gpu_that_is_not_there_is_said_at_once(lab: Lab, gpu_env: dict[str, str]) -> None:
    worker = lab.worker("--gpus", "0,7", **gpu_env)
    assert worker.wait(timeout=20) == 2
    assert "there is no GPU '7' here; there are: 0, 1" in lab.log_text()


# ── samples ──
def test_what_a_run_uses_is_sampled_and_its_peak_kept(lab: Lab, gpu_env: dict[str, str]) -> None:
    run = enqueue(
        lab,
        "sampled",
        """
        import json, os, pathlib, time
        held = bytearray(b"x") * 50_000_000
        file = pathlib.Path(os.environ["FAKE_NVML"])
        table = json.loads(file.read_text())
        table[0] |= {"used": 7e9, "processes": [[os.getpid(), 7e9]]}
        file.write_text(json.dumps(table))
        pathlib.Path("written").write_bytes(held); os.sync()
        until = time.monotonic() + 2
        while time.monotonic() < until: pass
        table[0] |= {"used": 0, "processes": []}
        file.write_text(json.dumps(table))
        """,
        "[resources]\ngpus = 1",
    )
    lab.worker("--burst", LABQ_SAMPLE_S="0.3", **gpu_env)
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    peaks = ended.history[0].peaks
    assert 50e6 < peaks.memory_bytes < 200e6
    assert peaks.gpu_memory_bytes == 7e9
    assert lab.store.peaks("sampled") == peaks
    samples = lab.store.samples(run.id)
    assert len(samples) >= 4
    assert samples[-1].cpu_s > samples[0].cpu_s
    assert samples[-1].written_bytes >= 50e6
    assert (samples[1].gpus[0].busy, samples[1].gpus[0].power_w, samples[1].gpus[0].celsius) == (0.4, 90.0, 50.0)
    shown = lab.labq("show", run.id, "--resources").stdout
    assert "7.0 GB on a GPU" in shown
    assert "0: 7.0 GB 40% 90 W 50 °C" in shown
    as_json = json.loads(lab.labq("show", run.id, "--resources", "--json").stdout)
    assert len(as_json["samples"]) == len(samples)
    assert as_json["peaks"][0]["gpu_memory_bytes"] == 7e9
