"""What `make status` says when a process is away."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from embedded import run_state
from embedded.environment import stack_environment
from embedded.health import State, look
from embedded.run_state import ProcessState, RunState
from embedded.settings import StackSettings
from embedded.status import lines
from tests.embedded.conftest import Start
from tests.ports import free_port

IDLE = "print('ready', flush=True); import time; time.sleep(60)"
NAMES = ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer", "mlflow", "replica-1")


def runs() -> dict[str, object]:
    return {"pid": os.getpid(), "since": datetime.now(UTC) - timedelta(minutes=5)}


def away() -> dict[str, object]:
    now = datetime.now(UTC)
    next_start = now + timedelta(seconds=30)
    return {"next_start": next_start, "ends": 4, "failures": 4, "last_end": "exit code 1", "ended": now}


@pytest.fixture
def quiet(settings: StackSettings) -> StackSettings:
    ports = {"airflow_port": free_port(), "mlflow_port": free_port(), "serving_ports": (free_port(),)}
    return settings.model_copy(update=ports)


def supervised(start: Start, settings: StackSettings, **others: dict[str, object]) -> None:
    """The notes of a running supervisor: all processes run, except as said."""
    process = start(IDLE, settings.var, ("embedded", "supervise"), **stack_environment(settings))
    states = [ProcessState(name=name, **others.get(name.replace("-", "_"), runs())) for name in NAMES]
    run_state.write(settings, RunState(supervisor=process.pid, processes=tuple(states)))


def test_what_is_restarting_is_said_with_why_and_the_command(quiet: StackSettings, start: Start) -> None:
    supervised(start, quiet, mlflow=away())

    text = lines(quiet)

    (line,) = (line for line in text if line.startswith("DOWN   MLflow "))
    assert "restarting in " in line
    assert "; ended 4 times, the last time " in line
    assert line.endswith(" ago: exit code 1")
    (advice,) = (line for line in text if line.startswith("MLflow will be started again"))
    assert f"`tail -n 30 '{quiet.logs}/mlflow.log'`" in advice
    assert f"To wait until everything answers: `UNDERSTUDY_VAR='{quiet.var}' make up`." == text[-1]


def test_what_runs_and_does_not_answer_is_said_to_run(quiet: StackSettings, start: Start) -> None:
    supervised(start, quiet)

    text = lines(quiet)

    (line,) = (line for line in text if line.startswith("DOWN   MLflow "))
    assert line.endswith(f"process {os.getpid()} has run for 5 min")
    assert any(line.startswith("MLflow runs, and does not answer yet.") for line in text)


def test_only_the_api_server_is_explained_where_nothing_else_is_known(quiet: StackSettings, start: Start) -> None:
    supervised(start, quiet, airflow_api=away(), airflow_triggerer=away())

    text = lines(quiet)

    assert ["Airflow", "Airflow triggerer"] == [line.split(" will ")[0] for line in text if " will be started " in line]
    unknown = [line for line in text if line.startswith("? ")]
    assert ["Airflow scheduler", "Airflow dag processor"] == [line[7:29].strip() for line in unknown]
    assert all(line.endswith("  not known while Airflow's API server does not answer") for line in unknown)


def test_without_a_supervisor_it_is_said_that_nothing_is_started_again(quiet: StackSettings, start: Start) -> None:
    (port,) = quiet.serving_ports
    listen = f"import socket; server = socket.create_server(('127.0.0.1', {port})); {IDLE}"
    start(listen, quiet.var)

    text = "\n".join(lines(quiet))

    assert "The supervisor has ended. Running processes go on, but a process that ends is not started again." in text
    assert "make up`" in text


def test_of_a_stack_that_is_not_up_only_the_command_is_said(quiet: StackSettings) -> None:
    """Notes from before a crash or a reboot say nothing."""
    run_state.write(quiet, RunState(supervisor=os.getpid(), processes=(ProcessState(name="mlflow", **away()),)))

    text = lines(quiet)

    assert not [line for line in text if "restarting" in line]
    assert f"The stack is not up. To start it: `UNDERSTUDY_VAR='{quiet.var}' make up`." == text[-1]


def test_a_component_whose_process_waits_to_be_started_is_down(quiet: StackSettings, start: Start) -> None:
    """Airflow's API server goes on saying that its scheduler is healthy until a heartbeat is missing."""
    (port,) = quiet.serving_ports
    start(f"import socket; server = socket.create_server(('127.0.0.1', {port})); {IDLE}", None)
    assert State.UP is look(quiet)[-1].state

    supervised(start, quiet, replica_1=away())

    assert State.DOWN is look(quiet)[-1].state
