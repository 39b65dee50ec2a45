"""Runs of somebody's own scripts: which run it is, what it is called, what the store does while MongoDB is away."""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from queueing.cli.parser import build_parser, whole
from queueing.cli.send import progress_of
from queueing.people import stop_change
from store.errors import LabqError, StoreUnavailable, UserError
from store.memory import MemoryStore
from store.runs import Attempt, Ending, Run
from store.states import Reason, State
from store.store import Settlement, Store
from store.workers import Worker
from worker.script.around import Around, around, as_name
from worker.script.entering import STARTED, Busy, Entrance, Overruled, enter, record
from worker.script.own_store import OwnStore
from worker.script.shared import Shared, as_shells_have_it
from worker.script.wanted import Wanted, key_for, literal, name_for, params_of, plain_in, run_for, task_for

WANTED = Wanted(experiment="exp", command=("python", "train.py"), workdir="/", owner="ann", params={"lr": 0.1})
WORKER = Worker(name="w1", host="here", pid=1)
JOB = Around(job="slurm:c:12", start="0", is_again=False)
AGAIN = replace(JOB, start="1", is_again=True)


# ── names and parameters ──
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python -u exps/train.py --lr 0.1", "train"),
        ("python3.12 -m lab.fit x.csv", "lab.fit"),
        ("python -c pass", "python"),
        ("/opt/bin/simulate in.cfg", "simulate"),
        ("bash ./run all.sh", "all"),
        ("torchrun --nproc 2 ddp.py", "ddp"),
        ("./ünïcode", "n-code"),
    ],
)
def test_an_experiment_is_called_as_its_programme(command: str, name: str) -> None:
    assert name_for(command.split(), None) == name


def test_a_job_that_has_a_name_gives_it() -> None:
    assert name_for(("python", "a.py"), replace(JOB, name="LM_miuc")) == "LM_miuc"
    found = around({"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "my job/2"})
    assert found is not None
    assert found.name == "my-job-2"
    assert [around({"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": name}) for name in ("wrap", "")] == 2 * [
        around({"SLURM_JOB_ID": "7"})
    ]
    assert as_name("--.x") == "x"


def test_only_what_cannot_be_misread_is_taken_from_a_command() -> None:
    command = (
        "train.py --lr 0.1 --optimizer adam --depth=3 --name=x --verbose data.csv seed=7 model.size=big --no-bn -x 3"
    )
    assert plain_in(command.split()) == {
        "lr": 0.1, "depth": 3, "name": "x", "seed": 7, "model.size": "big",
    }  # fmt: skip
    assert plain_in(["t", "--n", "nan", "--m", "-3", "--k", "1e-4"]) == {"m": -3, "k": 1e-4}


def test_given_parameters_come_before_those_of_the_command() -> None:
    found = params_of(["lr=0.5", "opt.name=adam", "layers=[3, 4]", "flag=true"], ["t", "--lr", "0.1", "--seed=1"])
    assert found == {"lr": 0.5, "opt": {"name": "adam"}, "layers": [3, 4], "flag": True, "seed": 1}


@pytest.mark.parametrize("given", [["lr"], ["=1"], ["a b=1"], ["lr=0.1", "lr.x=2"], ["big=99999999999999999999"]])
def test_a_wrong_parameter_is_told(given: list[str]) -> None:
    with pytest.raises(UserError, match="--param"):
        params_of(given, [])


def test_braces_of_a_command_are_braces() -> None:
    from queueing.placeholders import fill

    command = ("awk", "{print $1}", "{}")
    assert tuple(fill(literal(task_for(replace(WANTED, command=command))).command, {}, 0)) == command


# ── which job ──
def test_jobs_and_their_starts_are_told_by_their_variables() -> None:
    first = around({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "c"})
    assert first == JOB
    assert around({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "c", "SLURM_RESTART_COUNT": "1"}) == AGAIN
    task = {"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    assert around(task) == Around(job="slurm::12_3", start="0", is_again=False)
    rank = {"SLURM_JOB_ID": "12", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}
    assert around(rank) == Around(job="slurm::12#2", start="0", is_again=False)
    sge = {"JOB_ID": "5", "SGE_ROOT": "/sge", "SGE_TASK_ID": "undefined", "RESTARTED": "1", "JOB_NAME": "STDIN"}
    found = around(sge)
    assert found is not None
    assert (found.job, found.is_again, found.name) == ("sge::5.1", True, "")
    assert around({}) is None
    assert around({"JOB_ID": "5"}) is None


def test_a_key_is_that_of_the_job_the_line_and_its_turn() -> None:
    same = key_for(WANTED, JOB, 0)
    assert same == key_for(WANTED, AGAIN, 0)
    others = [
        key_for(WANTED, JOB, 1),
        key_for(replace(WANTED, command=("python", "other.py")), JOB, 0),
        key_for(WANTED, replace(JOB, job="slurm:c:13"), 0),
        key_for(WANTED, None, 0),
        key_for(WANTED, None, 0),
        key_for(replace(WANTED, key="k"), JOB, 0),
    ]
    assert len({same, *others}) == 7
    assert key_for(replace(WANTED, key="k"), None, 0) == others[-1]


# ── entering ──
def entrance(job: Around | None = None, **changes: Any) -> Entrance:
    return Entrance(wanted=replace(WANTED, **changes), job=job, worker=WORKER, lease_s=60)


def begun(store: Store, job: Around | None = None, **changes: Any) -> Run:
    run = enter(store, entrance(job, **changes))
    return store.begin(run.id, run.attempt, None, {STARTED: job.start} if job else {})


def ended(store: Store, run: Run, state: State = State.FINISHED, reason: Reason | None = None) -> Run:
    return store.settle(run.id, run.attempt, Settlement(state=state, reason=reason, ending=Ending(reason=reason)))


def test_lines_of_one_job_are_runs_of_their_own_also_when_they_are_alike() -> None:
    store = MemoryStore()
    first = ended(store, begun(store, JOB))
    second = begun(store, JOB)
    assert first.id != second.id
    assert (first.attempt, second.attempt, second.state) == (1, 1, State.RUNNING)


def test_a_job_that_comes_back_goes_on_with_its_lines_in_order() -> None:
    store = MemoryStore()
    first, second = ended(store, begun(store, JOB)), begun(store, JOB)
    again = begun(store, AGAIN)
    assert (again.id, again.attempt) == (first.id, 2)
    ended(store, again)
    also = begun(store, AGAIN)  # its lease goes on, but its job does not
    assert (also.id, also.attempt, also.history[0].ending and also.history[0].ending.reason) == (
        second.id,
        2,
        Reason.LOST,
    )
    third = begun(store, AGAIN)
    assert third.id not in (first.id, second.id)


def test_a_key_that_is_being_carried_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    begun(store, key="k")
    monkeypatch.setattr("worker.script.entering._SPARE_S", -59.7)
    with pytest.raises(Busy, match="is being carried out by w1"):
        enter(store, entrance(key="k"))


@pytest.mark.parametrize("state", [State.FINISHED, State.FAILED, State.CANCELLED])
def test_by_hand_a_key_goes_on_with_whatever_became_of_its_run(state: State) -> None:
    store = MemoryStore()
    first = ended(store, begun(store, key="k"), state)
    again = begun(store, key="k")
    assert (again.id, again.attempt) == (first.id, 2)


def test_a_job_that_comes_back_does_not_overrule_a_person() -> None:
    store = MemoryStore()
    run = ended(store, begun(store, JOB), State.QUEUED, Reason.DRAINED)
    store.change([run.id], stop_change())
    with pytest.raises(Overruled, match="was cancelled by a person"):
        enter(store, entrance(AGAIN))
    assert begun(store, resume=run.id).attempt == 2


def test_an_experiment_that_is_there_stays_as_it_is() -> None:
    store = MemoryStore()
    begun(store)
    before = store.experiment("exp")
    begun(store, command=("true",), notify_to=("me@lab.example",))
    assert store.experiment("exp") == before
    third = begun(store)
    assert third.notify.to == ("me@lab.example",)


# ── the store of a script ──
class Away(MemoryStore):
    """Answers, or does not."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if callable(found) and not name.startswith("_") and object.__getattribute__(self, "away"):
            raise StoreUnavailable("away")
        return found


def own_store(store: Away, *, joined: bool, was_interrupted: bool = False) -> tuple[OwnStore, Run]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    queued = run_for(replace(WANTED, key="k"), key_for(replace(WANTED, key="k"), None, 0), now, {}, _nobody())
    run = replace(queued, state=State.RUNNING, attempt=1, history=(Attempt(number=1, worker="w1", started_at=now),))
    if joined:
        run = enter(store, entrance(key="k"))

    def join() -> Store:
        record(store, queued, entrance(key="k"))
        return store

    made = OwnStore(
        run, run.task, join=join, store=store if joined else None, lease_s=60, facts={"command": ["x"]},
        was_interrupted=lambda: was_interrupted,
    )  # fmt: skip
    return made, run


def _nobody() -> Any:
    from store.runs import Notify

    return Notify()


def test_a_run_begins_without_mongodb_and_is_recorded_when_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.script.own_store._PAUSE_S", 0.0)
    store = Away()
    store.away = True
    own, run = own_store(store, joined=False)
    assert own.peaks("exp").memory_bytes == 0
    assert own.begin(run.id, 1, None, {"host": "here"}).history[0].facts == {"host": "here", "command": ["x"]}
    with pytest.raises(StoreUnavailable):
        own.renew(run.id, 1, 60)
    assert not own.is_joined
    store.away = False
    assert own.renew(run.id, 1, 60) is None
    recorded = store.run(run.id)
    assert (recorded.state, recorded.attempt, recorded.history[0].facts["host"]) == (State.RUNNING, 1, "here")


def test_a_join_that_was_cut_short_is_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.script.own_store._PAUSE_S", 0.0)
    store = Away()
    own, run = own_store(store, joined=False)
    begin: Callable[..., Run] = store.begin

    def cut_short(*_: Any) -> Run:
        raise StoreUnavailable("away")

    store.begin = cut_short  # type: ignore[method-assign]
    own.begin(run.id, 1, None, {})
    with pytest.raises(StoreUnavailable):
        own.renew(run.id, 1, 60)
    store.begin = begin  # type: ignore[method-assign]
    own.renew(run.id, 1, 60)
    assert store.run(run.id).attempt == 1


def test_an_attempt_that_was_given_up_takes_itself_back() -> None:
    own, run = own_store(store := Away(), joined=True)
    store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
    assert own.renew(run.id, 1, 60) is None
    assert store.run(run.id).state is State.RUNNING


def test_an_attempt_that_another_has_followed_is_adrift_and_harms_nobody() -> None:
    own, run = own_store(store := Away(), joined=True)
    store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
    enter(store, replace(entrance(resume=run.id), worker=replace(WORKER, name="w2")))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="has moved on"):
            own.renew(run.id, 1, 60)
    assert own.is_adrift
    assert store.run(run.id).attempt == 2


def test_what_is_superseded_of_others_is_no_matter_of_ours() -> None:
    own, _ = own_store(Away(), joined=True)
    with pytest.raises(LabqError):
        own.renew("somebodyelse", 1, 60)
    assert not own.is_adrift


def test_a_ctrl_c_cancels_what_would_wait() -> None:
    own, run = own_store(Away(), joined=True, was_interrupted=True)
    after = own.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.DRAINED))
    assert (after.state, after.reason) == (State.CANCELLED, Reason.STOPPED)


def test_a_ctrl_c_that_the_programme_finished_in_spite_of_cancels_nothing() -> None:
    own, run = own_store(Away(), joined=True, was_interrupted=True)
    assert own.settle(run.id, 1, Settlement(state=State.FINISHED)).state is State.FINISHED


# ── the command line ──
def test_the_command_after_exec_is_left_as_it_is() -> None:
    given = ["exec", "--name", "x", "--", "prog", "--sort", "-x", "--json", "--", "--name", "y"]
    options = build_parser().parse_args(whole(given))
    assert (options.name, options.json) == ("x", False)
    assert options.command[-8:] == given[-8:]


def test_what_is_shared_is_seen_on_both_sides() -> None:
    shared = Shared()
    assert (shared.pressed, shared.started, shared.exit_code, shared.run_id) == (False, False, None, "")
    shared.press()
    shared.end(-9)
    shared.name("abc123def456")
    assert (shared.pressed, shared.started, shared.exit_code, shared.run_id) == (True, False, -9, "abc123def456")
    assert [as_shells_have_it(code) for code in (0, 3, -9)] == [0, 3, 137]


@pytest.mark.parametrize(("text", "found"), [("0.4", [0.4, 1.0]), ("40%", [40.0, 100.0]), ("3/12", [3.0, 12.0])])
def test_progress_is_a_share_or_a_count(text: str, found: list[float]) -> None:
    assert progress_of(text) == found


@pytest.mark.parametrize("text", ["", "1.5", "140%", "-1", "3/2", "0/0", "x/y", "nan", "1/inf"])
def test_no_other_progress_is_understood(text: str) -> None:
    with pytest.raises(UserError, match="--progress"):
        progress_of(text)


# ── sending ──
@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory whose lock we hold, and the variables that name it."""
    import fcntl

    lock = open(tmp_path / "lock", "w")  # noqa: SIM115 - held until the test is over
    fcntl.flock(lock, fcntl.LOCK_EX)
    (tmp_path / "checkpoints").mkdir()
    for name in ("events.jsonl", "output.log"):
        (tmp_path / name).touch()
    for name, value in (("RUN", "abc123def456"), ("DIR", tmp_path), ("EVENTS", tmp_path / "events.jsonl")):
        monkeypatch.setenv(f"LABQ_{name}", str(value))
    monkeypatch.setattr(sys, "held_by_the_test", lock, raising=False)
    return tmp_path


def send(*arguments: str) -> int:
    from queueing.cli.send import send as verb

    return int(verb(build_parser().parse_args(["send", *arguments])))


def sent(folder: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert all(event.pop("_t") > 1e9 for event in events)
    return events


def test_what_is_sent_is_what_the_handle_writes(inside: Path) -> None:
    (inside / "out.csv").write_text("1")
    (inside / "w.bin").write_text("weights")
    assert send("step=10", "loss=0.3", "acc=nan", "--progress", "1/4", "--stop", "good", "--log", "a line") == 0
    assert send("--file", str(inside / "out.csv")) == 0
    assert send("step=10", "--checkpoint", str(inside / "w.bin")) == 0
    found = sent(inside)
    assert math.isnan(found[0].pop("acc"))
    assert found == [
        {"step": 10, "loss": 0.3},
        {"_progress": [1.0, 4.0]},
        {"_stop": "good"},
        {"_artifact": str(inside / "out.csv")},
        {"_checkpoint": "w-000000000010.bin", "step": 10},
    ]
    assert (inside / "checkpoints" / "w-000000000010.bin").read_text() == "weights"
    assert (inside / "output.log").read_text() == "a line\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "nothing to send"),
        (["loss"], "NAME=NUMBER"),
        (["loss=low"], "is no number"),
        (["step=1.5", "loss=1"], "a step is a whole number"),
        (["step=1"], "of what"),
        (["_stop=1"], "NAME=NUMBER"),
        (["loss=1", "loss=2"], "each name once"),
        (["--file", "nope"], "no such file"),
        (["--file", "loss=1"], "metrics go before --file"),
        (["--file", "/"], "a folder"),
        (["--checkpoint", "nope"], "no such file or folder"),
        (["loss=1", "--exit-code", "1"], "is for labq send --finish"),
        (["loss=1", "--name", "x"], "is for labq send --start"),
        (["--start", "--finish"], "exclude each other"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_sent(inside: Path, given: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        send(*given)
    assert sent(inside) == []


def test_a_run_that_is_over_is_told(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inside / "lock").unlink()
    with pytest.raises(LabqError, match="is not being carried out here any more"):
        send("loss=1")
    monkeypatch.delenv("LABQ_RUN")
    with pytest.raises(UserError, match="there is no run here"):
        send("loss=1")
