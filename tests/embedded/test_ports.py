import dataclasses
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from embedded import ports, processes
from embedded.__main__ import app
from embedded.errors import PortTakenError
from embedded.settings import StackSettings


def test_free_ports_pass(free_port: Callable[[], int]) -> None:
    ports.check([ports.Use(free_port(), "a server", "A_PORT")])


def test_a_taken_port_is_named_with_its_purpose_and_the_variable_that_moves_it(taken_port: int) -> None:
    with pytest.raises(PortTakenError) as refused:
        ports.check([ports.Use(taken_port, "MLflow's web UI and API", "UNDERSTUDY_MLFLOW_PORT")])

    assert f"port {taken_port} for MLflow's web UI and API is taken" in str(refused.value)
    assert "set UNDERSTUDY_MLFLOW_PORT" in str(refused.value)


def test_one_port_for_two_purposes_is_refused(free_port: Callable[[], int]) -> None:
    use = ports.Use(free_port(), "one", "A_PORT")

    with pytest.raises(PortTakenError, match="meant for one and for two; change B_PORT"):
        ports.check([use, dataclasses.replace(use, purpose="two", variable="B_PORT")])


def test_up_starts_nothing_when_a_port_is_taken(
    settings: StackSettings, taken_port: int, free_port: Callable[[], int]
) -> None:
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
