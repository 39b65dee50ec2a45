"""Every mistake in a sweep, a sheet or a template: one clear message with its place, exit code 2, no server asked."""

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from queueing.cli.main import main

DATA = Path(__file__).parents[1] / "data"
GOOD = 'name = "x"\ncommand = ["true"]\n'
RANDOM = '[sweep]\nmethod = "random"\nsamples = 4\n'
TABLE = GOOD + '[sweep]\ntable = "t.csv"\n'
SHEET = GOOD + '[sweep]\ntable = "t.xlsx"\n'
TEMPLATE = 'name = "x"\ncommand = ["true", "{template}"]\ntemplate = "t.in"\n[params]\nlr = 0.1\n'

Files = dict[str, str | bytes]


def workbook(fill: Callable[[Workbook], object]) -> bytes:
    """As openpyxl writes it: formulas have no stored values."""
    made, file = Workbook(), io.BytesIO()
    fill(made)
    made.save(file)
    return file.getvalue()


def _formula(made: Workbook) -> None:
    made.active.append(["lr", "n"])
    made.active.append([0.1, "=2*3"])


def _two_sheets(made: Workbook) -> None:
    made.active.append(["lr"])
    made.create_sheet("Second").append(["lr"])


def _broken(where: str) -> Files:
    return {where: (DATA / "broken.xlsx").read_bytes()}


# (what, experiment file, other files, what the lines must say, in any order)
MISTAKES: list[tuple[str, str, Files, list[str]]] = [
    # ── parameters ──
    ("no samples", GOOD + '[sweep]\nmethod = "lhs"\n[sweep.params]\na = [1]\n', {}, [r"sweep\.samples: is missing"]),
    ("nothing to draw", GOOD + RANDOM, {}, [r"line \d: sweep\.params: is missing or empty"]),
    ("samples of a grid", GOOD + "[sweep]\nsamples = 3\n", {}, [r"line 4: sweep\.samples: is for the methods halton, lhs"]),
    ("a range without values in a grid", GOOD + "[sweep.params]\nlr = {low = 0.1, high = 1.0}\n", {},
     [r"line 4: sweep\.params\.lr: a grid needs values to list; give a list, num or step, or choose method random"]),
    ("a misspelt key", GOOD + RANDOM + "[sweep.params]\nlr = {low = 0.1, hihg = 1.0}\n", {},
     [r"line 7: sweep\.params\.lr\.hihg: unknown key here; did you mean 'high'"]),
    ("a range upside down", GOOD + RANDOM + "[sweep.params]\nlr = {low = 1, high = 0.1}\n", {}, [r"lr: low = 1\.0 is not below high"]),
    ("a range without an end", GOOD + RANDOM + "[sweep.params]\nlr = {low = 1}\n", {}, [r"lr\.high: is missing"]),
    ("the logarithm of zero", GOOD + RANDOM + "[sweep.params]\nlr = {low = 0, high = 1, log = true}\n", {},
     [r"lr\.low: is 0\.0; allowed with log: above 0"]),
    ("a fraction as a whole number", GOOD + RANDOM + '[sweep.params]\nn = {low = 1.5, high = 3, type = "int"}\n', {},
     [r"n\.low: is 1\.5; allowed with type = 'int': a whole number"]),
    ("an unknown type", GOOD + RANDOM + '[sweep.params]\nn = {low = 1, high = 3, type = "integer"}\n', {}, [r"n\.type: is 'integer'; allowed"]),
    ("an unknown distribution", GOOD + RANDOM + '[sweep.params]\nn = {distribution = "beta", low = 1, high = 3}\n', {},
     [r"n\.distribution: is 'beta'; allowed: uniform, log-uniform, normal"]),
    ("a distribution without its keys", GOOD + RANDOM + '[sweep.params]\nn = {distribution = "normal", low = 1, high = 3}\n', {},
     [r"n\.mean: is missing; the distribution normal needs mean and sd"]),
    ("no spread", GOOD + RANDOM + "[sweep.params]\nn = {mean = 0, sd = 0}\n", {}, [r"n\.sd: is 0\.0; allowed: above 0"]),
    ("too wide a log-normal", GOOD + RANDOM + "[sweep.params]\nn = {mean = 0, sd = 99, log = true}\n", {}, [r"n\.sd: is 99\.0: values would"]),
    ("too few weights", GOOD + RANDOM + "[sweep.params]\nn = {choice = [1, 2], weights = [1]}\n", {}, [r"n\.weights: are 1, for 2 values"]),
    ("weights in a grid", GOOD + "[sweep.params]\nn = {choice = [1, 2], weights = [1, 2]}\n", {}, [r"weights matter for sampling only"]),
    ("step and num", GOOD + "[sweep.params]\nn = {low = 0, high = 1, step = 0.1, num = 3}\n", {}, [r"n\.num: does not go with step"]),
    ("a table that is no parameter", GOOD + "[sweep.params.optimizer]\nlr = 0.1\n", {},
     [r"line 4: sweep\.params\.optimizer\.lr: is 0\.1; allowed: a list of values, or a table with low and high"]),
    ("a nested parameter inside a fixed one", GOOD + "[params]\nopt = 3\n[sweep.params.opt]\nlr = [1]\n", {},
     [r"sweep\.params\.opt\.lr: cannot stand beside params\.opt"]),
    ("fewer points than samples", GOOD + RANDOM + "[sweep.params]\nn = [1, 2, 3]\n", {},
     [r"line 5: sweep\.samples: is 4, but only 3 different points"]),
    # ── conditions and constraints ──
    ("a condition on nothing", GOOD + "[sweep.params]\nb = {choice = [1], when = \"optimzer == 'a'\"}\noptimizer = ['a']\n", {},
     [r"line 4: sweep\.params\.b\.when: .*no parameter is named 'optimzer'; did you mean 'optimizer'"]),
    ("conditions in a circle", GOOD + '[sweep.params]\na = {choice = [1], when = "b == 1"}\nb = {choice = [1], when = "a == 1"}\n', {},
     [r"sweep\.params: the conditions of a and b wait for each other"]),
    ("a programme as a constraint", GOOD + "[sweep]\nwhere = \"__import__('os').system('true')\"\n", {},
     [r"line 4: sweep\.where: .*is not allowed; functions: min, max"]),
    ("a constraint that is no expression", GOOD + '[sweep]\nwhere = "a <"\n[sweep.params]\na = [1]\n', {}, [r"sweep\.where: 'a <': is no expression"]),
    ("a constraint that leaves nothing", GOOD + '[sweep]\nwhere = "a > 5"\n[sweep.params]\na = [1, 2]\n', {}, [r"sweep\.where: leaves no run at all"]),
    ("a division by zero", GOOD + '[sweep]\nwhere = "1 / a > 0"\n[sweep.params]\na = [0, 2]\n', {},
     [r"sweep\.where: '1 / a > 0' cannot be computed for a = 0: division by zero"]),
    ("a text compared with a number", GOOD + '[sweep]\nwhere = "a > 1"\n[sweep.params]\na = ["x"]\n', {}, [r"cannot be computed for a = 'x': '>' not supported"]),
    ("a mistake in the second of two sweeps", GOOD + "[[sweep]]\n[sweep.params]\na = [1]\n[[sweep]]\n[sweep.params]\na = []\n", {},
     [r"line 8: sweep\[1\]\.params\.a: the list is empty"]),
    ("an unknown key in one of several", GOOD + "[[sweep]]\nmetod = 'zip'\n", {}, [r"line 4: sweep\[0\]\.metod: unknown key; did you mean 'method'"]),
    ("two seeds", GOOD + "[params]\nseed = 1\n[sweep]\nseed = 2\nrepeat = 2\n", {}, [r"line 6: sweep\.seed: makes the seeds of the repeats"]),
    # ── tables ──
    ("a table that is not there", TABLE, {}, [r"line 4: sweep\.table: t\.csv: there is no such file"]),
    ("a table and a method", TABLE + 'method = "zip"\n', {"t.csv": "a\n1\n"}, [r"sweep\.method: does not go with table"]),
    ("a sheet of a CSV file", TABLE + 'sheet = "x"\n', {"t.csv": "a\n1\n"}, [r"t\.csv: is a CSV file, which has no sheets"]),
    ("an old workbook", GOOD + '[sweep]\ntable = "t.xls"\n', {"t.xls": b""}, [r"ends in '\.xls'; save it as \.xlsx or \.csv"]),
    ("a workbook that is none", SHEET, {"t.xlsx": b"PK but no"}, [r"t\.xlsx: is no XLSX workbook, or one with a password"]),
    ("a word among numbers", TABLE, {"t.csv": "lr,n\n0.1,5\n0.2,abc\n0.3,7\n"}, [r"t\.csv: B3: 'abc' is not a number, as the rest of column n"]),
    ("several mistakes in a sheet that LibreOffice wrote", SHEET, _broken("t.xlsx"),
     [r"'My Runs'!B3: 'abc' is not a number", r"'My Runs'!C3: 'not/ok' is no tag", r"'My Runs'!A4: holds the error #DIV/0!"]),
    ("a formula nobody computed", SHEET, {"t.xlsx": workbook(_formula)},
     [r"Sheet!B2: holds a formula without a stored value; open the file in a spreadsheet programme and save it"]),
    ("which sheet", SHEET, {"t.xlsx": workbook(_two_sheets)}, [r"has 2 sheets; say which one: sheet = 'Sheet'; there are: 'Sheet', 'Second'"]),
    ("a sheet that is not there", SHEET + 'sheet = "Secnd"\n', {"t.xlsx": workbook(_two_sheets)}, [r"has no sheet 'Secnd'; there are: 'Sheet', 'Second'"]),
    ("a header that is no name", TABLE, {"t.csv": "learning rate,n\n1,2\n"}, [r"A1: 'learning rate' is no parameter name"]),
    ("the same header twice", TABLE, {"t.csv": "lr,lr\n1,2\n"}, [r"B1: a second column is named 'lr'"]),
    ("a value without a header", TABLE, {"t.csv": "lr\n1,2\n"}, [r"B2: 2 has no name above it"]),
    ("a table of headers", TABLE, {"t.csv": "lr\n"}, [r"t\.csv: has no row with values that is enabled"]),
    ("an empty table", TABLE, {"t.csv": ""}, [r"A1: the first row names no parameter"]),
    ("a bad priority", TABLE, {"t.csv": "lr,priority\n1,high\n"}, [r"B2: 'high' is no whole number from"]),
    ("neither enabled nor not", TABLE, {"t.csv": "lr,enabled\n1,maybe\n"}, [r"B2: 'maybe' is not true or false"]),
    ("the same row twice", TABLE, {"t.csv": "lr,n\n1,2\n1,2\n"}, [r"row 3: has the same parameters as a row above"]),
    ("a table that is not UTF-8", TABLE, {"t.csv": "lr\ngr\xfcn\n".encode("latin-1")}, [r"t\.csv: after row \d: byte 0xfc is not UTF-8"]),
    ("an open quote", TABLE, {"t.csv": 'lr\n"1\n'}, [r"t\.csv: row \d: is not CSV"]),
    ("a decimal comma", TABLE, {"t.csv": "lr;n\n0,1;5\n0.2;6\n"}, [r"t\.csv: A2: '0,1' has a decimal comma; write a point"]),
    ("a reserved column", TABLE, {"t.csv": "data\n1\n"}, [r"A1: the name 'data' is reserved"]),
    # ── templates ──
    ("a template that is not there", TEMPLATE, {}, [r"line 3: template: 't\.in' is not there"]),
    ("an unknown variable", TEMPLATE, {"t.in": "x\n${lrr}\n${lr}"}, [r"template: 't\.in', line 2: no parameter is named 'lrr'; did you mean 'lr'"]),
    ("an unused variable", TEMPLATE, {"t.in": "nothing\n"}, [r"params\.lr: nothing uses it"]),
    ("a variable without an end", TEMPLATE, {"t.in": "${lr} ${lr\n"}, [r"'t\.in', line 1: '\$\{lr' has no end"]),
    ("a format that does not fit", TEMPLATE, {"t.in": "${lr:d}\n"}, [r"template, copied to t: '\$\{lr:d\}': the format does not fit"]),
    ("an expression in a template", TEMPLATE, {"t.in": "${lr * 2}\n"}, [r"'t\.in', line 1: .*is no parameter name"]),
    ("a parameter that some runs lack", 'name = "x"\ncommand = ["t", "{b}"]\n[sweep.params]\no = [1, 2]\nb = {choice = [1], when = "o == 1"}\n', {},
     [r"command: '\{b\}': there is no b in the configuration o = 2"]),
    ("a result that is not there", GOOD + 'result = "post.py"\n', {}, [r"result: there is no file .*post\.py"]),
    ("a table for enqueue itself", "", {}, [r"is a table; an experiment file beside it has name, command, and below \[sweep\]: table = "]),
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len(MISTAKES) >= 30
    assert len({what for what, *_ in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("what", "text", "files", "says"), MISTAKES, ids=[what for what, *_ in MISTAKES])
def test_a_mistake_in_a_sweep_is_named(
    what: str, text: str, files: Files, says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    file = tmp_path / ("runs.xlsx" if what == "a table for enqueue itself" else "e.toml")
    file.write_text(text)
    assert main(["enqueue", str(file), "--dry-run"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == len(says), printed.err
    for line, expected in zip(lines, says, strict=True):
        assert line.startswith(f"labq: {file}: ")
        assert re.search(expected, line), line
        assert len(line) < 450 + len(str(file))


def test_all_mistakes_of_all_sweeps_are_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(DATA / "broken.xlsx", tmp_path / "t.xlsx")
    (tmp_path / "e.toml").write_text(
        'name = "x"\ncommand = ["true"]\ntemplate = "nowhere.in"\n[[sweep]]\ntable = "t.xlsx"\n[[sweep]]\nmethod = "sobol"\n'
        'where = "a +"\n[sweep.params]\na = {low = 3, high = 1}\nb = {mean = 1}\n'
    )
    assert main(["enqueue", str(tmp_path / "e.toml"), "--dry-run"]) == 2
    said = capsys.readouterr().err
    for part in (
        "template: 'nowhere.in'",
        "'My Runs'!B3",
        "sweep[1].samples",
        "sweep[1].where",
        "params.a",
        "params.b.sd",
    ):
        assert part in said
