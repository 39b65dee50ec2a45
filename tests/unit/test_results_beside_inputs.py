"""Results beside the table that an experiment was enqueued from."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from queueing.results.asking import Ask
from queueing.results.files.formats import Format, format_of
from queueing.results.inputs import inputs_of, typed
from queueing.results.output import Output, output_of, write_output
from queueing.results.report import report
from store.errors import UserError
from store.experiments import Experiment
from store.memory import MemoryStore
from store.runs import MetricSummary, Run, Task
from store.states import State

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HEADER = ["tags", "lr", "act", "enabled", "# mine", "fast"]
CELLS: list[list[Any]] = [
    ["paper", 0.1, "tanh", None, "try", True],
    ["", 0.01, "relu", "no", "", False],
    ["", 1, None, None, "", True],
    ["", 2, "007", None, "=1+1", False],
]
PARAMS = [(0.1, "tanh", True), (1, "relu", True), (2, "007", False)]


def a_run(params: tuple[float, str, bool], loss: float, **changes: Any) -> Run:
    metric = MetricSummary(last=loss, last_step=9, count=9, min=loss, min_step=3, max=loss, max_step=3)
    lr, act, fast = params
    name = f"{lr}{act}{changes.get('repeat', 0)}"
    base = {
        "params": {"lr": lr, "act": act, "fast": fast, "epochs": 3},
        "state": State.FINISHED,
        "summary": {"val_loss": metric},
    }
    return Run(id=name, key=name, experiment="e", task=Task(workdir="/"), queued_at=NOW, **{**base, **changes})  # type: ignore[arg-type]


def write_table(path: Path, delimiter: str = ",") -> Path:
    if path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file, delimiter=delimiter).writerows([HEADER, *[[_word(cell) for cell in row] for row in CELLS]])
        return path
    book = openpyxl.Workbook()
    book.active.title = "todo"
    for row in [HEADER, *CELLS[:3], ["", 2, "007", None, None, False]]:
        book.active.append(row)
    book.active["G5"] = "=B5*2"
    book.create_sheet("notes")["A1"] = "kept"
    book.save(path)
    return path


def _word(cell: Any) -> str:
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def store_of(table: Path, runs: list[Run], more: str = "") -> MemoryStore:
    store = MemoryStore()
    text = f'name = "e"\n[params]\nact = "relu"\n[sweep]\ntable = "{table.name}"\n{more}'
    source = str(table.parent / "e.toml")
    store.add_experiment(Experiment(name="e", owner="me", source=source, text=text, created_at=NOW))
    store.add_runs(runs)
    return store


def written(store: MemoryStore, path: Path, *, force: bool = False, **ask: Any) -> tuple[Output, str]:
    form = format_of(path)
    output = output_of(report(Ask(text="e", columns=("val_loss",), **ask), store), form, path, force=force)
    return output, write_output(output, path, form, 4)


def read(path: Path, delimiter: str = ",") -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


RUNS = [a_run(params, loss) for params, loss in zip(PARAMS, (0.5, 0.25, 0.75), strict=True)]
OURS = ["#best.val_loss", "#best_step.val_loss", "#last.val_loss", "#last_step.val_loss"]


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_every_row_keeps_its_place_and_gets_its_results(tmp_path: Path, name: str) -> None:
    more = 'sheet = "todo"' if name == "t.xlsx" else ""
    store = store_of(write_table(tmp_path / name), [*RUNS[::-1], a_run((9, "tanh", True), 0.1)], more)
    written(store, tmp_path / "r.csv")
    head, *rows = read(tmp_path / "r.csv")
    width = len(head) - 4
    assert head[:6] == HEADER
    assert head[width:] == OURS
    assert [row[1:4] for row in rows] == [
        ["0.1", "tanh", ""],
        ["0.01", "relu", "no"],
        ["1", "", ""],
        ["2", "007", ""],
        ["9", "tanh", ""],
    ]
    assert [row[width] for row in rows] == ["0.5", "", "0.25", "0.75", "0.1"], (
        "the disabled row has none; a run of no row comes last"
    )
    assert [row[5] for row in rows] == ["true", "false", "true", "false", "true"]


def test_results_of_an_earlier_time_are_replaced(tmp_path: Path) -> None:
    store = store_of(write_table(tmp_path / "t.csv"), RUNS)
    written(store, tmp_path / "t.csv", force=True)
    first = read(tmp_path / "t.csv")
    _, said = written(store, tmp_path / "t.csv", force=True)
    assert read(tmp_path / "t.csv") == first
    assert said == "4 rows"
    assert first[0] == HEADER + OURS


def test_the_table_itself_is_written_only_when_that_is_said(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", ";")
    before = table.read_bytes()
    store = store_of(table, RUNS)
    with pytest.raises(UserError, match=r"t\.csv: is the table that was enqueued; --force writes results into it"):
        written(store, table)
    assert table.read_bytes() == before
    with pytest.raises(UserError, match="--force is for the table that was enqueued, and this is another file"):
        written(store, tmp_path / "other.csv", force=True)
    written(store, table, force=True)
    assert read(table, ";")[0] == HEADER + OURS


def test_a_workbook_keeps_its_sheets_and_formulas(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.xlsx")
    store = store_of(table, RUNS, 'sheet = "todo"')
    _, said = written(store, table, force=True)
    assert said == "results in 3 rows"
    book = openpyxl.load_workbook(table)
    assert book["notes"]["A1"].value == "kept"
    assert book["todo"]["G5"].value == "=B5*2"
    rows = list(book["todo"].iter_rows(values_only=True))
    assert rows[0] == (*HEADER, None, *OURS), "behind a column without a name, too"
    at = rows[0].index("#best.val_loss")
    assert [row[at] for row in rows[1:]] == [0.5, None, 0.25, 0.75]
    written(store, table, force=True)
    assert list(openpyxl.load_workbook(table)["todo"].iter_rows(values_only=True)) == rows, "again: the same"


def test_repeats_have_no_place_in_the_table_itself_but_their_mean_has(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv")
    store = store_of(table, [a_run(PARAMS[0], loss, repeat=i) for i, loss in enumerate((1.0, 3.0))])
    with pytest.raises(
        UserError, match=r"row 2 has 2 runs, but only one place; one row per configuration: --over repeat"
    ):
        written(store, table, force=True)
    written(store, tmp_path / "r.csv")
    assert [row[1] for row in read(tmp_path / "r.csv")] == ["lr", "0.1", "0.1", "0.01", "1", "2"]
    written(store, table, force=True, over=("repeat",))
    head, first, *_ = read(table)
    assert dict(zip(head, first, strict=True))["#mean.best.val_loss"] == "2.0"


def test_sorted_rows_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    store = store_of(write_table(tmp_path / "t.csv"), RUNS)
    written(store, tmp_path / "r.csv", sort="val_loss", best=2)
    assert [(row[1], row[4], row[6]) for row in read(tmp_path / "r.csv")[1:]] == [
        ("1", "", "0.25"),
        ("0.1", "try", "0.5"),
    ]


def test_a_table_that_is_gone_is_told_and_the_results_are_written_all_the_same(tmp_path: Path) -> None:
    store = store_of(tmp_path / "gone.csv", RUNS)
    output, _ = written(store, tmp_path / "r.csv")
    assert "gone.csv: the table that was enqueued cannot be read: No such file or directory" in output.warnings[0]
    assert read(tmp_path / "r.csv")[0] == [name.removeprefix("#") for name in OURS]


def test_an_experiment_without_a_table_or_with_several_has_no_inputs(tmp_path: Path) -> None:
    for text in (
        "",
        "[sweep]\nrepeat = 2",
        '[[sweep]]\ntable = "a.csv"\n[[sweep]]\ntable = "b.csv"',
        "is = not = toml",
    ):
        one = Experiment(name="e", owner="me", source=str(tmp_path / "e.toml"), text=text, created_at=NOW)
        assert inputs_of(one) is None
    from_python = Experiment(name="e", owner="me", source=str(tmp_path / "enqueued from Python"), created_at=NOW,
                             text='{"sweep": {"table": "t.csv"}}')  # fmt: skip
    write_table(tmp_path / "t.csv")
    inputs = inputs_of(from_python)
    assert inputs is not None
    assert list(inputs.params) == ["lr", "act", "fast"]


def test_cells_are_read_as_a_sweep_reads_them() -> None:
    assert [typed(cell) for cell in ["1", "1.0", "1e-3", "007", "", " x ", "TRUE", "-.5", "1e999", "nan"]] == [
        1, 1.0, 0.001, "007", None, "x", True, -0.5, "1e999", "nan",
    ]  # fmt: skip
    assert typed(datetime(2026, 1, 2)) == "2026-01-02"  # noqa: DTZ001
    assert Format.CSV == "csv"
