"""The benchmark from end to end, too short for its figures to mean anything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hunts import hunt

ROOT = Path(__file__).parents[2]
CHEAP = ("latency", "throughput", "appearing")


@hunt
@pytest.mark.timeout(300)
def test_every_cheap_figure_has_its_rows(tmp_path: Path) -> None:
    figures = [word for name in CHEAP for word in ("--only", name)]
    command = [sys.executable, "-m", "bench.model_server", *figures, "--rounds=1", "--seconds=0.2"]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*command, f"--cache={tmp_path}", f"--json={report}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(report.read_text())["rows"]
    assert {"one client, gRPC, p50", "eight clients, gRPC, throughput", "a version appears"} == {
        row["figure"] for row in rows
    }
    assert [] == [row for row in rows if row["verdict"] == "not measured"]
