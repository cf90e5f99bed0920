"""Who answers? One look at every component of the stack, from outside, as a user would find it."""

import socket
from dataclasses import dataclass
from typing import Any

import httpx

from embedded.settings import StackSettings


@dataclass(frozen=True)
class Component:
    """What one look saw. `log` names the process whose log file explains it."""

    name: str
    log: str
    address: str
    up: bool


def look(settings: StackSettings) -> list[Component]:
    """Every component, in the order a person reads them. Never raises: who does not answer is down."""
    airflow = _get_json(f"{settings.airflow_url}/api/v2/monitor/health")
    return [
        Component("Airflow", "airflow-api", settings.airflow_url, bool(airflow)),
        *(
            Component(f"Airflow {part.replace('_', ' ')}", log, "", _healthy(airflow, part))
            for part, log in (
                ("scheduler", "airflow-scheduler"),
                ("dag_processor", "airflow-dags"),
                ("triggerer", "airflow-triggerer"),
            )
        ),
        Component("MLflow", "mlflow", settings.mlflow_url, _answers(f"{settings.mlflow_url}/health")),
        *(
            Component(f"Replica {number}", f"replica-{number}", address, _listens(address))
            for number, address in enumerate(settings.replicas, start=1)
        ),
    ]


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
