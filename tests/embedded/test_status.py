"""The text of `make status` when a process is down."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from embedded.environment import supervisor_environment
from embedded.health import State, check_components
from embedded.settings import StackSettings
from embedded.status import status_lines
from embedded.supervision import process_states
from embedded.supervision.process_states import ProcessState, SupervisorState
from tests.embedded.conftest import Start, quiet_ports

IDLE = "print('ready', flush=True); import time; time.sleep(60)"
NAMES = ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer", "mlflow", "replica-digits-1")


def running() -> dict[str, object]:
    return {"pid": os.getpid(), "since": datetime.now(UTC) - timedelta(minutes=5)}


def restarting() -> dict[str, object]:
    now = datetime.now(UTC)
    next_start = now + timedelta(seconds=30)
    return {"next_start": next_start, "ends": 4, "failures": 4, "last_end": "exit code 1", "ended": now}


@pytest.fixture
def quiet(settings: StackSettings) -> StackSettings:
    return quiet_ports(settings)


def supervised(start: Start, settings: StackSettings, **others: dict[str, object]) -> None:
    """The file of a running supervisor: all processes run, except those in `others`."""
    process = start(IDLE, settings.var, ("embedded", "supervise"), **supervisor_environment(settings))
    states = [ProcessState(name=name, **others.get(name.replace("-", "_"), running())) for name in NAMES]
    process_states.write(settings, SupervisorState(supervisor=process.pid, processes=tuple(states)))


def test_a_restarting_process_is_shown_with_its_exit_code_and_the_next_command(
    quiet: StackSettings, start: Start
) -> None:
    supervised(start, quiet, mlflow=restarting())

    text = status_lines(quiet)

    (line,) = (line for line in text if line.startswith("DOWN   MLflow "))
    assert "restarting in " in line
    assert "; ended 4 times, the last time " in line
    assert line.endswith(" ago: exit code 1")
    (advice,) = (line for line in text if line.startswith("MLflow will be started again"))
    assert f"`tail -n 30 '{quiet.logs}/mlflow.log'`" in advice
    assert f"To wait until everything answers: `UNDERSTUDY_VAR='{quiet.var}' make up`." == text[-1]


def test_a_process_that_runs_and_does_not_answer_is_shown_with_its_age(quiet: StackSettings, start: Start) -> None:
    supervised(start, quiet)

    text = status_lines(quiet)

    (line,) = (line for line in text if line.startswith("DOWN   MLflow "))
    assert line.endswith(f"process {os.getpid()} has run for 5 min")
    assert any(line.startswith("MLflow runs, and does not answer yet.") for line in text)


def test_without_the_api_server_the_state_of_other_airflow_processes_is_unknown(
    quiet: StackSettings, start: Start
) -> None:
    supervised(start, quiet, airflow_api=restarting(), airflow_triggerer=restarting())

    text = status_lines(quiet)

    assert ["Airflow", "Airflow triggerer"] == [line.split(" will ")[0] for line in text if " will be started " in line]
    unknown = [line for line in text if line.startswith("? ")]
    assert ["Airflow scheduler", "Airflow dag processor"] == [line[7:30].strip() for line in unknown]
    assert all(line.endswith("  not known while Airflow's API server does not answer") for line in unknown)


def test_without_a_supervisor_the_text_says_that_nothing_is_restarted(quiet: StackSettings, start: Start) -> None:
    (port,) = quiet.serving_ports
    listen = f"import socket; server = socket.create_server(('127.0.0.1', {port})); {IDLE}"
    start(listen, quiet.var)

    text = "\n".join(status_lines(quiet))

    assert "The supervisor has ended. Running processes go on, but a process that ends is not started again." in text
    assert "make up`" in text


def test_a_stack_that_is_not_up_is_shown_with_the_command_that_starts_it(quiet: StackSettings) -> None:
    """A file from before a crash or a reboot is ignored."""
    process_states.write(
        quiet, SupervisorState(supervisor=os.getpid(), processes=(ProcessState(name="mlflow", **restarting()),))
    )

    text = status_lines(quiet)

    assert not [line for line in text if "restarting" in line]
    assert f"The stack is not up. To start it: `UNDERSTUDY_VAR='{quiet.var}' make up`." == text[-1]


def test_a_component_whose_process_waits_for_its_restart_is_down(quiet: StackSettings, start: Start) -> None:
    """Airflow's API server goes on saying that its scheduler is healthy until a heartbeat is missing."""
    (port,) = quiet.serving_ports
    start(f"import socket; server = socket.create_server(('127.0.0.1', {port})); {IDLE}", None)
    assert State.UP is check_components(quiet)[-1].state

    supervised(start, quiet, replica_digits_1=restarting())

    assert State.DOWN is check_components(quiet)[-1].state


def test_each_replica_of_each_model_has_a_line(quiet: StackSettings) -> None:
    two = quiet.with_models(["digits", "a_model_with_a_very_long_name"])

    lines = [line for line in status_lines(two) if "Replica" in line]

    assert [f"DOWN   {f'Replica 1 of {fleet.model}':42}  {fleet.addresses[0]}" for fleet in two.fleets] == lines
