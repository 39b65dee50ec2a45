"""Templates and result commands, through real workers."""

import json
import signal
import sys
from pathlib import Path

import psutil
from lab import Lab, supervisor_of, until

from store.runs import Run
from store.states import Reason, State
from store.store import RunQuery

TEMPLATE = """import os, sys
lr, steps = ${lr:.3e}, ${steps}
name = "${optimizer.name}"   # costs 5 $$
with open(os.path.join(os.environ["LABQ_DIR"], "out.txt"), "w") as out:
    print("accuracy", lr * steps, file=out)
print("it cost $$5, said", name, __file__)
"""
POST = """import sys
print("reading", file=sys.stderr)
print("figures follow")
for line in open("out.txt"):
    name, value = line.split()
    print(name, value, sep="\\t")
print("lines.of/output", len(open("output.log").readlines()), sep="\\t")
"""


def enqueue(lab: Lab, folder: str, text: str, **files: str) -> list[Run]:
    place = lab.home / folder
    place.mkdir()
    for name, content in files.items():
        (place / name.replace("__", ".")).write_text(content)
    (place / "e.toml").write_text(f'name = "{folder}"\n{text}')
    done = lab.labq("enqueue", "--json", str(place / "e.toml"))
    return lab.store.runs(RunQuery(ids=tuple(json.loads(done.stdout)["ids"])))


def test_copies_are_filled_in_beside_the_run_and_their_figures_are_read(lab: Lab) -> None:
    runs = enqueue(
        lab,
        "filled",
        f'command = ["{sys.executable}", "{{template}}"]\ntemplate = "train.py.in"\nresult = "post.py"\n'
        '[params]\nsteps = 10\n[sweep.params]\nlr = [0.5, 0.25]\noptimizer.name = ["adam"]\n',
        train__py__in=TEMPLATE,
        post__py=POST,
    )
    (lab.home / "filled" / "train.py.in").unlink()  # the text is kept with the runs
    lab.worker("--burst")
    for run in runs:
        ended = lab.wait_until_ended(run)
        assert ended.state is State.FINISHED, ended.ending
        assert ended.summary["accuracy"].last == run.params["lr"] * 10
        assert ended.summary["lines/of/output"].last == 2, "the dot would be a path in MongoDB"
        said = lab.store.log_tail(run.id, 1, 10_000).decode()
        assert "it cost $5, said adam" in said
        assert "/runs/" in said, "the copy lies in the run directory"
        assert "reading" in said
    assert sorted(path.name for path in (lab.home / "filled").iterdir()) == ["e.toml", "post.py"]
    assert lab.store.database["blobs"].count_documents({"text": TEMPLATE}) == 1


def test_another_text_is_another_run(lab: Lab) -> None:
    text = f'command = ["{sys.executable}", "{{template}}"]\ntemplate = "t.py"\n[params]\na = 1\n'
    (first,) = enqueue(lab, "texts", text, t__py="print(${a})\n")
    (lab.home / "texts" / "t.py").write_text("print(${a} + 1)\n")
    done = lab.labq("enqueue", "--json", str(lab.home / "texts" / "e.toml"))
    (second,) = json.loads(done.stdout)["ids"]
    assert second != first.id
    assert json.loads(lab.labq("enqueue", "--json", str(lab.home / "texts" / "e.toml")).stdout)["added"] == 0
    lab.labq("stop", first.id, second)


def failing(lab: Lab, name: str, post: str) -> Run:
    (run,) = enqueue(lab, name, f'command = ["{sys.executable}", "-c", "pass"]\nresult = "post.py"\n', post__py=post)
    lab.worker("--burst")
    return lab.wait_until_ended(run)


def test_a_result_command_that_fails_fails_the_run_with_its_words(lab: Lab) -> None:
    ended = failing(lab, "no-post", "raise SystemExit('no accuracy in out.txt')\n")
    assert (ended.state, ended.reason) == (State.FAILED, Reason.ERROR)
    assert ended.ending is not None
    assert ended.ending.message == "the result command: exit code 1: no accuracy in out.txt"


def test_a_figure_that_is_no_number_fails_the_run(lab: Lab) -> None:
    ended = failing(lab, "no-number", "print('accuracy\\thigh')\n")
    assert ended.ending is not None
    assert (ended.state, ended.ending.message) == (
        State.FAILED,
        "the result command: line 1: 'high' is not a number",
    )


def test_a_result_command_that_says_nothing_fails_the_run(lab: Lab) -> None:
    ended = failing(lab, "silent", "pass\n")
    assert ended.ending is not None
    assert ended.ending.message == "the result command: it printed no line 'name<TAB>value'"


def test_a_supervisor_killed_during_the_result_command_loses_nothing(lab: Lab) -> None:
    gate = lab.home / "gate"
    post = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\nprint('loss\\t0.25')\n"
    (run,) = enqueue(
        lab, "killed", f'command = ["{sys.executable}", "-c", "pass"]\nresult = "post.py"\n', post__py=post
    )
    worker = lab.worker("--burst")

    def asking() -> psutil.Process | None:
        children = supervisor_of(worker).children()
        return next((one for one in children if "post.py" in " ".join(one.cmdline())), None)

    child = until(asking, what="the result command")
    supervisor_of(worker).send_signal(signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the death of the command")
    gate.touch()
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert lab.store.series(run.id, "loss").values == (0.25,)
    assert lab.settles(run) == 1


def test_final_values_stand_at_the_newest_step(lab: Lab) -> None:
    main = "import labq\nfor step in (3, 7): labq.log(step, loss=1.0 / step)\n"
    (run,) = enqueue(
        lab,
        "final",
        f'command = ["{sys.executable}", "main.py"]\nresult = ["{sys.executable}", "-c", "print(\'accuracy\\\\t1\')"]\n',
        main__py=main,
    )
    lab.worker("--burst", PYTHONPATH=str(Path(__file__).parents[2]))
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED, ended.ending
    assert (ended.summary["accuracy"].last, ended.summary["accuracy"].last_step) == (1.0, 7)
