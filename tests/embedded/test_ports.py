import dataclasses
from pathlib import Path

import pytest
from typer.testing import CliRunner

from embedded import ports
from embedded.__main__ import app
from embedded.errors import PortTakenError
from embedded.settings import StackSettings
from embedded.supervision import processes
from tests.embedded.conftest import Start
from tests.ports import free_port


def test_free_ports_pass() -> None:
    ports.require_free([ports.PortUse(free_port(), "a server", "A_PORT")])


def test_a_taken_port_is_named_with_its_purpose_and_the_variable_that_moves_it(taken_port: int) -> None:
    with pytest.raises(PortTakenError) as refused:
        ports.require_free([ports.PortUse(taken_port, "MLflow's web UI and API", "UNDERSTUDY_MLFLOW_PORT")])

    assert f"port {taken_port} for MLflow's web UI and API is taken" in str(refused.value)
    assert "set UNDERSTUDY_MLFLOW_PORT" in str(refused.value)


def test_a_port_of_another_stack_is_reported_with_the_command_that_ends_it(start: Start, tmp_path: Path) -> None:
    listen = "import socket, time; server = socket.create_server(('127.0.0.1', 0))"
    other = start(f"{listen}; print('ready'); print(server.getsockname()[1], flush=True); time.sleep(60)", tmp_path)
    assert other.stdout is not None
    port = int(other.stdout.readline())

    with pytest.raises(PortTakenError) as refused:
        ports.require_free([ports.PortUse(port, "gRPC of replica 1", "UNDERSTUDY_SERVING_PORTS")])

    assert f"the stack in {tmp_path} is up and has the ports {port} (gRPC of replica 1)" in str(refused.value)
    assert f"UNDERSTUDY_VAR={tmp_path} make down" in str(refused.value)
    assert "another program" not in str(refused.value)


def test_one_port_for_two_purposes_is_refused() -> None:
    use = ports.PortUse(free_port(), "one", "A_PORT")

    with pytest.raises(PortTakenError, match=r"configured for one and for two\. Change B_PORT"):
        ports.require_free([use, dataclasses.replace(use, purpose="two", variable="B_PORT")])


def test_the_rest_port_of_each_replica_must_be_free_too(settings: StackSettings) -> None:
    found = [(use.port, use.purpose) for use in ports.of_stack(settings) if "replica" in use.purpose]

    assert [
        (8500, "gRPC of replica 1 of digits"),
        (8510, "gRPC of replica 2 of digits"),
        (8501, "REST of replica 1 of digits"),
        (8511, "REST of replica 2 of digits"),
    ] == found


def test_a_grpc_port_next_to_another_is_refused_because_rest_needs_it(settings: StackSettings) -> None:
    close = settings.model_copy(update={"serving_ports": (free_port(),)})
    close = close.model_copy(update={"serving_ports": (close.serving_ports[0], close.serving_ports[0] + 1)})
    close = close.with_models(["digits"])
    purposes = r"is configured for gRPC of replica 2 of digits and for REST of replica 1 of digits\. Change"

    with pytest.raises(PortTakenError, match=purposes):
        ports.require_free(ports.of_stack(close))


def test_a_taken_port_of_another_model_is_named_with_the_variable_it_is_derived_from(
    settings: StackSettings, taken_port: int
) -> None:
    two = settings.model_copy(update={"serving_ports": (taken_port - 20,)}).with_models(["digits", "pets"])
    wanted = [use for use in ports.of_stack(two) if use.port == taken_port]

    with pytest.raises(PortTakenError) as refused:
        ports.require_free(wanted)

    assert f"port {taken_port} for gRPC of replica 1 of pets is taken by another program" in str(refused.value)
    assert "set UNDERSTUDY_SERVING_PORTS, from which the ports of pets are derived" in str(refused.value)


def test_up_starts_nothing_when_a_port_is_taken(settings: StackSettings, taken_port: int) -> None:
    environment = {
        "UNDERSTUDY_VAR": str(settings.var),
        "UNDERSTUDY_AIRFLOW_PORT": str(taken_port),
        "UNDERSTUDY_MLFLOW_PORT": str(free_port()),
        "UNDERSTUDY_SERVING_PORTS": str(free_port()),
    }

    result = CliRunner().invoke(app, ["up"], env=environment)

    assert result.exit_code == 1
    assert "UNDERSTUDY_AIRFLOW_PORT" in result.stderr
    assert processes.members(settings.var) == []
    assert list(settings.bucket.iterdir()) == []
