"""`labq send`: scripts without Python, under labq and around it."""

import signal

from lab import LABQ, Lab, is_alive, kill, until
from own_scripts import Started, bash, begin, folders, only, runs

from store.runs import Run
from store.states import Reason, State

REPORTS = """
for i in 1 2 3; do labq send step=$i loss=0.$i --progress $i/3 || exit 9; done
echo 1,2 > sent.csv
labq send --file sent.csv --log "a line of bash" || exit 9
"""
START = "LABQ_RUN=$(labq send --start --pid $$ --name {name} --param lr=0.5) || exit 9; export LABQ_RUN\n"


def has_all(lab: Lab, run: Run) -> None:
    now = lab.run(run)
    series = lab.store.series(run.id, "loss")
    assert (series.steps, series.values) == ((1, 2, 3), (0.1, 0.2, 0.3))
    assert now.progress is not None
    assert now.progress.fraction == 1.0
    assert [one.name for one in lab.store.artifacts(run.id)] == ["sent.csv"]
    assert "a line of bash" in lab.labq("logs", run.id).stdout


def test_a_script_under_exec_reports_to_its_run(lab: Lab) -> None:
    file = lab.home / "reports.sh"
    file.write_text(f'labq() {{ "{LABQ[0]}" {" ".join(LABQ[1:])} "$@"; }}\n{REPORTS}labq send --finish\n')
    done = begin(lab, "--name", "under-exec", "--", "bash", str(file))
    assert done.code() == 0, done.said()
    has_all(lab, only(lab, "under-exec"))
    assert only(lab, "under-exec").state is State.FINISHED


def test_a_script_under_a_worker_reports_to_its_run(lab: Lab) -> None:
    file = lab.home / "reports.sh"
    file.write_text(f'labq() {{ "{LABQ[0]}" {" ".join(LABQ[1:])} "$@"; }}\n{REPORTS}')
    text = f'name = "under-worker"\ncommand = ["bash", "{file}"]\n'
    lab.labq("enqueue", str(lab.write("under.toml", text)))
    lab.worker("--burst").wait(90)
    run = only(lab, "under-worker")
    assert run.state is State.FINISHED, lab.log_text()
    has_all(lab, run)


def test_a_script_begins_and_finishes_a_run_of_its_own(lab: Lab) -> None:
    done = bash(lab, f"{START.format(name='own')}{REPORTS}labq send --finish --exit-code 3; echo finish $?")
    assert done.code() == 0, done.said()
    assert "finish 0" in done.out.read_text()
    run = only(lab, "own")
    assert (run.state, run.reason, run.params) == (State.FAILED, Reason.ERROR, {"lr": 0.5})
    assert run.ending is not None
    assert run.ending.exit_code == 3
    has_all(lab, run)
    assert not folders(lab)


def test_with_its_variables_the_handle_works_in_all_of_the_script(lab: Lab) -> None:
    from own_scripts import STEPS

    params = " ".join(f"--param {one}" for one in ("seed=7", "steps=30", "pause_s=0"))
    text = f'eval "$(labq send --start --export --pid $$ --name exported {params})"\n{" ".join(STEPS)} >/dev/null\n'
    done = bash(lab, f"{text}labq send --finish")
    assert done.code() == 0, done.said()
    run = only(lab, "exported")
    assert run.state is State.FINISHED
    assert run.checkpoint is not None
    assert (run.checkpoint.step, run.summary["loss"].count) == (29, 30)


def test_a_script_that_dies_without_a_word_is_noticed(lab: Lab) -> None:
    done = bash(lab, f"{START.format(name='dies')}labq send step=1 loss=0.1\nkill -9 $$")
    assert done.code() == -9
    run = lab.wait_until_ended(only(lab, "dies"))
    assert (run.state, run.reason) == (State.FAILED, Reason.ERROR)
    assert run.ending is not None
    assert run.ending.message == "its script ended without labq send --finish"
    assert lab.store.series(run.id, "loss").values == (0.1,)


def test_a_stopped_run_ends_and_its_script_goes_on(lab: Lab) -> None:
    text = (
        START.format(name="let-go")
        + "echo begun; while labq send loss=1; do sleep 0.2; done; labq send loss=1; echo told $?; exit 4"
    )
    started = bash(lab, text)
    started.until_it_says("begun")
    lab.labq("stop", only(lab, "let-go").id)
    assert started.code() == 4
    assert "told 1" in started.out.read_text()
    assert "is not being carried out here any more" in started.err.read_text()
    assert only(lab, "let-go").state is State.CANCELLED


def background_of(run: Run, lab: Lab) -> int:
    found = until(lambda: [one for one in lab.store.workers(60) if one.only == run.id], what="who watches")
    return found[0].pid


def test_when_those_who_watch_are_killed_the_script_goes_on_and_the_run_is_lost(lab: Lab) -> None:
    import psutil

    text = (
        START.format(name="unwatched")
        + "labq send loss=1; echo begun; while labq send loss=1; do sleep 0.2; done; exit 6"
    )
    started = bash(lab, text)
    started.until_it_says("begun")
    run = only(lab, "unwatched")
    kill(psutil.Process(background_of(run, lab)))
    assert started.code() == 6
    helper = lab.worker()
    until(lambda: lab.run(run).reason is Reason.LOST, what="a lost run")
    assert lab.run(run).state is State.QUEUED
    helper.terminate()
    assert "stored" in lab.labq("send", "--unsent").stdout
    assert lab.store.series(run.id, "loss").values[0] == 1.0


def test_without_mongodb_a_script_begins_reports_and_finishes(lab: Lab) -> None:
    lab.kill_server("mongod")
    done = bash(lab, f"{START.format(name='away')}{REPORTS}labq send --finish; echo finish $?")
    assert done.code() == 0, done.said()
    assert "finish 3" in done.out.read_text()
    assert "labq send --unsent" in done.err.read_text()
    refused = bash(lab, "labq send --start --pid $$ --name away --if-away fail; echo start $?")
    assert refused.code() == 0
    assert "start 3" in refused.out.read_text()
    lab.up()
    assert "away: stored" in lab.labq("send", "--unsent").stdout
    run = only(lab, "away")
    assert run.state is State.FINISHED
    has_all(lab, run)


def test_sending_is_quick_and_many_at_once_lose_nothing(lab: Lab) -> None:
    file = lab.home / "many.sh"
    body = "for j in 1 2 3 4; do (for i in 1 2 3 4 5; do labq send m$j=$i step=$i; done) & done; wait"
    file.write_text(f'labq() {{ "{LABQ[0]}" {" ".join(LABQ[1:])} "$@"; }}\n{body}\n')
    done = begin(lab, "--name", "many", "--", "bash", str(file))
    assert done.code() == 0, done.said()
    run = only(lab, "many")
    assert {name: one.count for name, one in run.summary.items()} == {f"m{j}": 5 for j in (1, 2, 3, 4)}
    assert not run.remark


def test_the_end_of_a_job_interrupts_its_bracketed_run(lab: Lab) -> None:
    """As schedulers do it: SIGTERM to everybody in the job."""
    import psutil

    started: Started = bash(lab, START.format(name="job-ends") + "echo begun; sleep 60")
    started.until_it_says("begun")
    run = only(lab, "job-ends")
    watcher = psutil.Process(background_of(run, lab))
    watcher.terminate()
    started.process.send_signal(signal.SIGTERM)
    until(lambda: lab.run(run).state is State.QUEUED, what=f"an interrupted run: {lab.run(run)}")
    assert lab.run(run).reason is Reason.DRAINED
    until(lambda: not is_alive(watcher), what="its end")
    assert len(runs(lab, "job-ends")) == 1
