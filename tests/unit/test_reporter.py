"""labq.py alone: what it writes, and that it needs nothing of ours."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import labq

SOURCE = Path(labq.__file__)


def in_a_run(
    tmp_path: Path, script: str, **env: str
) -> tuple[list[dict[str, object]], subprocess.CompletedProcess[str]]:
    """Run a script beside a copy of labq.py, in an interpreter that sees nothing else of ours."""
    (tmp_path / "labq.py").write_text(SOURCE.read_text())
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    (tmp_path / "script.py").write_text(script)
    events = tmp_path / "events.jsonl"
    protocol = {
        "LABQ_RUN": "r", "LABQ_ATTEMPT": "3", "LABQ_DIR": str(tmp_path), "LABQ_EVENTS": str(events),
        "LABQ_CHECKPOINTS": str(tmp_path / "checkpoints"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=protocol | env, capture_output=True, text=True, timeout=60
    )
    written = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    return written, done


def test_the_reporter_imports_the_standard_library_alone() -> None:
    tree = ast.parse(SOURCE.read_text())
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in top_level if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module).split(".")[0] for node in top_level if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_calls_become_lines(tmp_path: Path) -> None:
    written, done = in_a_run(
        tmp_path,
        "import labq\nlabq.log(1, loss=0.5)\nlabq.progress(1, 4)\nlabq.stop('diverged')\nlabq.artifact('x.txt')\n"
        "assert (labq.run_id(), labq.attempt(), labq.params()) == ('r', 3, {})\n",
    )
    assert done.returncode == 0, done.stderr
    for line in written:
        assert isinstance(line.pop("_t"), float)
    assert written == [
        {"step": 1, "loss": 0.5}, {"_progress": [1.0, 4.0]}, {"_stop": "diverged"},
        {"_artifact": str(tmp_path / "x.txt")},
    ]  # fmt: skip


def test_a_line_once_written_survives_sigkill(tmp_path: Path) -> None:
    script = "import labq, os\nfor i in range(1000): labq.log(i, loss=i)\nos.kill(os.getpid(), 9)\n"
    written, done = in_a_run(tmp_path, script)
    assert done.returncode == -9
    assert [line["step"] for line in written] == list(range(1000))


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    script = "import labq, numpy as np\nlabq.checkpoint({'w': np.arange(6.).reshape(2, 3), 'n': 7}, step=12)\n"
    written, done = in_a_run(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert written[0]["_checkpoint"] == "checkpoint-000000000012.npz"
    resume = tmp_path / "resume"
    (tmp_path / "checkpoints").rename(resume)
    script = (
        "import labq\nat = labq.resume()\nassert at.step == 12\n"
        "assert at.arrays()['w'].tolist() == [[0, 1, 2], [3, 4, 5]] and at.arrays()['n'] == 7\n"
    )
    _, done = in_a_run(tmp_path, script, LABQ_RESUME=str(resume), LABQ_RESUME_STEP="12")
    assert done.returncode == 0, done.stderr


def test_the_best_checkpoint_is_a_file_of_its_own_even_at_the_same_step(tmp_path: Path) -> None:
    script = "import labq\nfor best in (False, True): labq.checkpoint({'w': 1.0}, step=3, best=best)\n"
    written, done = in_a_run(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert [line.get("_best") for line in written] == [None, True]
    names = ["checkpoint-000000000003-best.npz", "checkpoint-000000000003.npz"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == names


def test_the_same_arrays_make_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        labq._save_arrays(tmp_path / name / "c.npz", {"w": np.ones(5)})
        files.append((tmp_path / name / "c.npz").read_bytes())
    assert files[0] == files[1]


def test_files_and_folders_are_published_whole(tmp_path: Path) -> None:
    script = (
        "import labq, pathlib\np = pathlib.Path('model'); p.mkdir(); (p / 'w').write_text('1')\n"
        "labq.checkpoint(p, step=1); labq.checkpoint('script.py', step=2)\n"
    )
    written, done = in_a_run(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert [line["_checkpoint"] for line in written] == ["model-000000000001", "script-000000000002.py"]
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["model-000000000001", "script-000000000002.py"]


def test_outside_labq_the_calls_print(tmp_path: Path) -> None:
    script = (
        "import labq\nassert labq.params() == {} and labq.resume() is None and labq.run_id() is None\n"
        "assert labq.should_stop() is False\nlabq.log(1, loss=2)\nlabq.checkpoint({}, step=1)\n"
    )
    (tmp_path / "s.py").write_text(script)
    env = {"PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "s.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"loss": 2.0' in done.stderr


def test_a_metric_is_a_number() -> None:
    with pytest.raises(TypeError, match="metric 'loss' is 'low'"):
        labq.log(1, loss="low")  # type: ignore[arg-type]
