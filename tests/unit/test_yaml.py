"""YAML means what TOML and JSON mean."""

from pathlib import Path

import pytest

from queueing.reading import read_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("-3", -3), ("010", 10), ("1:30", "1:30"), ("on", "on"),
        ("no", "no"), ("true", True), ("False", False), ("~", None), ("2026-01-01", "2026-01-01"), ("0x10", "0x10"),
        ("+12", 12), ("1_000", "1_000"), ("text", "text"), ("\"1e-3\"", "1e-3"),
    ],
)  # fmt: skip
def test_a_value_is_what_it_looks_like(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "e.yaml").write_text(f"x: {text}\n")
    found = read_file(tmp_path / "e.yaml")[0]["x"]
    assert (found, type(found)) == (value, type(value))


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("base: &b {lr: 1}\nparams:\n  <<: *b\n  on: [lost]\n")
    assert read_file(tmp_path / "e.yaml")[0]["params"] == {"lr": 1, "on": ["lost"]}
