"""Two models on one bucket and one MLflow, each with a fleet of its own: real servers, real trainings, real commands.

Both retrain at the same time while one of them is rolled back. No request of either fails, and a shell that knows only
the bucket says the right thing for each.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded import fleet_records, prepare
from embedded.demo.traffic import Traffic, directly
from embedded.environment import stack_environment
from embedded.settings import PROJECT, StackSettings
from embedded.supervision.procfile import REPLICA, entries
from pipeline import layout
from pipeline.errors import ExitCode
from serving.fleet.fleet import parse_fleet
from serving.replica import STABLE
from tests.hunts import hunt
from tests.mlflow_server import url
from tests.ports import free_ports

__all__ = ["url"]

pytestmark = pytest.mark.timeout(600)

VERBS = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote")
MODELS = ("digits", "digits_small")

SPEC = """
name: {name}
description: Handwritten digits
owner: understudy
data: {{images: "builtin:digits", validation: 0.1, holdout: 0.25}}
image: {{height: 8, width: 8, channels: 1}}
training: {{epochs: 2, learning_rate: 0.005, network: {{filters: [8], dense: 32}}}}
gate: {{margin: 0.9, min_accuracy: 0.2, min_class_recall: 0.0, max_calibration_error: 0.9, max_latency_ms: 1000}}
canary: {{max_accuracy_drop: 1.0}}
"""


@dataclass
class TwoModels:
    """A stack without Airflow."""

    settings: StackSettings
    environment: dict[str, str]

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command in a shell that knows the bucket and the model files, and nothing else."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def understudy(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.command("pipeline", *words)

    def retrain(self, model: str, number: int) -> "subprocess.CompletedProcess[str]":
        return self.command("tests.retrain", model, f"retrain-2026120112000000000{number}", *VERBS)

    def serving(self, model: str) -> int | None:
        status = json.loads(self.understudy("status", "--model", model, "--json").stdout)
        version: int | None = status["state"]["serving"]
        return version

    def images(self, model: str) -> list[bytes]:
        folder = self.settings.bucket / layout.images(model)
        return [path.read_bytes() for path in sorted(folder.iterdir())[:20]]


@pytest.fixture(params=["pinned", "latest"])
def two(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TwoModels]:
    """Two models with two replicas each, and no release yet."""
    (tmp_path / "models").mkdir()
    for model in MODELS:
        (tmp_path / "models" / f"{model}.yaml").write_text(SPEC.format(name=model))
    settings = StackSettings(
        var=tmp_path / "var",
        models=tmp_path / "models",
        rollout=request.param,
        serving_ports=_serving_ports(),
        mlflow_port=int(url.rpartition(":")[2]),
    ).with_models(MODELS)
    prepare.create_folders(settings)
    fleet_records.write(settings)
    alone = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    mine = {"UNDERSTUDY_ROOT": str(settings.bucket), "UNDERSTUDY_MODELS": str(settings.models)}
    replicas = [
        subprocess.Popen(
            ["bash", "-c", entry.command], env=stack_environment(settings) | entry.extra, stderr=subprocess.DEVNULL
        )
        for entry in entries(settings)
        if entry.name.startswith(REPLICA)
    ]
    try:
        yield TwoModels(settings, alone | mine | {"PYTHONPATH": str(PROJECT)})
    finally:
        for replica in replicas:
            replica.terminate()
        for replica in replicas:
            replica.wait(30)


def _serving_ports() -> tuple[int, int]:
    """Two gRPC ports, so that what is derived from them is free too: REST, and the ports of the second model."""
    port = free_ports(*range(1, 4), *range(20, 24))
    return port, port + 2


@hunt
def test_two_models_retrain_while_one_of_them_is_rolled_back(two: TwoModels) -> None:
    for model, number in (("digits", 1), ("digits_small", 1), ("digits", 2)):
        done = two.retrain(model, number)
        assert 0 == done.returncode, done.stderr[-3000:]
    label = STABLE if two.settings.rollout == "pinned" else None
    first, second = (
        Traffic(
            directly(parse_fleet(",".join(fleet.addresses)), fleet.model, label=label),
            two.images(fleet.model),
            rate=20.0,
        )
        for fleet in two.settings.fleets
    )

    with first, second, ThreadPoolExecutor(2) as pool:
        runs = {model: pool.submit(two.retrain, model, 3) for model in MODELS}
        time.sleep(2)  # both are at work; where exactly does not matter
        plan = two.understudy("rollback", "--model", "digits", "--to", "previous", "--plan")
        back = two.understudy("rollback", "--model", "digits", "--to", "previous", "--reason", "a test of two models")
        ended = {model: run.result() for model, run in runs.items()}

    assert 0 == plan.returncode, plan.stderr
    assert "v2 will be replaced by v1" in plan.stdout
    assert 0 == back.returncode, back.stderr
    assert ExitCode.DECLINED == ended["digits"].returncode, ended["digits"].stderr[-3000:]
    assert 0 == ended["digits_small"].returncode, ended["digits_small"].stderr[-3000:]
    assert {"digits": 1, "digits_small": 2} == {model: two.serving(model) for model in MODELS}
    assert ([], []) == (first.failures, second.failures)
    assert {1, 2} == first.answers_by_version().keys()
    assert {1, 2} == second.answers_by_version().keys()
