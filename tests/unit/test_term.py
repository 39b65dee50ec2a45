"""When a worker's time ends, as far as anybody has said."""

from datetime import UTC, datetime, timedelta

import pytest

from store.errors import SchedulerUnavailable
from store.workers import Worker
from worker.cluster.here import Granted, granted_here
from worker.cluster.remaining import Remaining
from worker.term import Term


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scheduler:
    """Says what it is told to say, and how often it was asked."""

    def __init__(self, *answers: Remaining | None) -> None:
        self.answers, self.asked = list(answers), 0

    def ask(self) -> Remaining:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise SchedulerUnavailable("slurm_load_jobs error: Unable to contact slurm controller")
        return answer

    def granted(self, known: Remaining | None = None) -> Granted:
        return Granted(name="slurm:12", ask=self.ask, notice=lambda: 30.0, known=known)


def left(left_s: float | None, whole_s: float | None = 3600.0) -> Remaining:
    return Remaining(left_s=left_s, whole_s=whole_s)


def test_a_machine_of_ones_own_has_no_end() -> None:
    term = Term()
    term.refresh()
    assert (term.span(), term.left_s(), term.idle_s(), term.allocation) == (None, None, None, "")


def test_what_the_user_gave_passes() -> None:
    clock = Clock()
    term = Term(given_s=600.0, clock=clock)
    clock.now += 400.0
    span = term.span()
    assert span is not None
    assert (span.left_s, span.whole_s, span.margin_s) == (200.0, 600.0, 15.0)
    clock.now += 190.0
    assert term.idle_s() == 0.0


def test_the_scheduler_is_asked_at_once_then_seldom_and_more_often_towards_the_end() -> None:
    clock, slurm = Clock(), Scheduler(left(3600), left(3300), left(60), left(45))
    term = Term(slurm.granted(), clock=clock)
    term.refresh()
    assert (slurm.asked, term.left_s(), term.notice_s) == (1, 3600.0, 30.0)
    clock.now += 299.0
    term.refresh()
    assert slurm.asked == 1
    clock.now += 1.0
    term.refresh()
    clock.now += 300.0
    term.refresh()
    assert (slurm.asked, term.left_s()) == (3, 60.0)
    clock.now += 15.0
    term.refresh()
    assert (slurm.asked, term.left_s()) == (4, 45.0)


def test_a_limit_that_was_changed_counts() -> None:
    clock, slurm = Clock(), Scheduler(left(600), left(7200), left(None, None))
    term = Term(slurm.granted(), clock=clock)
    for expected in (600.0, 7200.0, None):
        term.refresh()
        assert term.left_s() == expected
        clock.now += 300.0


def test_a_scheduler_that_does_not_answer_changes_nothing() -> None:
    clock, slurm = Clock(), Scheduler(left(600), None)
    term = Term(slurm.granted(), clock=clock)
    term.refresh()
    clock.now += 200.0
    term.refresh()
    assert (slurm.asked, term.left_s()) == (2, 400.0)


def test_one_that_never_answered_is_asked_again_soon() -> None:
    clock, slurm = Clock(), Scheduler(None, None, left(600))
    term = Term(slurm.granted(), clock=clock)
    for asked, passes_s in ((1, 15.0), (2, 29.0), (2, 1.0)):  # then less often: a node that may not ask never may
        term.refresh()
        assert (slurm.asked, term.left_s()) == (asked, None)
        clock.now += passes_s
    term.refresh()
    assert (slurm.asked, term.left_s()) == (3, 600.0)


def test_of_two_ends_the_first_counts() -> None:
    slurm = Scheduler(left(7200, 14400))
    term = Term(slurm.granted(), given_s=600.0, clock=Clock())
    term.refresh()
    assert (term.left_s(), Term(given_s=600.0, clock=Clock()).left_s()) == (600.0, 600.0)


def test_what_the_environment_says_needs_no_question() -> None:
    slurm = Scheduler(left(100))
    term = Term(slurm.granted(known=left(500)), clock=Clock())
    term.refresh()
    assert (slurm.asked, term.left_s()) == (0, 500.0)


def test_others_see_the_end_by_the_servers_clock() -> None:
    term = Term(given_s=600.0)
    server = datetime.now(UTC) + timedelta(hours=5)  # this host is wrong
    term.compare(server)
    until = term.shown(Worker(name="w", host="h", pid=1)).until
    assert until is not None
    assert abs((until - server).total_seconds() - 600.0) < 5.0


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "12"}, "slurm:12"),
        ({"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}, "slurm:12_3"),
        ({"JOB_ID": "55", "SGE_ROOT": "/sge", "SGE_TASK_ID": "undefined"}, "sge:55"),
        ({"JOB_ID": "55", "SGE_ROOT": "/sge", "SGE_TASK_ID": "3"}, "sge:55.3"),
        ({"JOB_ID": "55"}, None),  # somebody's own variable
    ],
)
def test_the_allocation_around_a_worker_is_known_by_its_environment(environ: dict[str, str], name: str | None) -> None:
    granted = granted_here(environ)
    assert (granted.name if granted else None) == name


def test_newer_slurms_tell_the_end_in_the_environment() -> None:
    now = datetime.now(UTC).timestamp()
    environ = {"SLURM_JOB_ID": "12", "SLURM_JOB_START_TIME": str(now - 60), "SLURM_JOB_END_TIME": str(now + 540)}
    granted = granted_here(environ)
    assert granted is not None
    assert granted.known is not None
    assert granted.known.left_s == pytest.approx(540, abs=2)
    assert granted.known.whole_s == pytest.approx(600, abs=2)


def test_a_warning_of_an_end_that_is_known_tells_nothing_new() -> None:
    near, far = (Term(Scheduler(left(s)).granted(known=left(s))) for s in (120.0, 3600.0))
    sge = granted_here({"JOB_ID": "1", "SGE_ROOT": "/sge"})
    assert [term.knows_better() for term in (near, far)] == [True, False]
    assert not Term(given_s=120.0).knows_better(), "nobody warns of what only we know"
    assert not Term(sge, given_s=120.0).knows_better(), "SGE kills soon after"


def test_sigkill_follows_sigusr1_where_sge_says_it() -> None:
    slurm, sge = granted_here({"SLURM_JOB_ID": "12"}), granted_here({"JOB_ID": "1", "SGE_ROOT": "/sge"})
    assert [Term(granted).is_last(usr1=True) for granted in (slurm, sge, None)] == [False, True, False]
    assert [Term(granted).is_last(usr1=False) for granted in (slurm, sge, None)] == [True, True, False]
