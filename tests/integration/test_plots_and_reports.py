"""`labq plot`, `labq report`, `labq results --bests`, as they are typed, over a real MongoDB with the study of 32 runs."""

import html.parser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeps import add, add_study, an_experiment

from notify.made_up import study
from queueing.cli.main import main
from store.findings import Diagnosis, Disease, Finding, Severity
from store.mongo import MongoStore, open_store
from store.servers.places import places
from store.settings import Settings

NAME = study.NAME


@pytest.fixture(scope="module")
def filled(servers: Settings) -> Iterator[MongoStore]:
    """Read by all tests, changed by none."""
    store = open_store(places(servers.home).mongo_url, f"tplots{os.getpid()}", 10.0)
    add_study(store)
    an_experiment(store, "odd")
    add(store, 0, {"<script>": "</style>"}, {"loss": [1]}, experiment="odd")
    an_experiment(store, "empty")
    sick = Finding(disease=Disease.OVER_FITTING, severity=Severity.NOTE, about="val_loss", since_step=131,
                   evidence="val_loss rose from 0.200 to 0.237.", advice="More noise.")  # fmt: skip
    store.put_diagnosis(Diagnosis(run=f"{NAME[:4]}0003", attempt=1, findings=(sick,)), [])
    yield store
    store.client.drop_database(store.database.name)
    store.close()


@pytest.fixture(autouse=True)
def _here(filled: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", filled.database.name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


def typed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main([*arguments]) == code
    told = capsys.readouterr()
    return told.out if code == 0 else told.err


class Page(html.parser.HTMLParser):
    """What a browser would fetch, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.words += data


class TestPlot:
    def test_the_figure_grid_of_the_study_by_one_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        query = f"experiment={NAME} and early_stopping=false"
        typed(capsys, "plot", query, "--kind", "grid", "-o", "grid.svg")
        assert Path("grid.svg").read_bytes().startswith(b"<?xml")
        told = json.loads(typed(capsys, "plot", query, "--kind", "grid", "--json"))
        assert [len(row) for row in told["rows"]] == [4, 4, 4, 4]
        assert told["labels"] == {"rows": ["1e-06", "1e-05", "0.0001", "0.001"], "columns": ["0.01", "0.1", "1", "10"]}
        series = {one.name: one.values for one in study.series(study.BEST)}
        panel = next(panel for row in told["rows"] for panel in row if panel["best"])
        assert panel["corner"] == min(series["val_loss"])
        assert [stroke["ys"] for stroke in panel["strokes"]] == [list(series["train_loss"]), list(series["val_loss"])]

    @pytest.mark.parametrize("kind", ["curves", "updates", "importance", "parallel", "scatter", "pairs", "heatmap"])
    def test_every_kind_is_a_file_and_a_text(self, capsys: pytest.CaptureFixture[str], kind: str) -> None:
        typed(capsys, "plot", NAME, "--kind", kind, "-o", f"{kind}.png")
        assert Path(f"{kind}.png").read_bytes().startswith(b"\x89PNG")
        assert NAME in typed(capsys, "plot", NAME, "--kind", kind)

    def test_nothing_is_written_unless_asked_for(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        typed(
            capsys,
            "plot",
            NAME,
            "--x",
            "time",
            "-y",
            "val_loss",
            "--by",
            "noise",
            "--facet",
            "early_stopping",
            "--smooth",
            "0.9",
        )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([NAME, "-y", "val_los"], "unknown metric 'val_los', did you mean 'val_loss'?"),
            ([NAME, "--by", "noize"], "unknown parameter 'noize', did you mean 'noise'?"),
            (["weather-rn"], "did you mean 'weather-rnn'?"),
            (["nois<1"], "unknown field 'nois', did you mean 'noise'?"),
            ([NAME, "-o", "x.jpg"], "a picture is .png, .svg or .pdf"),
            ([NAME, "-o", "nowhere/x.png"], "nowhere"),
            ([NAME, "--kind", "heatmap", "--smooth", "0.5"], "--smooth is without effect on --kind heatmap"),
            ([NAME, "--facet", "l1", "noise", "seed"], "one parameter, or two"),
            ([NAME, "--band", "std"], "--band belongs to --by"),
            ([NAME, "--ylim", "3", "1"], "the first is to be less"),
            ([NAME, "--kind", "importance", "-y", "val_loss", "train_loss"], "shows one metric"),
            ([NAME, "--kind", "confusion"], "answers-at-end.json"),
            ([NAME, "--kind", "heatmap", "--facet", "l1"], "needs two parameters"),
            ([NAME, "--max", "val_loss", "--min", "val_loss"], "both --max and --min"),
        ],
    )
    def test_a_mistake_says_what_is_allowed(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        assert said in typed(capsys, "plot", *arguments, code=2)

    def test_a_file_that_is_there_stays_when_drawing_fails(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("x.png").write_bytes(b"mine")
        typed(capsys, "plot", NAME, "-y", "val_los", "-o", "x.png", code=2)
        assert Path("x.png").read_bytes() == b"mine"


class TestBests:
    ARGUMENTS = ("results", NAME, "--bests", "--by", "early_stopping", "-m", "train_loss", "-m", "val_loss")

    def test_table_1_of_the_study_by_one_command(self, capsys: pytest.CaptureFixture[str], filled: MongoStore) -> None:
        told = typed(capsys, *self.ARGUMENTS, "--format", "csv").splitlines()
        heads = [
            f"early_stopping={flag} {metric}" for flag in ("false", "true") for metric in ("train_loss", "val_loss")
        ]
        assert told[0] == "result," + ",".join(heads)
        rows = {line.split(",")[0]: line.split(",")[1:] for line in told[1:]}
        assert list(rows) == ["best", "l1", "noise", "at step", "run"]
        finished = [index for index in range(32) if study.run(index, done=32).state == "finished"]
        for place, (flag, metric) in enumerate([(f, m) for f in (False, True) for m in ("train_loss", "val_loss")]):
            mine = [index for index in finished if study.params(index)["early_stopping"] is flag]
            values = {index: min(one.values) for index in mine for one in study.series(index) if one.name == metric}
            best = min(values, key=lambda index: values[index])
            assert float(rows["best"][place]) == values[best]
            assert float(rows["l1"][place]) == study.params(best)["l1"]
            assert float(rows["noise"][place]) == study.params(best)["noise"]
            assert filled.run(rows["run"][place]).index == best

    @pytest.mark.parametrize(("form", "sign"), [("tex", r"\toprule"), ("md", "| ---"), ("json", '"result": "best"')])
    def test_it_comes_as_papers_want_it(self, capsys: pytest.CaptureFixture[str], form: str, sign: str) -> None:
        told = typed(capsys, *self.ARGUMENTS, "--format", form)
        assert sign in told or sign.replace(" ", "") in told.replace(" ", "")
        assert "noise" in told

    def test_the_best_is_bold_where_groups_compete(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert typed(capsys, *self.ARGUMENTS, "--format", "tex").count(r"\textbf") == 2

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (["--pivot", "l1", "noise"], "--bests is a table of its own"),
            (["--by", "l2"], "there is no column 'l2'"),
            (["-m", "los"], "'los'"),
        ],
    )
    def test_mistakes(self, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
        assert said in typed(capsys, "results", NAME, "--bests", *more, code=2)

    def test_by_alone_is_without_effect(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "--by belongs to --pivot ROWS COLUMNS, or to --bests" in typed(
            capsys, "results", NAME, "--by", "l1", code=2
        )

    def test_a_metric_that_is_called_like_a_parameter_can_be_written(
        self, capsys: pytest.CaptureFixture[str], filled: MongoStore
    ) -> None:
        an_experiment(filled, "same")
        add(filled, 0, {"rate": 1, "a": 1}, {"rate": [1, 2], "val_loss": [1]}, experiment="same")
        heads = typed(capsys, "results", "same", "--format", "csv").splitlines()[0].split(",")
        assert "rate" in heads
        assert "best.rate" in heads


class TestReport:
    def test_a_report_says_everything_and_fetches_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed(capsys, "report", NAME, "-o", "report.html")
        page = Page(Path("report.html").read_text())
        assert page.fetched
        assert all(one.startswith("data:image/") for one in page.fetched)
        assert "script" not in page.tags
        for said in (
            "32 runs: 28 finished", "What was run", "python train.py --lr {lr}", "l1: 1e-06, 1e-05, 0.0001, 0.001",
            "Best results", "early_stopping=false val_loss", "The best 10", "#12", "3 failures, by cause", "out of memory",
            "Over-fitting", "gpu1.lab", "9fceb02d0ae5", "git checkout", "labq enqueue /home/ada/weather-rnn.toml",
        ):  # fmt: skip
            assert said in page.words, said
        assert "hunter2" not in page.words
        assert len(page.fetched) == 4

    def test_a_report_as_pdf(self, capsys: pytest.CaptureFixture[str]) -> None:
        told = json.loads(typed(capsys, "report", NAME, "-o", "report.pdf", "--json"))
        data = Path("report.pdf").read_bytes()
        assert data.startswith(b"%PDF")
        assert len(data) == told["bytes"]
        assert 3 <= len(re.findall(rb"/Type /Page\b", data)) <= 12
        assert told["parts"].count("drawing") == 4

    def test_names_of_strangers_are_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed(capsys, "report", "odd", "-o", "odd.html")
        page = Page(Path("odd.html").read_text())
        assert "script" not in page.tags
        assert page.tags.count("style") == 1

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([NAME, "-o", "x.doc"], "a report is .html or .pdf"),
            (["weather", "-o", "x.html"], "there is no experiment 'weather', did you mean 'weather-rnn'?"),
            (["empty", "-o", "x.html"], "empty: there is no run of this experiment"),
            ([NAME, "-o", "x.html", "-m", "val_los"], "did you mean 'val_loss'?"),
            ([NAME, "-o", "nowhere/x.html"], "nowhere"),
        ],
    )
    def test_a_mistake_says_what_is_allowed(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        assert said in typed(capsys, "report", *arguments, code=2)
        assert not Path("x.html").exists()


def test_asking_for_help_imports_no_pictures() -> None:
    code = "import sys; from queueing.cli.parser import build_parser; build_parser(); print([m for m in sys.modules if m.startswith(('matplotlib', 'numpy', 'plots'))])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
