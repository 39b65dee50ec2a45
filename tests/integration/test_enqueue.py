"""Enqueueing through the command line, into real servers."""

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from queueing.cli.main import main
from store.mongo import MongoStore
from store.settings import Settings
from store.states import State

FILE = """
name = "many"
command = ["true", "{a}", "{b}"]
[sweep.params]
a = %s
b = %s
"""


@pytest.fixture
def store(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    monkeypatch.setenv("LABQ_QUEUE", f"q-{mongo_store.database.name}")
    return mongo_store


def enqueue(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["enqueue", "--json", str(file)]) == 0
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_ten_thousand_runs_are_queued_in_one_call_and_the_second_adds_none(
    store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "many.toml"
    file.write_text(FILE % (list(range(100)), list(range(100))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first = enqueue(file, capsys)
    assert (first["total"], first["added"]) == (10_000, 10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB: bounded memory"
    assert store.counts("many") == {State.QUEUED: 10_000}
    assert enqueue(file, capsys)["added"] == 0
    assert store.counts("many") == {State.QUEUED: 10_000}


def test_a_longer_list_adds_what_is_new(store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "many.toml"
    file.write_text(FILE % ([1, 2], [1, 2]))
    enqueue(file, capsys)
    file.write_text(FILE % ([1, 2, 3], [1, 2]))
    assert enqueue(file, capsys)["added"] == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.toml", 'name = "same"\ncommand = ["true"]\n[params]\na = 1.5\nb = [1, "x"]\n'),
        ("e.yaml", "name: same\ncommand: ['true']\nparams:\n  a: 1.5\n  b: [1, x]\n"),
        ("e.json", '{"name": "same", "command": ["true"], "params": {"b": [1, "x"], "a": 1.5}}'),
    ],
)
def test_the_three_formats_make_the_same_run(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["enqueue", "--dry-run", "--json", str(tmp_path / name)]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["params"] == {"a": 1.5, "b": [1, "x"]}


def test_a_dirty_repository_is_recorded_once(
    store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@lab.example"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-b", "trunk")
    (tmp_path / "train.py").write_text("print(1)\n")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "train.py").write_text("print(2)\n")
    (tmp_path / "e.toml").write_text('name = "g"\ncommand = ["true"]\n[sweep.params]\na = [1, 2]\n')
    enqueue(tmp_path / "e.toml", capsys)
    from store.store import RunQuery

    first, second = store.runs(RunQuery(experiment="g"))
    facts = first.provenance["git"]
    assert (facts["branch"], facts["dirty"], facts["untracked"]) == ("trunk", True, ["e.toml"])
    assert len(facts["commit"]) == 40
    assert facts == second.provenance["git"]
    assert "+print(2)" in (store.blob(facts["diff"]) or "")
    assert store.database["blobs"].count_documents({}) == 1


def test_enqueue_without_servers_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABQ_HOME", str(tmp_path / "home"))
    (tmp_path / "e.toml").write_text('name = "g"\ncommand = ["true"]\n')
    assert main(["enqueue", str(tmp_path / "e.toml")]) == 3
    assert "labq up" in capsys.readouterr().err


def test_from_python(store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import labq

    monkeypatch.chdir(tmp_path)
    done = labq.enqueue({"name": "py", "command": ["true"], "sweep": {"params": {"a": [1, 2, 3]}}})
    assert done.added == 3
    assert [run.params["a"] for run in labq.runs("py")] == [1, 2, 3]
    assert labq.series(done.ids[0], "loss").values == ()


def started(file: Path) -> "subprocess.Popen[str]":
    """`labq enqueue` as a process of its own, against the servers of this test."""
    command = [sys.executable, "-P", "-m", "queueing.cli.main", "enqueue", str(file)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def interrupted(file: Path, store: MongoStore, number: signal.Signals) -> str:
    """The signal as soon as some runs are queued; what was said."""
    process = started(file)
    deadline = time.monotonic() + 60
    while not store.counts("many") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_enqueue_is_continued_by_the_same_command(
    store: MongoStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    file = tmp_path / "many.toml"
    file.write_text(FILE % (list(range(150)), list(range(150))))
    said = interrupted(file, store, number)
    there = store.counts("many")[State.QUEUED]
    assert 0 < there < 22_500
    assert ("the same command adds the others" in said) is (number is signal.SIGINT)
    done = enqueue(file, capsys)
    assert done["total"] == 22_500
    assert 0 < int(str(done["added"])) <= 22_500 - there, "a chunk that was under way may still have arrived"
    assert store.counts("many") == {State.QUEUED: 22_500}
    assert len(store.database["runs"].distinct("index")) == 22_500


# ru_maxrss would begin with that of the process which forked: here pytest with everything it has imported.
ENQUEUE = """
import sys
from queueing.cli.main import main
code = main(["enqueue", "--json", sys.argv[1]])
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def peak_kb(file: Path) -> int:
    done = subprocess.run([sys.executable, "-P", "-c", ENQUEUE, str(file)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return int(done.stderr)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_hardly_grows_with_the_number_of_runs(store: MongoStore, tmp_path: Path) -> None:
    """A million runs take less than 300 MB: a hundred bytes each are their ids."""
    text = (
        'name = "%s"\ncommand = ["true", "{lr:.3e}"]\n[sweep]\nmethod = "random"\nsamples = %s\nwhere = "a != 3"\n'
        '[sweep.params]\nlr = {low = 1e-5, high = 0.1, log = true}\na = {low = 1, high = 9, type = "int"}\n'
    )
    peaks = []
    for count in (1_000, 21_000):
        file = tmp_path / "many.toml"
        file.write_text(text % (f"memory-{count}", count))
        peaks.append(peak_kb(file))
    assert peaks[1] - peaks[0] < 12_000, peaks
    assert peaks[1] < 150_000, peaks
