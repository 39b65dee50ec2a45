"""`[optimizer]` in a file: what is understood, and what is refused with its place."""

from pathlib import Path

import pytest

from queueing.definition import define
from queueing.expand import Definition
from store.errors import BadExperiment
from store.settings import Settings

HEAD = 'name = "s"\ncommand = ["train", "--lr", "{lr}"]\n'
FINE = """[optimizer]
metric = "val_loss"
trials = 10
[optimizer.params]
lr = {low = 1e-4, high = 0.1, log = true}
"""


def read(folder: Path, text: str) -> Definition:
    file = folder / "s.toml"
    file.write_text(text)
    return define(file, Settings(home=folder))


def test_a_study_has_examples_of_its_runs(tmp_path: Path) -> None:
    made = read(tmp_path, HEAD + "[params]\nk = 1\n" + FINE)
    assert made.study is not None
    assert made.size == 10
    (block,) = made.blocks
    assert all(1e-4 <= block.points.point(n).values["lr"] <= 0.1 for n in block.points.numbers)
    assert read(tmp_path, HEAD + FINE.replace("trials = 10", "trials = 10\nrepeat = 3")).size == 30


MISTAKES = [
    (FINE.replace("metric", "metrik"), "line 4: optimizer.metrik: unknown key; did you mean 'metric'?"),
    (FINE.replace('metric = "val_loss"\n', ""), "optimizer.metric: neither is given"),
    (FINE + '[[optimizer.objective]]\nmetric = "a"\n', "optimizer.metric: both are given"),
    (FINE.replace("trials = 10", "parallel = 2"), "optimizer: has no budget; give at least one of trials, hours, epochs"),
    (FINE.replace("trials = 10", "trials = 0"), "line 5: optimizer.trials: is 0; allowed: 1 or more"),
    (FINE.replace("trials = 10", 'trials = "10"'), "optimizer.trials: is '10'; allowed: a whole number"),
    (FINE.replace("trials = 10", 'trials = 10\nsampler = "tpee"'), "optimizer.sampler: is 'tpee'; allowed: 'tpe', 'gp'"),
    (FINE.replace("trials = 10", 'trials = 10\ndirection = "min"'), "allowed: 'minimize' or 'maximize'"),
    (FINE.replace("high = 0.1", "high = 1e-5"), "optimizer.params.lr"),
    (FINE.replace("lr =", "rate ="), "no parameter is named 'lr'"),
    (FINE + "x = 3\n", "optimizer.params.x: is 3; allowed: a list of values"),
    (FINE + 'm = {low = 0, high = 1, when = "opt == 1"}\n', "no parameter is named 'opt'"),
    ("[params]\nlr = 1\n" + FINE, "optimizer.params.lr: is given in [params] too"),
    (FINE + "repeat = [1, 2]\n", "optimizer.params.repeat: the name is reserved"),
    (FINE + "[sweep]\nrepeat = 3\n", "sweep: stands beside [optimizer]"),
    (FINE.replace("trials = 10", 'trials = 10\nwhere = "lr > 1"'), "optimizer.where: 2000 random configurations were tried"),
    (FINE.replace("trials = 10", "trials = 10\nfirst = [{lr = 5.0}]"), "optimizer.first[0]: lr = 5.0 does not lie in"),
    (FINE.replace("trials = 10", 'sampler = "grid"'), "optimizer.params.lr: has no list of values, as a grid needs it"),
    (FINE.replace("trials = 10", 'trials = 10\nspace = "no.pcs"'), "optimizer.space: "),
    (FINE.replace("[optimizer.params]\nlr = {low = 1e-4, high = 0.1, log = true}\n", "[params]\nlr = 1"), "is empty"),
    (
        '[optimizer]\ntrials = 5\nsampler = "cma-es"\nobjective = [{metric = "a"}, {metric = "b"}]\n'
        "[optimizer.params]\nlr = [1, 2]\n",
        "optimizer.sampler: optimizes one metric",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadExperiment) as caught:
        read(tmp_path, HEAD + text)
    assert said in str(caught.value)


def test_a_sweep_samples_the_space_of_a_file(tmp_path: Path) -> None:
    pytest.importorskip("ConfigSpace")
    (tmp_path / "p.pcs").write_text(
        "lr real [0.001, 0.1] [0.01] log\nopt categorical {a, b} [a]\nm real [0, 1] [0.5]\nm | opt in {b}\n"
    )
    text = HEAD + '[sweep]\nmethod = "random"\nsamples = 30\nspace = "p.pcs"\n'
    made = read(tmp_path, text)
    points = [made.blocks[0].points.point(n).values for n in made.blocks[0].points.numbers]
    assert len(points) == 30
    assert all(("m" in point) == (point["opt"] == "b") for point in points)
    for wrong, said in (
        (text + "[sweep.params]\nlr = [1]\n", "is given in p.pcs too"),
        (text.replace("p.pcs", "q.pcs"), "sweep.space"),
    ):
        with pytest.raises(BadExperiment, match=said):
            read(tmp_path, wrong)
