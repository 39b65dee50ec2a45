"""Prepared arrays on disk: shared, never wrong, and never in the way."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.cache import Cache, Facts, prepared, usual_cache
from trainer.data.locks import free_of, locked

ROOT = Path(__file__).resolve().parents[3]
BIG = 10**9
PATIENCE_S = 60.0


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


class Maker:
    """Makes arrays and counts how often it was asked to."""

    def __init__(self, size: int = 100) -> None:
        self.size, self.asked = size, 0

    def __call__(self) -> tuple[dict[str, Any], Facts]:
        self.asked += 1
        arrays = {"values": np.arange(self.size, dtype=np.float32).reshape(-1, 2), "none": np.zeros((0, 3))}
        return arrays, {"words": ["a", "ü"], "n": 1}


def test_what_was_prepared_once_is_not_prepared_again(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path / "deep" / "er", BIG), Maker()
    first, again = cache.get(key(1), make), cache.get(key(1), make)
    fresh = prepared(key(1), Maker(), None)
    assert make.asked == 1
    for found in (first, again):
        assert found.digest == fresh.digest
        assert found.facts == {"words": ["a", "ü"], "n": 1}
        assert {name: array.tobytes() for name, array in found.arrays.items()} == {
            name: array.tobytes() for name, array in fresh.arrays.items()
        }
    cache.get(key(2), make)
    assert make.asked == 2


def test_arrays_are_mapped_and_a_stray_write_does_not_reach_the_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path, BIG)
    values = cache.get(key(1), Maker()).arrays["values"]
    assert type(values) is np.ndarray
    assert isinstance(values.base, np.memmap)
    assert values.ctypes.data % 64 == 0
    values[0, 0] = 99
    assert cache.get(key(1), Maker()).arrays["values"][0, 0] == 0


@settings(deadline=None)
@given(st.data())
def test_damage_anywhere_is_noticed_and_mended(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache, make = Cache(folder, BIG), Maker(8)
    digest = cache.get(key(1), make).digest
    file = draw.draw(st.sampled_from(sorted((folder / key(1)).iterdir())))
    content = bytearray(file.read_bytes())
    at = draw.draw(st.integers(0, len(content) - 1))
    harm = draw.draw(st.sampled_from(["flip", "cut", "remove", "empty"]))
    if harm == "flip":
        content[at] ^= 1 << draw.draw(st.integers(0, 7))
        file.write_bytes(content)
    elif harm == "remove":
        file.unlink()
    else:
        file.write_bytes(content[: at if harm == "cut" else 0])
    found = cache.get(key(1), make)
    assert found.digest == digest
    assert found.arrays["values"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert found.facts == {"words": ["a", "ü"], "n": 1}
    assert cache.get(key(1), make).digest == digest
    assert make.asked <= 2


def test_an_entry_that_holds_objects_is_not_believed(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path, BIG), Maker()
    cache.get(key(1), make)
    np.save(tmp_path / key(1) / "values.npy", np.array([object()]), allow_pickle=True)
    assert cache.get(key(1), make).arrays["values"].dtype == np.float32
    assert make.asked == 2


def test_the_entries_not_used_for_longest_go_first(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path, 3000), Maker(100)  # an entry takes about 700 bytes
    for name in range(3):
        cache.get(key(name), make)
        os.utime(tmp_path / key(name) / "facts.json", (name, name))
    used = cache.get(key(0), make)
    cache.get(key("new"), Maker(400))
    kept = {name for name in (0, 1, 2, "new") if (tmp_path / key(name)).exists()}
    assert 1 not in kept
    assert {0, "new"} <= kept
    assert used.arrays["values"][-1, -1] == 99


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "facts.json").write_text("x" * 5000)
    cache = Cache(tmp_path, 3000)
    for name in range(5):
        cache.get(key(name), Maker())
    assert (tmp_path / "thesis" / "facts.json").read_text() == "x" * 5000


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    found = Cache(tmp_path, 100).get(key(1), Maker())
    assert found.arrays["values"].shape == (50, 2)
    assert not (tmp_path / key(1)).exists()


def test_without_a_place_to_write_there_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    make = Maker()
    digests = {Cache(tmp_path / "file" / "cache", BIG).get(key(1), make).digest for _ in range(2)}
    assert (make.asked, len(digests)) == (2, 1)


def test_a_folder_that_is_read_only_is_still_read(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path, BIG), Maker()
    cache.get(key(1), make)
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    cache.get(key(1), make)
    cache.get(key(2), make)
    tmp_path.chmod(0o700)
    assert make.asked == 2
    assert not (tmp_path / key(2)).exists()


PROCESS = """
import hashlib, os, sys
from pathlib import Path
import numpy as np
from trainer.data.cache import Cache

folder = Path(sys.argv[1])

def make():
    with open(folder / "made", "a") as made:
        made.write("x")
    return {"values": np.arange(2_000_000.0)}, {}

print("ready", flush=True)
sys.stdin.readline()
found = Cache(folder / "cache", 10**9).get(hashlib.sha256(b"1").hexdigest(), make)
print(found.digest.hex(), found.arrays["values"].sum())
"""


def start(folder: Path, script: str = PROCESS, prepare: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=prepare)


def answer(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate("go\n", timeout=PATIENCE_S)
    assert process.returncode == 0, error
    return out


def test_of_eight_runs_that_start_at_once_one_prepares(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert len({answer(process) for process in processes}) == 1
    assert (tmp_path / "made").read_text() == "x"


KILLED = """
import os, signal
import numpy as np
import trainer.data.cache

save = np.save

def die_in_the_middle(path, array, **more):
    save(path, array[: len(array) // 2], **more)
    os.kill(os.getpid(), signal.SIGKILL)

np.save = die_in_the_middle
"""


def test_a_process_killed_while_it_writes_leaves_nothing_that_counts(tmp_path: Path) -> None:
    killed = start(tmp_path, KILLED + PROCESS)
    killed.communicate("go\n", timeout=PATIENCE_S)
    assert killed.returncode == -signal.SIGKILL
    left = list((tmp_path / "cache").glob(".labq-new-*/values.npy"))
    assert len(left) == 1
    first = answer(start(tmp_path))
    assert answer(start(tmp_path)) == first
    assert (tmp_path / "made").read_text() == "xx"
    assert not left[0].parent.exists()


def test_what_a_killed_process_left_goes_with_the_next_entry_of_any_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path, BIG)
    for name in ("dead", "alive"):
        (tmp_path / f".labq-new-{key(name)}-1").mkdir()
    (tmp_path / ".labq-old-1").mkdir()
    assert free_of(tmp_path, key("dead"))
    with locked(tmp_path, key("alive")):
        cache.get(key(1), Maker())
    assert [left.name for left in tmp_path.glob(".labq-[no]*")] == [f".labq-new-{key('alive')}-1"]


def no_large_files() -> None:
    """A write past this size fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_full_disk_costs_the_cache_and_not_the_run(tmp_path: Path) -> None:
    full = answer(start(tmp_path, prepare=no_large_files))
    assert [left for left in (tmp_path / "cache").iterdir() if not left.name.startswith(".lock")] == []
    assert answer(start(tmp_path)) == full
    assert (tmp_path / "made").read_text() == "xx"


def test_a_mistake_while_preparing_leaves_the_lock_free(tmp_path: Path) -> None:
    def fail() -> Any:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        Cache(tmp_path, BIG).get(key(1), fail)
    assert free_of(tmp_path, key(1))


def test_the_usual_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNN_DATA_CACHE", "off")
    assert usual_cache() is None
    monkeypatch.setenv("RNN_DATA_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("RNN_DATA_CACHE_GB", "0.5")
    assert usual_cache() == Cache(tmp_path / "a", 500_000_000)
    monkeypatch.delenv("RNN_DATA_CACHE")
    monkeypatch.setenv("RNN_DATA_CACHE_GB", "much")
    monkeypatch.setenv("LABQ_HOME", str(tmp_path / "home"))
    assert usual_cache() == Cache(tmp_path / "home" / "cache" / "data", 4_000_000_000)
    monkeypatch.delenv("LABQ_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert usual_cache() == Cache(tmp_path / "xdg" / "labq" / "data", 4_000_000_000)


def test_the_facts_are_plain_json(tmp_path: Path) -> None:
    Cache(tmp_path, BIG).get(key(1), Maker())
    held = json.loads((tmp_path / key(1) / "facts.json").read_text())
    assert (held["arrays"], held["facts"]["n"]) == (["none", "values"], 1)
