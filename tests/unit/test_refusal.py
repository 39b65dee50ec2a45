from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from queueing.refusal import Objection, handed_on
from store.attempts import settled
from store.runs import Attempt, Ending, Refusal, Resources, Retry, Run, Task
from store.states import Reason, State, Wish
from store.store import Settlement
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run(
    id="r",
    key="k",
    experiment="x",
    params={},
    task=Task(workdir="/"),
    queued_at=NOW,
    state=State.RUNNING,
    attempt=4,
    setbacks=2,
    history=(Attempt(number=4, worker="w1", started_at=NOW),),
)
MINE = Worker(name="w1", host="a", pid=1)
NEIGHBOUR = Worker(name="w2", host="a", pid=2)
ELSEWHERE = Worker(name="w3", host="b", pid=3)
FULL = Objection(message="2 GB of disk are needed, 1 GB is free")
MISSING = Objection(message="there is no programme 'train'", lasting=True)


def said_never(by: str) -> Refusal:
    return Refusal(by=by, message="no", lasting=True, count=1, until=NOW)


def test_a_shortage_sends_the_run_to_other_machines_and_costs_no_setback() -> None:
    settlement = handed_on(RUN, FULL, MINE, [MINE, NEIGHBOUR])
    assert settlement.refused is not None
    assert (settlement.state, settlement.reason, settlement.setbacks) == (State.QUEUED, Reason.REFUSED, 2)
    assert (settlement.refused.by, settlement.refused.lasting) == ("a", False)
    after = settled(RUN, settlement, NOW)
    assert (after.state, after.not_before, after.setbacks, after.history) == (State.QUEUED, None, 2, ())
    assert after.remark == "a: 2 GB of disk are needed, 1 GB is free"
    assert after.refusals[0].until == NOW + timedelta(seconds=15)


def test_a_machine_that_goes_on_refusing_is_asked_less_and_less_often() -> None:
    run, pauses = RUN, []
    for _ in range(8):
        settlement = handed_on(run, FULL, MINE, [MINE])
        assert settlement.refused is not None
        pauses.append(settlement.refused.pause_s)
        run = replace(settled(run, settlement, NOW), state=State.RUNNING)
    assert pauses == [15, 30, 60, 120, 240, 480, 600, 600]
    assert [refusal.count for refusal in run.refusals] == [8]


def test_a_shortage_never_fails_a_run_however_alone_its_worker_is() -> None:
    assert handed_on(RUN, FULL, MINE, []).state is State.QUEUED


@pytest.mark.parametrize(
    ("living", "refusals", "state"),
    [
        ([MINE], (), State.FAILED),
        ([], (), State.FAILED),
        ([MINE, ELSEWHERE], (), State.QUEUED),
        ([MINE, NEIGHBOUR], (said_never("w1"),), State.QUEUED),
        ([MINE, ELSEWHERE], (said_never("w3"),), State.FAILED),
        ([MINE, ELSEWHERE], (said_never("w9"),), State.QUEUED),
        ([MINE, ELSEWHERE], (replace(said_never("b"), lasting=False),), State.QUEUED),
        ([MINE, replace(ELSEWHERE, queues=("other",))], (), State.FAILED),
        ([MINE, NEIGHBOUR, ELSEWHERE], (said_never("w3"),), State.QUEUED),
        ([MINE, NEIGHBOUR, ELSEWHERE], (said_never("w3"), said_never("w2")), State.FAILED),
    ],
)
def test_what_is_missing_everywhere_fails_the_run(
    living: list[Worker], refusals: tuple[Refusal, ...], state: State
) -> None:
    assert handed_on(replace(RUN, refusals=refusals), MISSING, MINE, living).state is state


def test_workers_that_never_fit_have_no_say() -> None:
    run = replace(RUN, resources=Resources(tags=("a100",)))
    assert handed_on(run, MISSING, replace(MINE, tags=("a100",)), [ELSEWHERE]).state is State.FAILED


def test_the_policy_may_try_again_what_nobody_can_do() -> None:
    run = replace(RUN, setbacks=0, retry=Retry(on=(Reason.REFUSED,), backoff_s=30.0))
    settlement = handed_on(run, MISSING, MINE, [MINE])
    assert (settlement.state, settlement.backoff_s, settlement.setbacks) == (State.QUEUED, 30.0, 1)


def test_a_refused_run_that_somebody_wanted_gone_is_gone() -> None:
    assert handed_on(replace(RUN, wish=Wish.CANCEL), FULL, MINE, []).state is State.CANCELLED


def test_any_other_ending_forgets_who_refused() -> None:
    refused = settled(RUN, handed_on(RUN, FULL, MINE, []), NOW)
    running = replace(refused, state=State.RUNNING, history=RUN.history)
    after = settled(running, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)), NOW)
    assert (after.refusals, after.remark, len(after.history)) == ((), "", 1)
