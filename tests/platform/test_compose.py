"""Every service of docker-compose.yaml, started by its own command with its own variables, and used as people use it.

There is no container around them: `tests.platform.rewriting` says what differs. Grafana is not executed. The servers are
the embedded ones, behind the entry point of the image. MinIO is moto here, and Apache Airflow's entry point is left out.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.airflow_api import AirflowApi
from tests.platform.compose_file import Checkout
from tests.platform.platform_processes import NOT_EXECUTED, Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(900)]

SERVERS = ("serving-1", "serving-2", "serving-3")
DAG = "retrain_digits"
NOTE = "to see the platform work"
# More profiles than are started, so that every address has a service.
PROFILES = "cpu,tools,s3"


@dataclass(frozen=True)
class Seen:
    """What the platform showed while it ran, and after it was stopped and started again."""

    platform: Platform
    env: Mapping[str, str]
    run: str
    state: str
    logs: Mapping[str, str]
    page: int
    status: Mapping[str, Any]
    history: Mapping[str, Any]
    mlflow_runs: list[Mapping[str, Any]]
    artifacts: list[str]
    hosts: Mapping[str, int]
    answers: list[tuple[str, str]]
    targets: Mapping[str, str]
    requests: Mapping[str, float]
    grafana: int
    after_restart: Mapping[str, Any]
    seconds: Mapping[str, float]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short, because of the socket of PostgreSQL, and open to its user."""
    made = Path(tempfile.mkdtemp(prefix="platform-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def checkout(folder: Path) -> Checkout:
    made = Checkout(folder / "checkout")
    made.folder.mkdir()
    assert 0 == made.make_env().returncode
    return made


@pytest.fixture(scope="module")
def platform(folder: Path, checkout: Checkout) -> Iterator[Platform]:
    made = Platform(checkout.resolved(COMPOSE_PROFILES=PROFILES), folder)
    try:
        made.up(started(checkout))
        yield made
    finally:
        made.kill()


def started(checkout: Checkout) -> list[str]:
    """What `docker compose up` starts."""
    return [name for name in checkout.resolved()["services"] if name not in NOT_EXECUTED]


def test_it(platform: Platform, checkout: Checkout) -> None:
    env = checkout.values()
    with AirflowApi(
        f"http://127.0.0.1:{platform.port('airflow-api-server', 8080)}", "admin", env["AIRFLOW_ADMIN_PASSWORD"]
    ) as airflow:
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        run = airflow.trigger(DAG, {"epochs": 6, "seed": 7}, note=NOTE)
        print(airflow.wait(DAG, run, seconds=300))
        print(airflow.task_states(DAG, run))
        print(airflow.log(DAG, run, "train"))
    print(platform.seconds)
    print(platform.run("understudy", "status", "--model", "digits"))
    platform.down()
