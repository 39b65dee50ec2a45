"""What schedulers say of time, as they say it."""

import pytest

from store.errors import SchedulerUnavailable
from worker.cluster.sge import QueueLimits, read_job, read_queue
from worker.cluster.slurm import seconds

QSTAT = """<?xml version='1.0'?>
<detailed_job_info xmlns:xsd="http://arc.liv.ac.uk/detailed_job_info.xsd"><djob_info><element>
  <JB_job_number>2</JB_job_number>
  <JB_hard_resource_list><qstat_l_requests>
    <CE_name>h_rt</CE_name><CE_stringval>600</CE_stringval><CE_doubleval>600.000000</CE_doubleval>
  </qstat_l_requests></JB_hard_resource_list>
  <JB_ja_tasks>
    <ulong_sublist><JAT_status>128</JAT_status><JAT_task_number>2</JAT_task_number>
      <JAT_start_time>1795265458</JAT_start_time></ulong_sublist>
    <ulong_sublist><JAT_status>128</JAT_status><JAT_task_number>3</JAT_task_number>
      <JAT_start_time>1795265499</JAT_start_time></ulong_sublist>
  </JB_ja_tasks>
</element></djob_info></detailed_job_info>"""


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("0:00", 0), ("5:00", 300), ("1:02:03", 3723), ("1-02:03:04", 93784), ("UNLIMITED", None), ("NOT_SET", None)],
)
def test_slurms_durations(text: str, expected_s: float | None) -> None:
    assert seconds(text) == expected_s


def test_a_duration_that_slurm_does_not_know_is_no_duration() -> None:
    with pytest.raises(SchedulerUnavailable, match="INVALID"):
        seconds("INVALID")


def test_sge_tells_the_limit_and_the_start_of_each_task() -> None:
    assert read_job(QSTAT, "2") == (600.0, 1795265458.0)
    assert read_job(QSTAT, "3") == (600.0, 1795265499.0)
    assert read_job(QSTAT.replace("1795265499", "1795265499000"), "3") == (600.0, 1795265499.0)
    assert read_job(QSTAT.replace("h_rt", "h_vmem"), "2") == (None, 1795265458.0)


@pytest.mark.parametrize("xml", ["", "<unknown_jobs/>", QSTAT.replace("JAT_start_time", "JAT_other")])
def test_an_answer_of_sge_without_a_start_is_none(xml: str) -> None:
    with pytest.raises(SchedulerUnavailable, match="qstat"):
        read_job(xml, "2")


def test_sges_queues_tell_their_limits() -> None:
    text = (
        "qname  all.q\nnotify                00:00:05\ns_rt                  INFINITY\nh_rt                  INFINITY\n"
    )
    assert read_queue(text) == QueueLimits(h_rt_s=None, notify_s=5.0)
    hosts = "notify 00:01:00,[gpu1=00:00:30]\nh_rt 04:00:00,[gpu1=48:00:00]\n"
    assert read_queue(hosts) == QueueLimits(h_rt_s=4 * 3600.0, notify_s=30.0)
