"""A supervisor that is killed inside a transaction leaves it open: MongoDB keeps its run for a while, and nobody else's."""

import time

import pytest

from queueing.doorbell import Doorbell
from queueing.repair import release_own, repair
from store.errors import StoreUnavailable
from store.mongo import MongoStore, open_store
from store.runs import Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
SETTINGS = Settings(lease_s=4.0, renew_s=2.0, repair_s=0.2, look_s=1.0)


def test_a_run_that_a_dead_transaction_holds_keeps_no_other_from_being_released(
    mongo_store: MongoStore, servers: Settings
) -> None:
    names = ["r1", "r2", "r3"]
    task = Task(command=("true",), workdir="/")
    now = mongo_store.now()
    mongo_store.add_runs([Run(id=n, key=n, experiment="e", params={}, task=task, queued_at=now) for n in names])
    for _ in names[:2]:
        assert mongo_store.claim(WORKER, 0.1) is not None
    hasty = open_store(places(servers.home).mongo_url, mongo_store.database.name, 0.5)
    bell = Doorbell("unix:///nowhere/redis.sock", 0.1)
    with mongo_store.client.start_session() as session:
        session.start_transaction()
        mongo_store.database["runs"].update_one({"_id": "r1"}, {"$set": {"remark": "…"}}, session=session)
        deadline = time.monotonic() + 20
        while mongo_store.run("r2").state is State.RUNNING and time.monotonic() < deadline:
            repair(hasty, bell, SETTINGS, "me")
            time.sleep(0.1)
        assert mongo_store.run("r2").state is State.QUEUED
        assert mongo_store.run("r1").state is State.RUNNING
        with pytest.raises(StoreUnavailable):
            release_own(hasty, WORKER.name)
        claimed = hasty.claim(WORKER, 60.0)
        assert claimed is not None
        assert claimed.id in ("r2", "r3")
        session.abort_transaction()
    assert release_own(hasty, WORKER.name) == ("r1", claimed.id)
    hasty.close()
