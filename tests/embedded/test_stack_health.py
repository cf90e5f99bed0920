"""What one look says of a replica, with the real server where there is nothing to serve."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from embedded.environment import MARK
from embedded.health import SERVER, State, look
from embedded.settings import StackSettings
from pipeline import layout
from tests.ports import free_port
from tests.releases import eventually


@pytest.fixture
def latest(settings: StackSettings) -> StackSettings:
    """A stack whose one replica looks for versions; nothing else of it is there."""
    ports = {"airflow_port": free_port(), "mlflow_port": free_port(), "serving_ports": (free_port(),)}
    made = settings.model_copy(update={"rollout": "latest", **ports})
    (made.bucket / layout.versions(made.model)).mkdir(parents=True)
    return made


@pytest.fixture
def server(latest: StackSettings) -> "Iterator[subprocess.Popen[bytes]]":
    (port,) = latest.serving_ports
    base_path = latest.bucket / layout.versions(latest.model)
    command = [sys.executable, "-m", SERVER, f"--port={port}", "--model_name=digits", f"--model_base_path={base_path}"]
    process = subprocess.Popen(command, env={**os.environ, MARK: str(latest.var)}, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def replica(settings: StackSettings) -> State:
    (found,) = (component.state for component in look(settings) if component.name == "Replica 1")
    return found


def test_nobody_is_up_where_nothing_runs(latest: StackSettings) -> None:
    assert {State.DOWN} == {component.state for component in look(latest)}


def test_a_server_without_a_version_waits(latest: StackSettings, server: "subprocess.Popen[bytes]") -> None:
    assert eventually(lambda: replica(latest) is State.WAITS)

    server.kill()
    server.wait()
    assert State.DOWN is replica(latest)


@pytest.mark.usefixtures("server")
def test_a_server_that_has_a_version_and_does_not_answer_is_down(latest: StackSettings) -> None:
    assert eventually(lambda: replica(latest) is State.WAITS)
    (latest.bucket / layout.version(latest.model, 1)).mkdir()

    assert State.DOWN is replica(latest)


@pytest.mark.usefixtures("server")
def test_no_server_waits_where_servers_poll_a_config(latest: StackSettings) -> None:
    """That is there from the start, and even an empty one opens the port."""
    assert eventually(lambda: replica(latest) is State.WAITS)

    assert State.DOWN is replica(latest.model_copy(update={"rollout": "pinned"}))
