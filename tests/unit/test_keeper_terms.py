from store.runs import Task
from worker.keeper import terms


def test_an_ordinary_run_may_train_through_an_outage() -> None:
    agreed = terms(Task(workdir="/", grace_s=30.0), lease_s=20.0, outage_grace_s=600.0)
    assert (agreed.alone_s, agreed.grace_s) == (600.0, 30.0)


def test_an_exclusive_run_is_gone_before_its_lease_ends() -> None:
    for grace_s in (0.1, 5.0, 60.0):
        agreed = terms(Task(workdir="/", grace_s=grace_s, exclusive=True), lease_s=20.0, outage_grace_s=600.0)
        assert agreed.alone_s > 0
        assert agreed.alone_s + agreed.grace_s < 20.0
