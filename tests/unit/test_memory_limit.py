"""The memory limit: looked after from outside, or by the kernel's cgroups (played here by folders)."""

from pathlib import Path

import pytest

from worker.limits import THREAD_VARIABLES, thread_variables
from worker.machine import own_cgroup
from worker.memory_limit import CLOSE_LOOK_S, LOOK_S, Cgroup, NoLimit, Polled, site_for_runs

MB = 10**6


class Machine:
    """A clock and two ways to count memory."""

    def __init__(self) -> None:
        self.now, self.resident, self.exact, self.exact_looks = 0.0, 0, 0, 0

    def look_exactly(self) -> int:
        self.exact_looks += 1
        return self.exact

    def limit(self) -> Polled:
        return Polled(100 * MB, lambda: self.resident, self.look_exactly, lambda: self.now)


def test_memory_is_looked_at_twice_a_second_and_more_often_near_the_limit() -> None:
    machine = Machine()
    limit = machine.limit()
    assert limit.look_in_s() == 0.0
    assert limit.exceeded() == ""
    assert limit.look_in_s() == LOOK_S
    machine.resident, machine.now = 80 * MB, LOOK_S
    assert limit.exceeded() == ""
    assert limit.look_in_s() == pytest.approx(CLOSE_LOOK_S)
    assert machine.exact_looks == 0


def test_between_two_looks_nothing_is_counted() -> None:
    machine = Machine()
    limit = machine.limit()
    limit.exceeded()
    machine.resident = machine.exact = 200 * MB
    assert limit.exceeded() == ""
    machine.now = LOOK_S
    assert limit.exceeded() == "200.0 MB were used, [resources] memory is 100.0 MB"
    machine.resident = 0
    assert limit.exceeded() != "", "what was once exceeded stays so"


def test_shared_pages_are_told_apart_only_when_they_matter() -> None:
    machine = Machine()
    limit = machine.limit()
    machine.resident, machine.exact = 200 * MB, 60 * MB
    assert limit.exceeded() == ""
    assert machine.exact_looks == 1


def test_a_dear_look_is_followed_by_a_longer_pause() -> None:
    machine = Machine()
    machine.resident, machine.exact = 200 * MB, 60 * MB

    def dear(cost_s: float) -> int:
        machine.now += cost_s
        return machine.exact

    for cost_s, pause_s in ((0.001, LOOK_S), (0.01, 1.0), (0.5, 5.0)):
        limit = Polled(100 * MB, lambda: machine.resident, lambda cost_s=cost_s: dear(cost_s), lambda: machine.now)  # type: ignore[misc]
        limit.exceeded()
        assert limit.look_in_s() == pytest.approx(pause_s)


def test_no_demand_no_limit() -> None:
    assert NoLimit().look_in_s() == float("inf")
    assert NoLimit().exceeded() == ""


# ── cgroups ──
@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A cgroup that may divide its memory, and in it the one that we are in."""
    (tmp_path / "labq.slice" / "worker").mkdir(parents=True)
    (tmp_path / "labq.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "labq.slice" / "worker" / "cgroup.subtree_control").write_text("\n")
    (tmp_path / "labq.slice" / "worker" / "cgroup.procs").write_text("1\n")
    return tmp_path / "labq.slice"


def test_runs_get_cgroups_beside_ours_or_in_it_where_memory_may_be_divided(site: Path, tmp_path: Path) -> None:
    assert site_for_runs(site / "worker") == site
    (site / "worker" / "cgroup.subtree_control").write_text("memory\n")
    assert site_for_runs(site / "worker") == site / "worker"
    (site / "worker" / "cgroup.subtree_control").write_text("\n")
    (site / "cgroup.subtree_control").write_text("cpu pids\n")
    assert site_for_runs(site / "worker") is None


def test_our_own_cgroup_is_that_of_version_2(site: Path, tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/elsewhere\n0::/labq.slice/worker\n")
    assert own_cgroup(tmp_path, membership) == site / "worker"
    membership.write_text("4:memory:/labq.slice/worker\n")
    assert own_cgroup(tmp_path, membership) is None
    assert own_cgroup(tmp_path, tmp_path / "nothing") is None


class PlayedCgroup(Cgroup):
    """In a folder that plays the kernel's: its files are made by hand."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        make = Path.mkdir

        def with_files(self: Path) -> None:
            make(self)
            (self / "cgroup.procs").touch()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "mkdir", with_files)
            super().__init__(folder, limit_bytes)


def test_a_cgroup_is_told_the_limit_and_ends_the_tree_as_one(site: Path) -> None:
    limit = PlayedCgroup(site / "labq-run-1", 100 * MB)
    assert (site / "labq-run-1" / "memory.max").read_text() == str(100 * MB)
    assert (site / "labq-run-1" / "memory.swap.max").read_text() == "0"
    assert (site / "labq-run-1" / "memory.oom.group").read_text() == "1"
    limit.enter()
    assert limit.around(4711) is limit
    assert (site / "labq-run-1" / "cgroup.procs").read_text() == "04711"
    assert limit.look_in_s() == float("inf")


def test_the_kernels_own_count_says_that_memory_was_exceeded(site: Path) -> None:
    limit = PlayedCgroup(site / "labq-run-1", 100 * MB)
    assert limit.exceeded() == ""
    (site / "labq-run-1" / "memory.events").write_text("low 0\nmax 12\noom 0\noom_kill 0\n")
    assert limit.exceeded() == ""
    (site / "labq-run-1" / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n")
    assert limit.exceeded() == "[resources] memory is 100.0 MB: ended by the kernel"


def test_where_the_kernel_does_not_let_us_nothing_is_left_behind(site: Path) -> None:
    with pytest.raises(OSError, match=r"cgroup\.procs"):  # a folder, no cgroup: it has none
        Cgroup(site / "labq-run-1", 1)


# ── threads ──
def test_a_run_gets_as_many_threads_as_cpus_where_its_file_says_nothing() -> None:
    assert thread_variables(None, {}) == {}
    assert set(thread_variables(4, {}).values()) == {"4"}
    assert set(THREAD_VARIABLES) - set(thread_variables(4, {"OMP_NUM_THREADS": "1"})) == {"OMP_NUM_THREADS"}
