import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from embedded import prepare
from embedded.environment import STACK_VARIABLE
from embedded.settings import StackSettings
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.storage.local import LocalBucket
from tests.ports import free_port
from tests.releases import eventually


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """A stack of digits in a temporary folder, without variables of the environment; its folders exist."""
    ports = ("AIRFLOW_PORT", "MLFLOW_PORT", "GATEWAY_PORT", "SERVING_PORTS")
    for name in ("VAR", "MODELS", "ROLLOUT", *ports, "BOOT_SECONDS", "CACHE"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    made = StackSettings(var=tmp_path / "a var").with_models(["digits"])
    prepare.create_folders(made)
    return made


def record_fleet(settings: StackSettings, model: str, **fleet: object) -> FleetRecord:
    """Write the first record of a model's fleet without a verb; by default its replicas are two, in one group."""
    groups = {"main": {"replicas": "127.0.0.1:8500,127.0.0.1:8510"}}
    spec = FleetSpec.model_validate(
        {"groups": groups, "rollout": settings.rollout, "mlflow_url": settings.mlflow_url, **fleet}
    )
    record = FleetRecord(number=1, at=datetime(2026, 1, 2, tzinfo=UTC), actor="ann", reason="", fleet=spec)
    assert FleetRecords(LocalBucket(settings.bucket), model).create(record)
    return record


def quiet_ports(settings: StackSettings, **more: object) -> StackSettings:
    """The same stack on free ports, with one replica for each model."""
    ports = {name: free_port() for name in ("airflow_port", "mlflow_port", "gateway_port")}
    return settings.model_copy(update={**ports, "serving_ports": (free_port(),), **more}).with_models(
        settings.models_served or ()
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which a socket listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def soon(check: Callable[[], bool]) -> bool:
    """Whether `check` is true within 30 s: real processes on a busy machine are slow."""
    return eventually(check, seconds=30)


class Start(Protocol):
    def __call__(
        self, code: str, var: Path | None, arguments: tuple[str, ...] = (), **more: str
    ) -> "subprocess.Popen[str]": ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that prints `ready`, as a process of the stack in `var` or of none, with these arguments."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, var: Path | None, arguments: tuple[str, ...] = (), **more: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, **({STACK_VARIABLE: str(var)} if var else {}), **more}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
