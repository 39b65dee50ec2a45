"""Tables as files, read back by who would read them."""

import csv
import io
import json
import math
import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from queueing.results.files.csv_file import write_csv
from queueing.results.files.formats import Format, format_named, format_of
from queueing.results.files.replacing import replacing
from queueing.results.files.writing import write_file, write_text
from queueing.results.files.xlsx import MOST_ROWS, sheet_names
from queueing.results.table import Column, Kind, Mean, Measured, Table
from store.errors import UserError

NAN, INF = math.nan, math.inf
THEN = datetime(2026, 11, 21, 13, 30, 15, tzinfo=timezone(timedelta(hours=1)))
COLUMNS = (
    Column(name="act", kind=Kind.TEXT), Column(name="l1", kind=Kind.NUMBER), Column(name="n", kind=Kind.WHOLE),
    Column(name="fast", kind=Kind.FLAG), Column(name="ended_at", kind=Kind.TIME), Column(name="mixed", kind=Kind.ANY),
    Column(name="val_loss", kind=Kind.MEASURED),
)  # fmt: skip
ROWS: list[tuple[Any, ...]] = [
    ("tanh", 1e-05, 3, True, THEN, 1, Measured(best=0.1, best_step=7, last=INF, last_step=9)),
    ("=1+1", -0.5, -7, False, None, "@x", Measured(best=NAN, best_step=None, last=NAN, last_step=9)),
    ('a,"b"\n', None, None, None, None, None, None),
    ("#N/A ü|*_&%\x01", 0.30000000000000004, 2**60, True, THEN, 2.5, Measured(best=-1e300, best_step=0, last=0.0, last_step=0)),
]  # fmt: skip
NAMES = ["act", "l1", "n", "fast", "ended_at", "mixed",
         "best.val_loss", "best_step.val_loss", "last.val_loss", "last_step.val_loss"]  # fmt: skip


def a_table(rows: list[tuple[Any, ...]] = ROWS, columns: tuple[Column, ...] = COLUMNS, **more: Any) -> Table:
    return Table(name="runs", columns=columns, rows=lambda: iter(rows), size=len(rows), **more)


def text(form: Format, *tables: Table) -> str:
    file = io.StringIO()
    write_text(tables or (a_table(),), file, form, 4)
    return file.getvalue()


# ── CSV ──
def test_csv_reads_back_to_the_bit_and_has_no_formulas() -> None:
    head, *rows = list(csv.reader(io.StringIO(text(Format.CSV))))
    assert head == NAMES
    assert rows[0] == ["tanh", "1e-05", "3", "true", "2026-11-21T13:30:15+01:00", "1", "0.1", "7", "inf", "9"]
    assert rows[1] == ["'=1+1", "-0.5", "-7", "false", "", "'@x", "nan", "", "nan", "9"], "numbers may be negative"
    assert rows[2] == ['a,"b"\n', *[""] * 9]
    assert float(rows[3][1]) == 0.30000000000000004


@pytest.mark.parametrize("cell", ["=A1", "+1+1", "-cmd|'/c calc'!A1", "@SUM(1)", "\t=1", "\r=1"])
def test_no_text_is_computed_by_a_spreadsheet_wherever_it_stands(cell: str) -> None:
    file = io.StringIO()
    write_csv(a_table([(cell,)], (Column(name=cell, kind=Kind.TEXT),)), file)
    head, row = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert head == row
    assert row[0].replace("\n", "\r") == f"'{cell}"


def test_pandas_reads_the_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    path = tmp_path / "r.csv"
    write_file([a_table()], path, Format.CSV, 4)
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf"), "no mark in front"
    frame = pandas.read_csv(path)
    assert list(frame.columns) == NAMES
    assert frame["l1"].isna().tolist() == [False, False, True, False]
    assert frame["last.val_loss"][0] == INF


# ── JSON, Markdown, LaTeX ──
def test_json_has_null_for_what_is_missing_and_words_for_what_it_lacks() -> None:
    found = json.loads(text(Format.JSON))
    assert found[0]["last.val_loss"] == "inf"
    assert found[1]["best.val_loss"] == "nan"
    assert found[2]["n"] is None
    assert found[3]["n"] == 2**60
    assert json.loads(text(Format.JSON, a_table([]))) == []
    both = json.loads(text(Format.JSON, a_table(caption="c"), a_table([])))
    assert [(one["name"], one["caption"], len(one["rows"])) for one in both] == [("runs", "c", 4), ("runs", "", 0)]


def test_markdown_escapes_what_means_something_to_it() -> None:
    lines = text(Format.MARKDOWN, a_table(caption="all of *them*")).splitlines()
    assert lines[0] == r"all of \*them\*"
    assert lines[2].startswith("| act | l1 | n | fast |")
    assert lines[3].startswith("| --- | ---: | ---: | --- |")
    assert lines[4].startswith("| tanh | 1e-05 | 3 | true | 2026-11-21 13:30 | 1 | 0.1 | 7 | inf |")
    assert lines[6].startswith('| a,"b" | – | – |')
    assert lines[7].startswith(r"| #N/A ü\|\*_&%")
    assert all(line.replace(r"\|", "").count("|") == 11 for line in lines[2:])


def test_latex_has_booktabs_escaped_names_and_powers_of_ten() -> None:
    columns = (
        Column(name="l1 \\ a_b", kind=Kind.NUMBER),
        Column(name="1e-05", kind=Kind.MEAN),
        Column(name="x", kind=Kind.TEXT),
    )
    rows = [
        (-2.5e-5, Mean(mean=0.1234567, half_width=0.0345, n=3), "50% & $5 #1 {x}~^\\"),
        (NAN, None, "±"),
        (-INF, None, "a<b"),
    ]
    lines = text(Format.TEX, a_table(rows, columns, marked=frozenset({(0, 1)}), pivot=True)).splitlines()
    assert lines[1:4] == [r"\begin{tabular}{rrl}", r"\toprule", r"l1 \textbackslash{} a\_b & $10^{-5}$ & x \\"]
    assert lines[5] == (
        r"$-2.5\times10^{-5}$ & \textbf{0.1235 $\pm$ 0.035 (n=3)} & "
        r"50\% \& \$5 \#1 \{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} \\"
    )
    assert lines[6:8] == [r"NaN & -- & $\pm$ \\", r"$-\infty$ & -- & a\textless{}b \\"]
    assert lines[8:] == [r"\bottomrule", r"\end{tabular}"]


# ── XLSX, Parquet ──
def test_a_workbook_has_typed_cells_a_frozen_header_and_no_formulas(tmp_path: Path) -> None:
    path = tmp_path / "r.xlsx"
    write_file([a_table()], path, Format.XLSX, 4)
    sheet = openpyxl.load_workbook(path)["runs"]
    assert sheet.freeze_panes == "A2"
    rows = list(sheet.iter_rows(values_only=True))
    assert list(rows[0]) == NAMES
    assert rows[1] == ("tanh", 1e-05, 3, True, datetime(2026, 11, 21, 12, 30, 15), 1, 0.1, 7, "inf", 9)  # noqa: DTZ001
    assert rows[2] == ("=1+1", -0.5, -7, False, None, "@x", "nan", None, "nan", 9)
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "b", "d"}, "no formula, no error"
    assert rows[4][0] == "#N/A ü|*_&%�"
    assert rows[4][2] == str(2**60), "a spreadsheet would round it"
    assert sheet["A1"].font.bold


def test_a_workbook_has_a_sheet_for_each_table(tmp_path: Path) -> None:
    path = tmp_path / "r.xlsx"
    marked = a_table([(1e-3, 0.5)], (Column(name="a \\ b"), Column(name="10")), marked=frozenset({(0, 1)}))
    write_file([a_table(), marked], path, Format.XLSX, 4)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["runs", "runs (2)"]
    assert book["runs (2)"]["B2"].font.bold
    assert not book["runs (2)"]["A2"].font.bold
    assert sheet_names(["a/b:c", "A_B_C", "x" * 40, "x" * 40, ""]) == [
        "a_b_c",
        "A_B_C (2)",
        "x" * 31,
        "x" * 26 + " (2)",
        "table",
    ]


def test_more_rows_than_a_sheet_holds_are_refused_with_what_holds_them(tmp_path: Path) -> None:
    table = Table(name="runs", columns=COLUMNS, rows=lambda: iter(()), size=MOST_ROWS)
    with pytest.raises(UserError, match=r"these are 1048576 rows and 10 columns: write \.csv or \.parquet"):
        write_file([table], tmp_path / "r.xlsx", Format.XLSX, 4)
    assert not list(tmp_path.iterdir())


def test_parquet_has_types_and_gaps(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / "r.parquet"
    write_file([a_table()], path, Format.PARQUET, 4)
    table = parquet.read_table(path)
    assert table.column_names == NAMES
    types = [str(one) for one in table.schema.types]
    assert types == [
        "string",
        "double",
        "int64",
        "bool",
        "timestamp[ms, tz=UTC]",
        "string",
        "double",
        "int64",
        "double",
        "int64",
    ]
    rows = table.to_pylist()
    assert (rows[0]["l1"], rows[0]["ended_at"], rows[0]["mixed"]) == (1e-05, THEN, "1")
    assert rows[2]["n"] is None
    assert rows[3]["n"] == 2**60
    assert math.isnan(rows[1]["best.val_loss"])


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: pip install 'labq\[parquet\]'; or write .csv"):
        write_file([a_table()], tmp_path / "r.parquet", Format.PARQUET, 4)
    assert not list(tmp_path.iterdir())


# ── formats, places ──
def test_the_format_is_told_by_the_name_or_asked_for() -> None:
    assert format_of(Path("a/b.XLSX")) is Format.XLSX
    assert format_named("latex") is Format.TEX
    assert format_named("markdown") is Format.MARKDOWN
    with pytest.raises(
        UserError, match=r"b\.ods: '\.ods' is no format of a table; allowed: csv, tsv, xlsx, parquet, tex, md, json"
    ):
        format_of(Path("b.ods"))
    with pytest.raises(UserError, match="the name does not tell the format"):
        format_of(Path("results"))
    with pytest.raises(UserError, match=r"\.csv holds one table, and here are 2"):
        text(Format.CSV, a_table(), a_table())
    with pytest.raises(UserError, match="xlsx is no text: say where it goes"):
        text(Format.XLSX)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    path.chmod(0o640)

    def fails() -> Any:
        yield ROWS[0]
        raise RuntimeError("in the middle")

    broken = Table(name="runs", columns=COLUMNS, rows=fails, size=2)
    with pytest.raises(RuntimeError):
        write_file([broken], path, Format.CSV, 4)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["r.csv"]
    write_file([a_table()], path, Format.CSV, 4)
    assert path.read_text().startswith("act,l1,")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    write_file([a_table([])], link, Format.CSV, 4)
    assert link.is_symlink()
    assert len(path.read_text().splitlines()) == 1


def test_a_new_file_may_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_file([a_table()], tmp_path / "r.csv", Format.CSV, 4)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.csv").stat().st_mode) == 0o644


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    for path, said in [
        (tmp_path / "no" / "r.csv", f"there is no folder {tmp_path / 'no'}"),
        (tmp_path / "d.csv", "is a folder"),
        (Path("/proc/r.csv"), "/proc/r.csv: "),
    ]:
        with pytest.raises(UserError) as error, replacing(path):
            pass
        assert said in str(error.value)
