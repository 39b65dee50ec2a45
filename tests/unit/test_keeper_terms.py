from dataclasses import replace

from store.runs import Task
from store.settings import Settings
from worker.keeper import terms

SETTINGS = Settings()


def test_an_ordinary_run_may_train_through_an_outage() -> None:
    agreed = terms(Task(workdir="/", grace_s=30.0), SETTINGS)
    assert (agreed.renew_s, agreed.alone_s, agreed.grace_s) == (5.0, 600.0, 30.0)


def test_an_exclusive_run_is_gone_before_its_lease_ends() -> None:
    for grace_s in (0.1, 5.0, 60.0):
        agreed = terms(Task(workdir="/", grace_s=grace_s, exclusive=True), SETTINGS)
        assert agreed.alone_s > 0
        assert agreed.alone_s + agreed.grace_s < 20.0


def test_an_exclusive_run_is_renewed_several_times_before_it_would_have_to_stop() -> None:
    for renew_s in (0.4, 5.0, 10.0):
        agreed = terms(Task(workdir="/", exclusive=True), replace(SETTINGS, renew_s=renew_s))
        assert agreed.renew_s <= renew_s
        assert 4 * agreed.renew_s <= agreed.alone_s
