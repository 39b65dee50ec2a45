"""What a process tree uses, asked of real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from worker.tree import descendants, proportional_bytes, resident_bytes, tree_use

TREE = """
import os, sys, time
held = bytearray(b"x") * 50_000_000
until = time.process_time() + 0.3
while time.process_time() < until: pass
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print("here", flush=True)
        time.sleep(600)
print("here", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def tree() -> Iterator[subprocess.Popen[str]]:
    """A process with two children and two grandchildren, all of which share 50 MB."""
    process = subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "here\n"
    yield process
    for pid in [*descendants(process.pid), process.pid]:
        os.kill(pid, 9)
    process.communicate()


def test_children_and_their_children_are_found(tree: subprocess.Popen[str]) -> None:
    assert len(descendants(tree.pid)) == 4
    assert set(descendants(os.getpid())) >= {tree.pid, *descendants(tree.pid)}
    assert descendants(2**22 + 1) == []


def test_shared_memory_counts_several_times_or_once(tree: subprocess.Popen[str]) -> None:
    others = 4
    assert resident_bytes(tree.pid) > others * 40e6
    assert proportional_bytes(tree.pid) < others * 20e6


def test_use_is_summed_over_the_tree(tree: subprocess.Popen[str]) -> None:
    use = tree_use(os.getpid())
    assert use.cpu_s >= 0.3
    assert use.memory_bytes > 5 * 40e6
    assert tree.pid in use.pids
