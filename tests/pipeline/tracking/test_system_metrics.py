"""What MLflow shows of the machine that trains, and that a training never fails or waits for it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.mlflow_server import url

__all__ = ["url"]

# The server and the program start one after the other.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def seen(url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.tracking.machine", str(tmp_path_factory.mktemp("bucket")), url]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_run_of_three_seconds_has_points_of_cpu_and_memory(seen: Any) -> None:
    expected = {"cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage"}

    assert {f"system/{name}" for name in expected} <= set(seen["first"]["metrics"])
    assert len(seen["first"]["steps"]) >= 2
    assert "FINISHED" == seen["first"]["status"]


def test_a_run_that_goes_on_adds_points_behind_those_before(seen: Any) -> None:
    before, after = seen["first"]["steps"], seen["again"]["steps"]

    assert before == after[: len(before)]
    assert len(after) > len(before)
    assert sorted(after) == after


def test_the_thread_ends_with_the_run(seen: Any) -> None:
    assert [] == seen["first"]["threads"]


def test_a_run_logs_its_learning_curves_and_its_mistakes_at_the_root(seen: Any) -> None:
    assert ["learning_curves.png", "mistakes.png"] == seen["first"]["artifacts"]


def test_only_a_training_logs_its_machine(seen: Any) -> None:
    assert [] == seen["evaluated"]


@pytest.mark.parametrize("case", ["away", "silent"])
def test_without_mlflow_the_training_goes_on_and_waits_for_nothing(seen: Any, case: str) -> None:
    """The block lasts two seconds, and MLflow's client waits ten for an answer, three times."""
    assert seen[case]["seconds"] < 8


def test_a_failure_is_said_once(seen: Any) -> None:
    (message,) = seen["away"]["messages"]

    assert message.startswith("MLflow has not taken the metrics of this machine: ")


def test_without_psutil_the_training_goes_on(seen: Any) -> None:
    (message,) = seen["without_psutil"]["messages"]

    assert message.startswith("CPU and memory are not logged to MLflow: ")
    assert "psutil" in message
