"""CSV files and workbooks as sweeps."""

import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from queueing.definition import define_table
from queueing.expand import Definition, expanded
from queueing.tables.cells import Trouble, cell_name, from_text
from store.settings import Settings

DATA = Path(__file__).parents[2] / "data"


def definition(folder: Path, sweep: dict[str, Any], **more: Any) -> Definition:
    table = {"name": "x", "command": ["true"], "tags": ["all"], "priority": 3, "sweep": sweep, **more}
    return define_table(table, "", folder / "x.toml", Settings())


def test_a_workbook_of_libreoffice_is_read_as_it_was_meant() -> None:
    made = definition(DATA, {"table": "runs.xlsx", "sheet": "Runs"}, params={"optimizer": {"momentum": 0.1}, "lr": 9})
    assert [(one.params, one.priority, one.tags) for one in expanded(made)] == [
        ({"optimizer": {"momentum": 0.9}, "lr": 0.1, "n_hidden": 50, "activation": "tanh", "since": "2026-01-31",
          "nesterov": True}, 5, ("paper", "wide")),
        ({"optimizer": {"momentum": 0.1}, "lr": 0.01, "n_hidden": 100, "activation": "relu", "since": "2026-02-01",
          "nesterov": False}, None, ()),
        ({"optimizer": {"momentum": 0.99}, "lr": 0.001, "n_hidden": 150, "activation": "tanh", "nesterov": True}, -1,
         ("paper",)),
    ]  # fmt: skip
    assert made.varied == ("lr", "n_hidden", "activation", "optimizer.momentum", "since", "nesterov")


def test_what_a_row_says_of_its_run_reaches_the_run(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from queueing.expand import runs

    (tmp_path / "t.csv").write_text('lr,enabled,priority,tags\n1,,7,"b, c"\n2,yes,,\n3,no,,\n')
    made = definition(tmp_path, {"table": "t.csv"})
    assert [(run.params, run.priority, run.tags) for run in runs(made, datetime.now(UTC), "me", {})] == [
        ({"lr": 1}, 7, ("all", "b", "c")), ({"lr": 2}, 3, ("all",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-3", -3), (" 0.5 ", 0.5), ("1e-3", 0.001), (".5", 0.5), ("TRUE", True), ("false", False), ("", None),
        ("007", "007"), ("1_000", "1_000"), ("2026-01-31", "2026-01-31"), ("nan", "nan"), ("1,5", "1,5"), ("0x10", "0x10"),
    ],
)  # fmt: skip
def test_cells_of_a_csv_file(text: str, value: Any) -> None:
    assert from_text(text) == value
    assert type(from_text(text)) is type(value)


@pytest.mark.parametrize("text", ["9" * 20, "9" * 400, "1e999"])
def test_numbers_that_nobody_can_keep(text: str) -> None:
    assert isinstance(from_text(text), Trouble)


def test_cells_are_named_as_spreadsheets_name_them() -> None:
    assert [cell_name("", column, 7) for column in (1, 26, 27, 702, 703)] == ["A7", "Z7", "AA7", "ZZ7", "AAA7"]
    assert cell_name("My 'own' Sheet", 3, 7) == "'My ''own'' Sheet'!C7"


@pytest.mark.parametrize(("name", "mark"), [("t.csv", ","), ("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", "\t")])
def test_delimiters_of_all_countries(tmp_path: Path, name: str, mark: str) -> None:
    text = '\ufefflr|"act"|note\n0.1|tanh|"a|b ""c"""\n0.2|relu|\n'.replace("|", mark)
    (tmp_path / name).write_text(text)
    made = [one.params for one in expanded(definition(tmp_path, {"table": name}))]
    assert made == [{"lr": 0.1, "act": "tanh", "note": f'a{mark}b "c"'}, {"lr": 0.2, "act": "relu"}]


def test_a_column_of_texts_keeps_its_numbers_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,mixed\n3.10,1\nx,none\ny,2\n")
    made = definition(tmp_path, {"table": "t.csv", "types": {"mixed": "any"}})
    assert [one.params for one in expanded(made)] == [
        {"id": "3.10", "mixed": 1}, {"id": "x", "mixed": "none"}, {"id": "y", "mixed": 2},
    ]  # fmt: skip


def test_rows_can_be_filtered_repeated_and_shuffled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(50)))
    made = definition(tmp_path, {"table": "t.csv", "where": "n % 2 == 0", "repeat": 2, "shuffle": True, "seed": 1})
    found = [one.params["n"] for one in expanded(made)]
    assert made.size == len(found) == 50
    assert sorted(set(found)) == list(range(0, 50, 2))
    assert found != sorted(found)


def test_a_file_that_changes_after_it_was_read_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("n\n1\n2\n")
    made = definition(tmp_path, {"table": "t.csv"})
    file.write_text("broken")
    assert [one.params["n"] for one in expanded(made)] == [1, 2]


def test_a_workbook_of_another_programme(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["a", None, "b"])
    book.active.append([1, None, "x"])
    book.active.append([])
    book.active.append([2.5, None, "y"])
    book.save(tmp_path / "t.xlsx")
    made = [one.params for one in expanded(definition(tmp_path, {"table": "t.xlsx"}))]
    assert json.dumps(made) == '[{"a": 1, "b": "x"}, {"a": 2.5, "b": "y"}]'
