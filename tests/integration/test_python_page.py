"""docs/python.md: every block of it runs, one after another, as in a notebook."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from test_mongo_page import fill

from store.mongo import open_store
from store.servers.places import places
from store.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)


def test_the_page_runs_from_top_to_bottom(
    servers: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    assert len(BLOCKS) >= 5
    store = open_store(places(servers.home).mongo_url, f"t{uuid.uuid4().hex[:12]}", 10.0)
    fill(store)
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", store.database.name)
    notebook: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), notebook)
    out = capsys.readouterr().out
    assert out.startswith("3 r0 0.1 0.2\n")
    assert list(notebook["long"]) == ["run", "params.lr", "params.n_hidden", "metric", "step", "time", "value"]
    assert len(notebook["frame"]) == 8
    store.client.drop_database(store.database.name)
    store.close()
