"""Our packages have plain names. A folder that holds a `store.py` and a `trainer.py` of its own must not hurt us."""

import json
from pathlib import Path

import pytest
from lab import Lab

from store.states import State

HOSTILE = ("store", "trainer", "worker", "queueing", "notify", "labq", "redis", "numpy")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the wrong {name} was imported')\n")
    return tmp_path


@pytest.mark.parametrize("on_path", [False, True])
def test_labq_and_a_worker_run_from_a_hostile_folder(lab: Lab, hostile: Path, on_path: bool) -> None:
    extra = {"PYTHONPATH": str(hostile / "mine")} if on_path else {}
    if on_path:  # a project of one's own on PYTHONPATH, with the same plain names
        (hostile / "mine").mkdir()
        for name in ("store", "trainer", "worker", "notify"):
            (hostile / f"{name}.py").rename(hostile / "mine" / f"{name}.py")
    file = hostile / "e.toml"
    file.write_text(
        f'name = "hostile-{on_path}"\ntrainer = "rnn"\n[params]\nmodel = "language-model"\nepochs = 1\n'
        'n_hidden = 4\nvocabulary_size = 50\n[data]\nsource = "pydoc"\nmax_sentences = 20\n'
    )
    before, lab.env = lab.env, lab.env | extra
    try:
        done = lab.labq("enqueue", "--json", str(file), cwd=hostile)
        (run_id,) = json.loads(done.stdout)["ids"]
        lab.labq("worker", "--burst", cwd=hostile)
        run = lab.store.run(run_id)
        assert run.state is State.FINISHED, lab.store.log_tail(run_id, 1, 2000)
        assert "hostile" in lab.labq("ls", cwd=hostile).stdout
    finally:
        lab.env = before
