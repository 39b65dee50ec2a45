"""What becomes of places that were asked for: reconciling, reach, reading the schedulers' answers."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from queueing.cli.places import offers_words, worth_showing
from store.allocations import Allocation, Phase, Sighting
from store.errors import SchedulerUnavailable, SubmissionRefused, UserError
from store.runs import Resources
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster import sge, slurm
from worker.cluster.cluster import Job
from worker.cluster.command import Answer
from worker.cluster.handing import handed_over, labq_command
from worker.cluster.reach import answers_here_only, check_reach
from worker.cluster.reconcile import ANSWER_S, GONE, NEVER, reconcile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Allocation(
    id="k3f9-1", submission="k3f9", scheduler=Scheduler.SLURM, cluster="triton", owner="me", queue="default",
    created_at=NOW - timedelta(seconds=10),
)  # fmt: skip
PENDING = replace(ASKED, phase=Phase.PENDING, job="12_1", says="Priority")
JOB = Job(number="12_1", title="labq-k3f9", task=1, phase=Phase.PENDING, says="Priority")


class TestReconciling:
    def test_what_is_as_it_was_is_no_news(self) -> None:
        assert reconcile([PENDING], [JOB], NOW) == []

    def test_a_change_is_news_with_the_scheduler_s_words(self) -> None:
        job = replace(JOB, phase=Phase.RUNNING, says="", node="n1")
        assert reconcile([PENDING], [job], NOW) == [Sighting(id="k3f9-1", phase=Phase.RUNNING, job="12_1", node="n1")]

    def test_a_job_whose_number_got_lost_is_found_by_its_name(self) -> None:
        others = [replace(JOB, task=0, number="12_0"), replace(JOB, title="labq-zzzz", number="13_1")]
        assert reconcile([ASKED], [*others, JOB], NOW) == [
            Sighting(id="k3f9-1", phase=Phase.PENDING, job="12_1", says="Priority")
        ]

    def test_one_that_is_being_submitted_is_left_alone_for_as_long_as_that_may_take(self) -> None:
        assert reconcile([ASKED], [], NOW) == []
        late = NOW + timedelta(seconds=ANSWER_S)
        assert reconcile([ASKED], [], late) == [Sighting(id="k3f9-1", phase=Phase.FAILED, says=NEVER)]

    def test_what_has_left_the_queue_is_over(self) -> None:
        (news,) = reconcile([PENDING], [], NOW)
        assert (news.phase, news.says, news.job) == (Phase.ENDED, GONE, "12_1")

    def test_what_seemed_to_be_over_and_lives_comes_back(self) -> None:
        over = replace(ASKED, phase=Phase.FAILED, says=NEVER, ended_at=NOW)
        (news,) = reconcile([over], [JOB], NOW)
        assert (news.phase, news.job) == (Phase.PENDING, "12_1")

    def test_the_words_of_a_refusal_outlive_what_is_left_of_the_job(self) -> None:
        refused = replace(ASKED, phase=Phase.FAILED, says="Slurm refused: too large", ended_at=NOW)
        gone = replace(JOB, phase=Phase.FAILED, says="FAILED: BadConstraints")
        assert reconcile([refused], [gone], NOW) == []
        assert reconcile([refused], [], NOW) == []


class TestReach:
    @pytest.mark.parametrize(
        "url",
        [
            "mongodb://%2Ftmp%2Fx%2Fmongodb.sock/?replicaSet=rs0",
            "mongodb://localhost/", "mongodb://me:p%40w@127.0.0.1:27017,[::1]:27018/?replicaSet=rs0",
            "redis://localhost:6379/0", "redis://:secret@127.0.0.1/0", "unix:///run/redis.sock",
        ],
    )  # fmt: skip
    def test_addresses_that_every_machine_has_lead_nowhere(self, url: str) -> None:
        assert answers_here_only(url)

    @pytest.mark.parametrize(
        "url", ["mongodb://db1,db2:27018/?replicaSet=rs0", "mongodb+srv://me:pw@db.lab/", "rediss://:pw@queue:6380/0"]
    )
    def test_names_of_machines_may_be_reached(self, url: str) -> None:
        assert not answers_here_only(url)

    def test_embedded_servers_serve_a_cluster_of_one_machine_only(self) -> None:
        here = socket.gethostname()
        check_reach(Settings(), frozenset({here}))
        with pytest.raises(UserError, match=r"MongoDB \(the embedded server of labq up\) answers on this machine only, but "
                           r"the jobs would run on n1, n2, n3 and 1 others: set mongo_url"):  # fmt: skip
            check_reach(Settings(), frozenset({here, "n1", "n2", "n3", "n4"}))
        with pytest.raises(UserError, match=r"Redis \(redis_url\) answers on this machine only, but .* on others"):
            check_reach(Settings(mongo_url="mongodb://db/", redis_url="redis://localhost"), frozenset())
        check_reach(Settings(mongo_url="mongodb://db/", redis_url="redis://db"), frozenset({"n1"}))


class TestHandingOver:
    def test_passwords_are_in_no_script(self) -> None:
        settings = Settings(mongo_url="mongodb://me:pw@db/", redis_url="redis://db/0", lease_s=30.0, smtp_password="x")
        plain, secret = handed_over(settings)
        assert plain == {"LABQ_HOME": str(settings.home), "LABQ_REDIS_URL": "redis://db/0", "LABQ_LEASE_S": "30"}
        assert secret == {"LABQ_MONGO_URL": "mongodb://me:pw@db/"}

    def test_labq_on_the_nodes_may_be_another_one(self) -> None:
        assert labq_command(Settings(node_labq="apptainer exec 'my image.sif' labq"))[2] == "my image.sif"
        assert labq_command(Settings())[-1] == "queueing.cli.main"
        with pytest.raises(UserError, match="node_labq"):
            labq_command(Settings(node_labq="it's"))


class TestSlurmsAnswers:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("12_1|PENDING||labq-k3f9|Priority", JOB),
            ("12_1|PENDING||labq-k3f9|None", replace(JOB, says="")),
            ("12_1|RUNNING|n1|labq-k3f9|None", replace(JOB, phase=Phase.RUNNING, says="", node="n1")),
            ("12_1|SUSPENDED|n1|labq-k3f9|None", replace(JOB, phase=Phase.RUNNING, says="SUSPENDED", node="n1")),
            ("12_1|TIMEOUT|n1|labq-k3f9|TimeLimit", replace(JOB, phase=Phase.ENDED, says="TIMEOUT", node="n1")),
            ("12_1|FAILED|n1|labq-k3f9|NonZeroExitCode", replace(JOB, phase=Phase.FAILED, says="FAILED: NonZeroExitCode", node="n1")),
            ("13|PENDING||wrap|Priority", None),
            ("13+0|PENDING||labq-k3f9|Priority", None),
        ],
    )  # fmt: skip
    def test_a_line_of_squeue(self, line: str, expected: Job | None) -> None:
        assert slurm._job(line) == expected

    @pytest.mark.parametrize(
        ("err", "full"),
        [
            ("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified", False),
            ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", True),
            ("sbatch: error: QOSMaxSubmitJobPerUserLimit", True),
            ("sbatch: error: AssocMaxSubmitJobLimit", True),
        ],
    )  # fmt: skip
    def test_refusals_that_fewer_jobs_would_not_meet_are_told_from_others(self, err: str, full: bool) -> None:
        refusal = slurm._refusal(Answer(code=1, out="", err=err))
        assert isinstance(refusal, SubmissionRefused)
        assert refusal.full is full
        assert len(str(refusal).splitlines()) == 1

    def test_a_dead_controller_is_no_refusal(self) -> None:
        err = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
        assert isinstance(slurm._refusal(Answer(code=1, out="", err=err)), SchedulerUnavailable)

    def test_limits_of_partitions(self) -> None:
        assert [slurm._seconds(text) for text in ("1:00", "4:00:00", "2-00:00:00")] == [60, 14400, 172800]
        assert slurm._seconds("infinite") > 1e12


class TestSgesAnswers:
    def test_jobs_and_their_tasks(self) -> None:
        listed = """<job_info><queue_info><job_list state="running"><JB_job_number>3</JB_job_number>
            <JB_name>labq-k3f9</JB_name><state>r</state><queue_name>all.q@vm</queue_name><tasks>1</tasks></job_list></queue_info>
            <job_info><job_list state="pending"><JB_job_number>3</JB_job_number><JB_name>labq-k3f9</JB_name>
            <state>qw</state><queue_name></queue_name><tasks>2-4:2,7</tasks></job_list>
            <job_list state="pending"><JB_job_number>4</JB_job_number><JB_name>labq-zzzz</JB_name><state>Eqw</state></job_list>
            <job_list state="running"><JB_job_number>5</JB_job_number><JB_name>other</JB_name><state>r</state></job_list>
            </job_info></job_info>"""
        jobs = list(sge._jobs(ElementTree.fromstring(listed)))
        assert [(job.number, job.phase) for job in jobs] == [
            ("3.1", Phase.RUNNING), ("3.2", Phase.PENDING), ("3.4", Phase.PENDING), ("3.7", Phase.PENDING), ("4.1", Phase.FAILED),
        ]  # fmt: skip
        assert (jobs[0].node, jobs[0].task, jobs[0].title) == ("vm", 1, "labq-k3f9")

    @pytest.mark.parametrize(
        ("err", "full"),
        [
            (
                "Unable to run job: job rejected: only 5 jobs are allowed per user (current job count: 5)\nExiting.",
                True,
            ),
            ("Unable to run job: job rejected: you tried to submit a job with more than 6 tasks\nExiting.", True),
            ("Unable to run job: error: no suitable queues\nExiting.", False),
        ],
    )
    def test_refusals(self, err: str, full: bool) -> None:
        refusal = sge._refusal(Answer(code=1, out="", err=err))
        assert isinstance(refusal, SubmissionRefused)
        assert refusal.full is full
        assert "Exiting" not in str(refusal)


def test_what_was_given_back_is_not_shown() -> None:
    ended = replace(PENDING, phase=Phase.ENDED, ended_at=NOW)
    failed = replace(PENDING, phase=Phase.FAILED, ended_at=NOW)
    assert worth_showing([PENDING, ended, failed]) == [PENDING, failed]


def test_what_a_place_has_is_told_in_a_few_words() -> None:
    assert offers_words(Resources()) == "1 cpu"
    assert (
        offers_words(Resources(cpus=2, gpus=1, memory_bytes=12 * 10**9, time_s=14400)) == "2 cpus, 12.0 GB, 1 gpu, 4h"
    )
