"""Damage made by hand in real servers: found, mended, and nothing else touched."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId

from notify.rules.round import RulesRound
from queueing.checks import Lab, LeaseCheck
from queueing.doorbell import Doorbell, TicketWorker, ticket_id
from queueing.mending import all_checks, look, mend
from store.connect import redis_url
from store.damage import Damage, Fault
from store.findings import Diagnosis
from store.metrics import Point, Shipment, segments
from store.mongo import MongoStore
from store.mongo.pages import PAGE, _distinct, distinct_pages, pages
from store.runs import Checkpoint, Ending, Notify, Run, Task
from store.samples import Peaks, Sample
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker
from worker.gpu_slots import Slots
from worker.gpus import Gpu
from worker.leftovers import here
from worker.rundir import make_run_dir

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
LONG_S = 60.0
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
GIVEN_BACK = Settlement(state=State.QUEUED, reason=Reason.DRAINED, ending=Ending(reason=Reason.DRAINED))


class Patient:
    """A lab with the finders and hands of `labq doctor`."""

    def __init__(self, store: MongoStore, bell: Doorbell, settings: Settings, tmp_path: Path) -> None:
        self.store, self.bell, self.settings, self.folder = store, bell, settings, tmp_path
        self.lab = Lab(store=store, doorbell=bell, settings=settings, owner="doctor")

    def checks(self, *, deep: bool = False) -> list:
        return [*all_checks(replace(self.lab, deep=deep)), *here(self.settings)]

    def found(self, *, deep: bool = False) -> dict[Damage, list[str]]:
        return {one.damage: [fault.id for fault in one.faults] for one in look(self.checks(deep=deep), lambda _: None)}

    def mend(self, *, deep: bool = False) -> dict[Damage, tuple[int, int, int]]:
        done = mend(self.checks(deep=deep), lambda _: None)
        return {one.damage: (len(one.faults), one.mended, one.left) for one in done}

    def expect(self, *damages: Damage, deep: bool = False) -> None:
        """Found as this and no other, mended, and nothing left to find."""
        assert set(self.found(deep=deep)) == set(damages)
        mended = self.mend(deep=deep)
        assert set(mended) == set(damages)
        assert all(found == done and not left for found, done, left in mended.values()), mended
        assert self.found(deep=deep) == {}

    # ── a life ──
    def claim(self, name: str) -> Run:
        run = Run(
            id=name, key=name, experiment="x", params={}, task=Task(command=("true",), workdir="/"),
            queued_at=datetime(2026, 1, 1, tzinfo=UTC), notify=Notify(to=("me@lab.example",)),
        )  # fmt: skip
        self.store.add_runs([run])
        claimed = self.store.claim(WORKER, LONG_S)
        assert claimed is not None
        return claimed

    def publish(self, run: Run, step: int, size_bytes: int = 600_000) -> Checkpoint:
        path = self.folder / f"c{step}.bin"
        path.write_bytes(bytes([step % 256]) * size_bytes)
        checkpoint = Checkpoint(
            id="", run=run.id, attempt=run.attempt, step=step, line=step, name=path.name, is_dir=False,
            size_bytes=0, sha256="", created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        return self.store.publish_checkpoint(checkpoint, path, keep=2)

    def live(self, name: str) -> Run:
        """Everything that a run leaves in the store, its attempt still running."""
        run = self.claim(name)
        self.store.begin(run.id, run.attempt, None, {})
        point = Point(name="loss", step=1, time=1.0, value=0.5, line=1, index=0)
        shipment = Shipment(
            events_from=0, events_to=9, lines_to=1, segments=segments([point]), output_from=0, output=b"hello"
        )
        self.store.ship(run.id, run.attempt, shipment, {})
        for step in (1, 2, 3):
            self.publish(run, step)
        kept = self.folder / "kept.txt"
        kept.write_text("kept")
        self.store.add_artifact(run.id, run.attempt, kept)
        sample = Sample(
            run=run.id, attempt=run.attempt, host="here", cpu_s=1, memory_bytes=1, read_bytes=0, written_bytes=0,
            disk_free_bytes=1,
        )  # fmt: skip
        self.store.add_sample(sample, Peaks(), LONG_S)
        return run

    def rest(self, name: str, settlement: Settlement = FINISHED) -> Run:
        run = self.live(name)
        return self.store.settle(run.id, run.attempt, settlement)


@pytest.fixture
def bell(servers: Settings) -> Iterator[Doorbell]:
    made = Doorbell(redis_url(servers), 2.0)
    made._redis.flushall()
    yield made
    made.close()


@pytest.fixture
def patient(mongo_store: MongoStore, bell: Doorbell, servers: Settings, tmp_path: Path) -> Patient:
    made = Patient(mongo_store, bell, replace(servers, home=tmp_path / "home"), tmp_path)
    made.rest("healthy")
    made.live("busy")
    assert made.found() == {}
    return made


def whole(patient: Patient, run: str) -> None:
    """Everything of a run that no doctor should have touched."""
    assert len(patient.store.checkpoints(run)) == 2
    for checkpoint in patient.store.checkpoints(run):
        patient.store.fetch_checkpoint(checkpoint, patient.folder / f"fetched-{run}")
    assert patient.store.series(run, "loss").values == (0.5,)
    (artifact,) = patient.store.artifacts(run)
    assert patient.store.fetch_artifact(artifact, patient.folder).read_text() == "kept"
    assert len(patient.store.samples(run)) == 1


@pytest.fixture(autouse=True)
def others_are_untouched(patient: Patient) -> Iterator[None]:
    yield
    whole(patient, "healthy")
    whole(patient, "busy")


def test_a_healthy_lab_has_nothing_to_mend(patient: Patient) -> None:
    assert patient.mend() == {}
    assert patient.mend(deep=True) == {}


# ── files ──
def an_upload(patient: Patient, run: Run, bucket: str, marks: str) -> ObjectId:
    """As a process leaves it that is killed after its first block."""
    file_id = ObjectId()
    mark = {"_id": str(file_id), "run": run.id, "attempt": run.attempt}
    patient.store.database[marks].insert_one(mark)
    chunks = [{"files_id": file_id, "n": n, "data": b"x" * 1000} for n in range(250)]
    patient.store.database[f"{bucket}.chunks"].insert_many(chunks)
    return file_id


@pytest.mark.parametrize(("bucket", "marks"), [("checkpoint_files", "uploads"), ("artifacts", "artifact_uploads")])
def test_an_upload_of_a_dead_process_goes_and_that_of_a_living_stays(patient: Patient, bucket: str, marks: str) -> None:
    run = patient.live("r")
    file_id = an_upload(patient, run, bucket, marks)
    assert patient.found() == {}
    patient.mend()
    assert patient.store.database[f"{bucket}.chunks"].count_documents({"files_id": file_id}) == 250
    patient.store.settle(run.id, run.attempt, GIVEN_BACK)
    patient.expect(Damage.ABANDONED_UPLOAD)
    assert patient.store.database[f"{bucket}.chunks"].count_documents({"files_id": file_id}) == 0
    whole(patient, "r")


def test_an_artifact_that_was_stored_when_its_worker_died_stays(patient: Patient) -> None:
    run = patient.rest("r")
    (artifact,) = patient.store.artifacts("r")
    patient.store.database["artifact_uploads"].insert_one({"_id": artifact.id, "run": run.id, "attempt": run.attempt})
    patient.expect(Damage.ABANDONED_UPLOAD)
    whole(patient, "r")


def test_files_that_belong_to_nothing_go(patient: Patient) -> None:
    files, artifacts = patient.store._files(), patient.store._artifact_files()
    files.upload_from_stream("c.bin", b"x" * 10**6, metadata={"run": "healthy", "attempt": 1, "step": 1})
    files.upload_from_stream("nameless", b"x")
    artifacts.upload_from_stream("a.txt", b"x" * 10**6, metadata={"run": "nobody", "attempt": 1, "source": "a"})
    found = patient.found()
    assert len(found[Damage.ORPHANED_FILE]) == 3
    patient.expect(Damage.ORPHANED_FILE)


def test_chunks_without_a_file_go_in_pieces(patient: Patient) -> None:
    database = patient.store.database
    for bucket in ("checkpoint_files", "artifacts"):
        database[f"{bucket}.chunks"].insert_many(
            [
                {"files_id": file_id, "n": n + 1, "data": b"x"}
                for file_id in (ObjectId(), ObjectId())
                for n in range(250)
            ]
        )
    assert len(patient.found()[Damage.ORPHANED_CHUNKS]) == 4
    patient.expect(Damage.ORPHANED_CHUNKS)


# ── checkpoints ──
def lose(patient: Patient, checkpoint: Checkpoint) -> None:
    patient.store._files().delete(ObjectId(checkpoint.id))


def cut(patient: Patient, checkpoint: Checkpoint) -> None:
    key = {"files_id": ObjectId(checkpoint.id), "n": 1}
    assert patient.store.database["checkpoint_files.chunks"].delete_one(key).deleted_count


def shorten(patient: Patient, checkpoint: Checkpoint) -> None:
    change = {"$set": {"length": 5}}
    assert patient.store.database["checkpoint_files.files"].update_one({"_id": ObjectId(checkpoint.id)}, change)


@pytest.mark.parametrize("harm", [lose, cut, shorten])
def test_a_run_falls_back_to_the_newest_checkpoint_that_verifies(
    patient: Patient, harm: Callable[[Patient, Checkpoint], None]
) -> None:
    patient.rest("r", GIVEN_BACK)
    newest, older = patient.store.checkpoints("r")
    harm(patient, newest)
    assert patient.found() == {Damage.BROKEN_POINTER: ["r"], Damage.DAMAGED_CHECKPOINT: [newest.id]}
    patient.expect(Damage.BROKEN_POINTER, Damage.DAMAGED_CHECKPOINT)
    assert patient.store.run("r").checkpoint == older
    assert patient.store.checkpoints("r") == [older]
    patient.store.fetch_checkpoint(older, patient.folder / "again")


def test_a_run_without_any_whole_checkpoint_begins_anew(patient: Patient) -> None:
    patient.rest("r")
    for checkpoint in patient.store.checkpoints("r"):
        lose(patient, checkpoint)
    patient.expect(Damage.BROKEN_POINTER, Damage.DAMAGED_CHECKPOINT)
    assert patient.store.run("r").checkpoint is None


def test_a_flipped_byte_is_found_by_a_deep_look(patient: Patient) -> None:
    patient.rest("r")
    newest, older = patient.store.checkpoints("r")
    chunk = {"files_id": ObjectId(newest.id), "n": 1}
    size = len(patient.store.database["checkpoint_files.chunks"].find_one(chunk)["data"])
    patient.store.database["checkpoint_files.chunks"].update_one(chunk, {"$set": {"data": b"y" * size}})
    assert patient.found() == {}
    patient.expect(Damage.BROKEN_POINTER, Damage.DAMAGED_CHECKPOINT, deep=True)
    assert patient.store.run("r").checkpoint == older


def test_a_whole_checkpoint_that_was_lost_from_the_list_comes_back(patient: Patient) -> None:
    patient.rest("r")
    newest, older = patient.store.checkpoints("r")
    patient.store.database["checkpoints"].delete_one({"_id": newest.id})
    patient.expect(Damage.UNLISTED_CHECKPOINT)
    assert patient.store.checkpoints("r") == [newest, older]


def test_the_pointer_of_a_running_run_is_left_alone(patient: Patient) -> None:
    run = patient.live("r")
    lose(patient, patient.store.checkpoints("r")[0])
    assert patient.found() == {}
    patient.store.settle(run.id, run.attempt, GIVEN_BACK)
    patient.expect(Damage.BROKEN_POINTER, Damage.DAMAGED_CHECKPOINT)


def test_what_somebody_has_spoiled_by_hand_keeps_nothing_from_being_mended(patient: Patient) -> None:
    patient.rest("a")
    patient.rest("r")
    patient.store.database["runs"].update_one({"_id": "a"}, {"$set": {"checkpoint": {"id": 7}}})
    lose(patient, patient.store.checkpoints("r")[0])
    assert set(patient.found()) == {Damage.BROKEN_POINTER, Damage.DAMAGED_CHECKPOINT}


# ── other collections ──
def test_the_history_of_a_run_that_is_gone_goes_too(patient: Patient) -> None:
    patient.rest("r")
    logs = [{"run": "r", "attempt": 2, "offset": n, "data": b"x"} for n in range(250)]
    patient.store.database["logs"].insert_many(logs)
    patient.store.put_looks([Diagnosis(run="r", attempt=1, over=True)])
    patient.store.database["runs"].delete_one({"_id": "r"})
    places = {fault.place for one in look(patient.checks(), lambda _: None) for fault in one.faults}
    assert {"metrics", "logs", "samples", "events", "checkpoints", "diagnoses"} <= places
    patient.expect(Damage.HISTORY_WITHOUT_RUN, Damage.ABANDONED_UPLOAD, Damage.ORPHANED_FILE)
    for name in ("metrics", "logs", "samples", "events", "checkpoints", "uploads"):
        assert patient.store.database[name].count_documents({"run": "r"}) == 0, name
    assert patient.store.artifacts("r") == []
    assert patient.store.diagnoses(["r"]) == {}


def test_the_history_of_a_run_that_came_back_stays(patient: Patient) -> None:
    run = patient.rest("r")
    patient.store.database["runs"].delete_one({"_id": "r"})
    faults = [fault for one in look(patient.checks(), lambda _: None) for fault in one.faults]
    patient.store.add_runs([run])
    assert not any(patient.store.mend(fault, stale_s=60) for fault in faults)
    whole(patient, "r")


def test_a_worker_that_was_not_seen_for_long_is_forgotten(patient: Patient) -> None:
    patient.store.seen(WORKER)
    patient.store.seen(replace(WORKER, name="w2"))
    patient.store.database["workers"].update_one(
        {"_id": "w2"}, {"$set": {"seen_at": patient.store.now() - timedelta(hours=1)}}
    )
    patient.expect(Damage.STALE_WORKER)
    assert [worker.name for worker in patient.store.workers(60)] == ["w1"]


def test_a_lock_that_no_clock_explains_is_forgotten(patient: Patient) -> None:
    later = patient.store.now() + timedelta(days=3)
    patient.store.lock("repair", "w1", 5.0, gap_s=1)
    patient.store.lock("other", "w1", 5.0, gap_s=1)
    patient.store.database["locks"].update_one({"_id": "other"}, {"$set": {"until": later}})
    patient.expect(Damage.STALE_LOCK)
    assert patient.store.lock("repair", "w2", 5.0, gap_s=1) is None


def test_a_message_whose_notifier_died_is_given_back(patient: Patient) -> None:
    RulesRound(patient.store, patient.settings, "n1").once()
    claimed = patient.store.claim_notice("n1", 300)
    assert claimed is not None
    assert patient.found() == {}
    outbox = patient.store.database["outbox"]
    outbox.update_one({"_id": claimed.id}, {"$set": {"lease.until": patient.store.now() - timedelta(seconds=1)}})
    patient.expect(Damage.STALE_NOTICE)
    again = patient.store.claim_notice("n2", 300)
    assert again is not None
    assert again.id == claimed.id


# ── leases ──
def test_a_lost_run_is_released_after_one_lease(patient: Patient) -> None:
    short = replace(patient.settings, lease_s=1.0, renew_s=0.2, repair_s=0.2)
    run = patient.claim("r")
    patient.store.renew(run.id, run.attempt, 0.01)
    check = LeaseCheck(lab=replace(patient.lab, settings=short))
    while not (faults := list(check.find())):
        pass
    assert [fault.id for fault in faults] == ["r"]
    assert check.mend(faults[0])
    assert patient.store.run("r").state is State.QUEUED
    assert list(check.find()) == []
    assert check.mend(faults[0])  # as when a worker was faster


def test_a_late_renewal_keeps_the_run(patient: Patient) -> None:
    run = patient.claim("r")
    patient.store.renew(run.id, run.attempt, 0.01)
    check = LeaseCheck(lab=patient.lab)
    while not (faults := list(check.find())):
        pass
    patient.store.renew(run.id, run.attempt, LONG_S)
    assert not check.mend(faults[0])
    assert patient.store.run("r").attempt == run.attempt
    assert patient.store.run("r").state is State.RUNNING


# ── tickets ──
def test_tickets_of_runs_that_are_not_there_go(patient: Patient) -> None:
    run = patient.rest("r", GIVEN_BACK)
    patient.bell.ring([(run.id, run.attempt, "default"), ("nobody", 0, "default"), ("busy", 0, "default")])
    patient.expect(Damage.TICKET_WITHOUT_RUN)
    waiting = [ticket for page in patient.bell.tickets() for _, ticket in page]
    assert waiting == [ticket_id(run.id, run.attempt), "busy-0"]


def test_a_ticket_that_its_worker_never_answered_is_rung_again(patient: Patient) -> None:
    run = patient.rest("r", GIVEN_BACK)
    ticket = (run.id, run.attempt, "default")
    patient.bell.ring([ticket])
    patient.bell._redis.lmove("rq:queue:labq-default", "rq:queue:labq-default:intermediate", "LEFT", "RIGHT")
    assert patient.bell.missing([ticket]) == []
    patient.expect(Damage.STUCK_TICKET)
    assert patient.bell.missing([ticket]) == [ticket]


def test_a_queued_run_without_a_ticket_is_rung_for_when_somebody_waits(patient: Patient) -> None:
    run = patient.rest("r", GIVEN_BACK)
    assert patient.found() == {}
    patient.store.seen(replace(WORKER, queues=("other",)))
    assert patient.found() == {}
    patient.store.seen(replace(WORKER, run=None))
    patient.expect(Damage.RUN_WITHOUT_TICKET)
    assert patient.bell.missing([(run.id, run.attempt, "default")]) == []


def test_workers_that_rq_still_lists_are_struck_off_unless_they_are_only_busy(patient: Patient) -> None:
    connection = patient.bell._redis
    for name in ("dead-abc123", "w1-abc123"):
        connection.sadd("rq:workers", f"rq:worker:{name}")
        connection.sadd("rq:workers:labq-default", f"rq:worker:{name}")
    connection.sadd("rq:workers", "rq:worker:somebody-elses")
    patient.store.seen(replace(WORKER, run="busy"))
    patient.expect(Damage.STALE_REGISTRATION)
    assert connection.smembers("rq:workers:labq-default") == {b"rq:worker:w1-abc123"}
    assert connection.smembers("rq:workers") == {b"rq:worker:w1-abc123", b"rq:worker:somebody-elses"}


def test_a_living_registration_stays(patient: Patient, servers: Settings) -> None:
    worker = TicketWorker(redis_url(servers), 2.0, "default", "alive", 1.0)
    assert patient.found() == {}
    assert not patient.bell.unregister("default", worker.name)
    worker.leave()


def test_without_redis_all_else_is_looked_at(patient: Patient) -> None:
    patient.lab = replace(patient.lab, doorbell=Doorbell("unix:///nowhere/redis.sock", 0.1))
    patient.store._files().upload_from_stream("nameless", b"x")
    done = {one.damage: one for one in mend(patient.checks(), lambda _: None)}
    assert done[Damage.ORPHANED_FILE].mended == 1
    assert "nowhere" in done[Damage.TICKET_WITHOUT_RUN].problem


# ── this machine ──
HOLDER = """
import sys, time
from pathlib import Path
from worker.gpu_slots import Slots
from worker.gpus import Gpu
slots = Slots(Path(sys.argv[1]), 1, lambda _: True)
gpu = Gpu(index=0, uuid="GPU-0", cuda_name="0")
with slots.deciding():
    held = slots.take(slots.seats([gpu]), "run", None)
print("held", flush=True)
sys.stdin.readline()
if sys.argv[2] == "leave":
    held.release()
"""


@pytest.mark.parametrize("end", ["die", "leave"])
def test_a_slot_is_forgotten_once_its_holder_has_died(patient: Patient, end: str) -> None:
    folder = patient.settings.slots_dir
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, str(folder), end], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        assert patient.found() == {}
        if end == "die":
            holder.kill()
        holder.stdin.close()
        holder.wait()
    if end == "leave":
        assert patient.found() == {}
        return
    patient.expect(Damage.STALE_SLOT)
    slots = Slots(folder, 1, lambda _: True)
    with slots.deciding():
        assert slots.seats([Gpu(index=0, uuid="GPU-0", cuda_name="0")])[0].has_slot


def test_a_run_directory_goes_with_its_supervisor(patient: Patient) -> None:
    folder = make_run_dir(patient.settings.runs_dir, patient.store.run("busy"))
    assert patient.found() == {}
    fcntl.flock(folder.lock, fcntl.LOCK_UN)
    patient.expect(Damage.ABANDONED_RUN_DIR)
    assert not folder.path.exists()


# ── two at once, many, and pieces ──
def test_two_doctors_at_once_mend_everything_once(patient: Patient) -> None:
    patient.rest("r")
    for checkpoint in patient.store.checkpoints("r"):
        lose(patient, checkpoint)
    first = [fault for one in look(patient.checks(), lambda _: None) for fault in one.faults]
    assert all(patient.store.mend(fault, stale_s=60) for fault in first if fault.damage is Damage.BROKEN_POINTER)
    patient.mend()
    assert not any(patient.store.mend(fault, stale_s=60) for fault in first)
    assert patient.found() == {}


def test_pages_show_every_document_once(mongo_store: MongoStore, patient: Patient) -> None:
    mongo_store.database["many"].insert_many([{"_id": n, "v": n % 1700} for n in range(2 * PAGE + 7)])
    mongo_store.database["many"].create_index("v")
    assert [one["_id"] for page in pages(mongo_store.database["many"], []) for one in page] == list(range(2 * PAGE + 7))
    assert [v for page in distinct_pages(mongo_store.database["many"], "v") for v in page] == list(range(1700))


@pytest.mark.parametrize(
    ("name", "field"),
    [("checkpoint_files.chunks", "files_id"), ("metrics", "run"), ("logs", "run"), ("samples", "run")],
)
def test_distinct_values_are_read_off_an_index(
    mongo_store: MongoStore, patient: Patient, name: str, field: str
) -> None:
    """The order of the pages hangs on it: the group would have none."""
    plan = mongo_store.database.command(
        "aggregate", name, pipeline=_distinct(field, {field: {"$gt": "a"}}), explain=True
    )
    assert "DISTINCT_SCAN" in str(plan)


def test_a_fault_is_told_from_others_by_kind_place_and_id() -> None:
    one = Fault(damage=Damage.STALE_LOCK, place="locks", id="a", text="x")
    assert one.mark == replace(one, text="y").mark
    assert one.mark != replace(one, place="z").mark
