"""A supervisor frozen in the middle of an upload, and superseded: whether it wakes or dies, nothing of it is left."""

import json
import sys
from pathlib import Path

import pytest
from lab import Lab, supervisor_of, until

from store.runs import Run
from store.states import State

LARGE_THEN_SMALL = """
import os, pathlib, time
import labq

first = os.environ["LABQ_ATTEMPT"] == "1"
file = pathlib.Path(os.environ["LABQ_DIR"], "weights.bin")
file.write_bytes(b"w" * (300_000_000 if first else 1000))
labq.checkpoint(file, step=0)
if first:
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["wakes", "dies"])
def test_nothing_is_left_of_an_upload_that_was_cut_short(lab: Lab, how: str) -> None:
    run = enqueue(lab, f"frozen-{how}")
    first = lab.worker()
    uploads = lab.store.database["uploads"]
    until(lambda: uploads.find_one({"run": run.id, "state": "open", "chunks": {"$gt": 32}}), what="an upload")
    frozen = supervisor_of(first)
    frozen.suspend()
    assert uploads.find_one({"run": run.id, "state": "open"}), "frozen too late"
    lab.worker()
    assert lab.wait_until_ended(run).attempt == 2
    if how == "wakes":
        frozen.resume()
        until(lambda: f"superseded run={run.id}" in lab.log_text(), what="its own notice")
    else:
        first.kill()
        frozen.kill()
    until(lambda: left(lab) == {"uploads": 1, "files": 1, "chunks": 1}, 20, what=f"only the second one's: {left(lab)}")
    assert lab.run(run).state is State.FINISHED


def left(lab: Lab) -> dict[str, int]:
    database = lab.store.database
    last = database["runs"].find_one(sort=[("queued_at", -1)])
    assert last is not None
    mine = {"run": last["_id"]}
    kept = {one["_id"] for one in database["checkpoint_files.files"].find({"metadata.run": {"$ne": last["_id"]}})}
    return {
        "uploads": database["uploads"].count_documents(mine),
        "files": database["checkpoint_files.files"].count_documents({"metadata.run": last["_id"]}),
        "chunks": database["checkpoint_files.chunks"].count_documents({"files_id": {"$nin": list(kept)}}),
    }


def enqueue(lab: Lab, name: str) -> Run:
    command = json.dumps([sys.executable, str(lab.write("large.py", LARGE_THEN_SMALL))])
    text = f'name = "{name}"\ncommand = {command}\nworkdir = {json.dumps(str(Path(__file__).parents[2]))}\n'
    done = lab.labq("enqueue", "--json", str(lab.write("large.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])
