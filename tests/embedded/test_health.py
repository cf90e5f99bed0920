"""The state of a replica, with the real server before there is a version to serve."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from embedded.environment import STACK_VARIABLE, stack_environment
from embedded.health import SERVER, State, check_components
from embedded.settings import StackSettings
from embedded.supervision.procfile import entries
from pipeline import layout
from tests.embedded.conftest import quiet_ports
from tests.releases import eventually


@pytest.fixture
def latest(settings: StackSettings) -> StackSettings:
    """A stack of the latest roll-out with one replica, on free ports."""
    made = quiet_ports(settings, rollout="latest")
    (made.bucket / layout.versions("digits")).mkdir(parents=True)
    return made


@pytest.fixture
def server(latest: StackSettings) -> "Iterator[subprocess.Popen[bytes]]":
    (port,) = latest.serving_ports
    base_path = latest.bucket / layout.versions("digits")
    command = [sys.executable, "-m", SERVER, f"--port={port}", "--model_name=digits", f"--model_base_path={base_path}"]
    process = subprocess.Popen(command, env={**os.environ, STACK_VARIABLE: str(latest.var)}, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def replica(settings: StackSettings) -> State:
    (found,) = (component.state for component in check_components(settings) if component.name == "Replica 1 of digits")
    return found


def test_all_components_of_a_stack_that_does_not_run_are_down(latest: StackSettings) -> None:
    assert {State.DOWN} == {component.state for component in check_components(latest)}


def test_a_server_without_a_version_waits(latest: StackSettings, server: "subprocess.Popen[bytes]") -> None:
    assert eventually(lambda: replica(latest) is State.WAITS)

    server.kill()
    server.wait()
    assert State.DOWN is replica(latest)


@pytest.mark.usefixtures("server")
def test_a_server_that_has_a_version_and_does_not_answer_is_down(latest: StackSettings) -> None:
    assert eventually(lambda: replica(latest) is State.WAITS)
    (latest.bucket / layout.version("digits", 1)).mkdir()

    assert State.DOWN is replica(latest)


@pytest.mark.usefixtures("server")
def test_a_server_waits_although_the_first_ring_has_a_version(latest: StackSettings) -> None:
    """A candidate that is being proven lies in the folder of the ring, and this server polls the other one."""
    (latest.bucket / layout.first_ring_version("digits", 1)).mkdir(parents=True)

    assert eventually(lambda: replica(latest) is State.WAITS)


@pytest.mark.usefixtures("server")
def test_no_replica_waits_in_the_pinned_roll_out(latest: StackSettings) -> None:
    """The config exists from the start, and a server opens its port even if the config has no version."""
    assert eventually(lambda: replica(latest) is State.WAITS)

    assert State.DOWN is replica(latest.model_copy(update={"rollout": "pinned"}))


class Health(BaseHTTPRequestHandler):
    """Airflow's API server: first it starts up, then it answers."""

    answers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.answers.append(503 if len(self.answers) < 2 else 200)
        self.send_response(self.answers[-1])
        self.end_headers()
        self.wfile.write(b'{"metadatabase": {"status": "healthy"}}')

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - its name in http.server
        """Say nothing."""


def test_the_scheduler_is_started_when_the_api_server_answers_and_not_earlier(latest: StackSettings) -> None:
    """A task that runs earlier fails with an empty log."""
    (line,) = (entry.command for entry in entries(latest) if entry.name == "airflow-scheduler")
    wait, _, scheduler = line.partition(" && ")
    assert scheduler.startswith("exec airflow scheduler")

    waiting = subprocess.Popen(["/bin/sh", "-c", f"exec {wait}"], env=stack_environment(latest), stdout=subprocess.PIPE)
    with waiting, HTTPServer(("127.0.0.1", latest.airflow_port), Health) as server:
        for expected in (503, 503, 200):
            assert waiting.poll() is None
            server.handle_request()
            assert expected == Health.answers[-1]
        assert 0 == waiting.wait(timeout=10)
