"""Which components of the stack are up: asks each over the network, as its users do."""

import socket
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from embedded.local_fleet import LocalFleet
from embedded.settings import StackSettings
from embedded.supervision import processes, supervisor
from pipeline import layout
from pipeline.tracking.pages import experiment_page, experiments_page

SERVER = "serving.model_server"
AIRFLOW_API = "airflow-api"
_BASE_PATH = "--model_base_path="


class State(StrEnum):
    """`WAITS`: a replica runs, but opens its port only when there is a first version to serve."""

    UP = "up"
    WAITS = "waits"
    DOWN = "DOWN"


@dataclass(frozen=True)
class Component:
    """A component and its state. `log` is the name of its process, and of its log file without `.log`."""

    name: str
    log: str
    address: str
    state: State


def airflow_answers(settings: StackSettings) -> bool:
    """Whether Airflow's API server answers; a task that starts before that fails."""
    return bool(_airflow(settings))


def mlflow_page(settings: StackSettings, model: str) -> str:
    """The address of a model's training runs in MLflow, or of the list of experiments before the first run."""
    experiments = f"{settings.mlflow_url}/api/2.0/mlflow/experiments/get-by-name?experiment_name={model}"
    found = _get_json(experiments).get("experiment")
    return (
        experiment_page(settings.mlflow_url, found["experiment_id"]) if found else experiments_page(settings.mlflow_url)
    )


def replicas_serve(settings: StackSettings) -> bool:
    """Whether any model is served: the bucket has a version of it, and all its replicas accept connections."""
    return any(
        bool(_versions(settings.bucket / layout.versions(fleet.model)))
        and all(_listens(address) for address in fleet.addresses)
        for fleet in settings.fleets
    )


def check_components(settings: StackSettings) -> list[Component]:
    """Every component in the order of `make status`. Never raises: one that does not answer is down.

    A component whose process waits for its restart is down too. Airflow's API server would still report it as healthy
    until a heartbeat is missing.
    """
    ended = {name for name, state in supervisor.states(settings).items() if state.next_start}
    return [replace(each, state=State.DOWN) if each.log in ended else each for each in _by_answers(settings)]


def _by_answers(settings: StackSettings) -> list[Component]:
    airflow = _airflow(settings)
    return [
        Component("Airflow", AIRFLOW_API, settings.airflow_url, _up(bool(airflow))),
        *(
            Component(f"Airflow {part.replace('_', ' ')}", log, "", _up(_healthy(airflow, part)))
            for part, log in (
                ("scheduler", "airflow-scheduler"),
                ("dag_processor", "airflow-dags"),
                ("triggerer", "airflow-triggerer"),
            )
        ),
        Component("MLflow", "mlflow", settings.mlflow_url, _up(_answers(f"{settings.mlflow_url}/health"))),
        # Whether it runs; whether a model answers through it is a matter of releases.
        Component("Gateway", "gateway", settings.gateway_url, _up(_answers(f"{settings.gateway_url}/healthz"))),
        *(replica for fleet in settings.fleets for replica in _replicas(settings, fleet)),
    ]


def _airflow(settings: StackSettings) -> dict[str, Any]:
    return _get_json(f"{settings.airflow_url}/api/v2/monitor/health")


def _up(answers: bool) -> State:
    return State.UP if answers else State.DOWN


def _replicas(settings: StackSettings, fleet: LocalFleet) -> list[Component]:
    return [
        Component(f"Replica {number} of {fleet.model}", process, address, _replica(settings, address))
        for number, (process, address) in enumerate(zip(fleet.processes, fleet.addresses, strict=True), start=1)
    ]


def _replica(settings: StackSettings, address: str) -> State:
    if _listens(address):
        return State.UP
    # With a config, which exists from the start, a server opens its port at once even if it has no version.
    folder = _base_path(settings, address) if settings.rollout == "latest" else None
    return State.DOWN if folder is None or _versions(folder) else State.WAITS


def _versions(folder: Path) -> frozenset[int]:
    return layout.version_numbers([path.name for path in folder.iterdir()] if folder.is_dir() else [])


def _base_path(settings: StackSettings, address: str) -> Path | None:
    """The folder that the process of a server polls; None if no process of the server runs, or it polls a config."""
    port = f"--port={address.rsplit(':', 1)[1]}"
    for arguments in processes.command_lines(settings.var):
        if {SERVER, port} <= set(arguments):
            folders = [Path(each.removeprefix(_BASE_PATH)) for each in arguments if each.startswith(_BASE_PATH)]
            return folders[0] if folders else None
    return None


def _healthy(health: dict[str, Any], part: str) -> bool:
    return bool(health.get(part, {}).get("status") == "healthy")


def _get_json(url: str) -> dict[str, Any]:
    try:
        answer = httpx.get(url, timeout=3, trust_env=False)
        return answer.json() if answer.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
