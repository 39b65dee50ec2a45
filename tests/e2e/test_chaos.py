"""A small storm; the large one is run by hand: python tests/chaos/run.py --runs 200 --workers 4 --faults 400 --seed 1"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "chaos" / "run.py"
FAULTS = 22


@pytest.mark.timeout(600)
def test_nobody_can_tell_runs_under_fire_from_those_in_peace() -> None:
    size = ["--runs", "12", "--workers", "2", "--faults", str(FAULTS), "--seed", "1", "--steps", "150"]
    done = subprocess.run([sys.executable, RUN, *size, "--json"], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["details"] == []
    assert report["faults_total"] + report["missed"] == FAULTS
    assert report["missed"] <= FAULTS // 3  # the last faults find nobody where the work is done before they are due
