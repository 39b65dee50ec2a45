"""What stands in deploy/: read by the tools that will read it, or by their schemas."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from queueing.cli.parser import build_parser
from store.settings import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*/*.*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
SCRIPTS = sorted([*DEPLOY.rglob("*.sh"), ROOT / ".ci" / "run"])


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def tool(name: str) -> str:
    """Where CI is set it must be there; deploy/install.sh test installs it."""
    found = shutil.which(name) or shutil.which(
        name, path=f"{Path(sys.executable).parent}:{Path(pytest.__file__).parents[4] / 'bin'}"
    )
    if not found:
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"NO {name.upper()} ON THIS MACHINE: sh deploy/install.sh test")
    return found


def test_the_compose_file_keeps_to_the_specification() -> None:
    import jsonschema

    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    document = compose()
    jsonschema.validators.validator_for(schema)(schema).validate(document)
    broken = json.loads(json.dumps(document))
    broken["services"]["mongo"]["restarts"] = "always"
    with pytest.raises(jsonschema.ValidationError, match="restarts"):
        jsonschema.validators.validator_for(schema)(schema).validate(broken)


def test_what_the_compose_file_names_is_there() -> None:
    document = compose()
    for name, service in document["services"].items():
        assert set(service.get("secrets", [])) <= set(document["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(document["services"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith("./") else source in document["volumes"]
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    texts = json.dumps(document)
    asked = set(re.findall(r"\$\{(\w+)", texts))
    told = set(re.findall(r"^(\w+)=", (DEPLOY / "example.env").read_text(), flags=re.MULTILINE))
    assert asked == told - ({"LABQ_BIND"} - asked)


def test_every_service_comes_back_and_is_bounded() -> None:
    for name, service in compose()["services"].items():
        assert "restart" in service, name
        assert "mem_limit" in service or name == "mongo-setup"
        assert service["logging"]["options"]["max-size"], name


def test_the_image_copies_what_the_package_is_made_of() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    allowed = (ROOT / ".dockerignore").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)", text, flags=re.MULTILINE) for word in line.split()[:-1]]
    for package in ("queueing", "worker", "store", "trainer", "notify", "labq.py", "pyproject.toml", "README.md"):
        assert package in copied
    for one in copied:
        assert (ROOT / one).exists()
        assert f"!{one}\n" in allowed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run([tool("shellcheck"), script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([tool("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("scope", ["system", "user"])
def test_systemd_accepts_every_unit(scope: str, tmp_path: Path) -> None:
    """At the places where they will be, but for labq itself, which is here."""
    analyze = tool("systemd-analyze")
    labq = Path(sys.executable).parent / "labq"
    units = []
    for unit in (DEPLOY / "systemd" / scope).iterdir():
        text = re.sub(r"(?<=[=])(/opt/labq/.venv/bin|%h/.local/bin)/labq", str(labq), unit.read_text())
        file = tmp_path / unit.name.replace("@", "@default")
        file.write_text(text)
        units.append(file)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_COLOR": "0"}
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", f"--{scope}", *units],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if any(unit.name in line for unit in units)]
    assert (done.returncode, said) == (0, []), done.stderr


def test_systemd_would_say_what_is_wrong(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    unit = tmp_path / "labq-wrong.service"
    text = (
        (DEPLOY / "systemd/system/labq-notifier.service").read_text().replace("TimeoutStopSec=90", "TimeoutStopSecs=90")
    )
    unit.write_text(text)
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=120
    )
    assert "TimeoutStopSecs" in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_units_call_verbs_that_exist_with_settings_that_exist(unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = unit.read_text()
    variables = dict(
        word.split("=", 1)
        for line in re.findall(r"^Environment=(.*)", text, flags=re.MULTILINE)
        for word in line.split()
    )
    load(Path("/"), variables)  # a LABQ_… that is no setting would be refused
    calls = re.findall(r"^Exec(?:Start|Stop)=\S*/labq (.*)", text, flags=re.MULTILINE)
    assert calls
    for call in calls:
        call = call.replace("%i", "slurm")
        for name, value in variables.items():
            call = call.replace(f"${{{name}}}", value).replace(f"${name}", value)
        build_parser().parse_args(shlex.split(call))


def test_a_unit_waits_longer_for_workers_than_their_runs_may_take_to_leave() -> None:
    from notify.cli import LAST_PATIENCE_S
    from store.runs import Task

    grace_s = Task(workdir="/").grace_s
    for scope in ("system", "user"):
        worker = (DEPLOY / "systemd" / scope / "labq-worker@.service").read_text()
        assert "TimeoutStopSec=5min" in worker
        assert 4 * grace_s < 300
        assert "KillMode=mixed" in worker
        assert "TimeoutStopSec=90" in (DEPLOY / "systemd" / scope / "labq-notifier.service").read_text()
    assert LAST_PATIENCE_S * 2 < 90


def test_templates_of_clusters_are_those_that_are_used() -> None:
    for name in ("slurm.sh.in", "sge.sh.in"):
        assert (DEPLOY / name).resolve() == ROOT / "worker/cluster/templates" / name
        assert name in (ROOT / "docs" / "deploy.md").read_text()
