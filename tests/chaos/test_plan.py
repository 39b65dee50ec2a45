"""The plan of faults."""

from plan import FIRST, LAST, WEIGHTS, plan

LEASE_S = 3.0


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert plan(7, 100, LEASE_S) == plan(7, 100, LEASE_S)
    assert plan(7, 100, LEASE_S) != plan(8, 100, LEASE_S)


def test_every_kind_strikes_where_there_is_room() -> None:
    for count in (len(WEIGHTS), 400):
        assert len(plan(1, count, LEASE_S)) == count
        assert {(fault.target, fault.action) for fault in plan(1, count, LEASE_S)} == set(WEIGHTS)


def test_faults_come_in_order_and_some_together_and_some_outlast_a_lease() -> None:
    faults = plan(1, 400, LEASE_S)
    moments = [fault.at for fault in faults]
    assert moments == sorted(moments)
    assert min(moments) >= FIRST
    assert max(moments) <= LAST
    assert 50 < len(moments) - len(set(moments)) < 150
    assert 100 < sum(fault.hold_s > LEASE_S for fault in faults) < 220


def test_no_faults_are_a_plan_too() -> None:
    assert plan(1, 0, LEASE_S) == ()
