from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from trainer.__main__ import main


def text(folder: Path) -> str:
    draw = random.Random(5)
    words = [f"word{n}" for n in range(40)]
    path = folder / "text.txt"
    path.write_text("\n".join(" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(80)))
    return str(path)


def test_every_combination_is_measured_in_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--bench", "--json", "--threads", "1,2", "--batches", "1,5", "--sentences", "40", "--text", text(tmp_path)]
    assert main([*asked, "--target", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["rows"]
    assert [(row["parallel"], row["batch_size"], row["threads"]) for row in rows] == [
        (kind, batch, threads) for kind in ("synchronous", "server") for batch in (1, 5) for threads in (1, 2)
    ]
    assert all(row["seconds"] > 0 and row["loss"] < 4.5 for row in rows)
    assert all(0 < row["seconds_to_target"] < row["seconds"] for row in rows)
    synchronous = [row for row in rows if row["parallel"] == "synchronous"]
    assert all(row["more_loss"] == 0 for row in synchronous)


def test_the_table_says_where_the_target_was_not_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--bench", "--quick", "--threads", "1", "--batches", "10", "--sentences", "20", "--text", text(tmp_path)]
    assert main([*asked, "--target", "0.1"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["parallel", "threads", "batch"]
    assert [line.split()[0] for line in lines] == ["synchronous", "server"]
    assert all(line.endswith("not reached") for line in lines)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--threads", "0"], "found '0'; allowed: a whole number >= 1"),
        (["--batches", "1,x"], "found 'x'"),
        (["--sentences", "1.5"], "found '1.5'"),
        (["--target", "nan"], "found 'nan'; allowed: a number > 0"),
        (["--dtype", "int8"], "int8"),
        (["--fast"], "--fast"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--bench", *wrong])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_text_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bench", "--text", "/no/such/text", "--threads", "1"]) == 2
    assert "/no/such/text: no such file" in capsys.readouterr().err
