"""Are the ports free? Asked before anything starts, because a server that finds out by itself says so in a log."""

import socket
from dataclasses import dataclass

from embedded.errors import PortTakenError
from embedded.settings import StackSettings


@dataclass(frozen=True)
class Use:
    port: int
    purpose: str
    variable: str


def uses(settings: StackSettings) -> list[Use]:
    """Every port the stack listens on."""
    return [
        Use(settings.airflow_port, "Airflow's web UI and API", "UNDERSTUDY_AIRFLOW_PORT"),
        Use(settings.mlflow_port, "MLflow's web UI and API", "UNDERSTUDY_MLFLOW_PORT"),
        *(
            Use(port, f"gRPC of replica {number}", "UNDERSTUDY_SERVING_PORTS")
            for number, port in enumerate(settings.serving_ports, start=1)
        ),
    ]


def check(wanted: list[Use]) -> None:
    """Nobody listens on any of these ports, and none is named twice.

    Raises:
        PortTakenError: names every port that is not free, what it is for, and the variable that changes it.
    """
    problems = []
    seen: dict[int, Use] = {}
    for use in wanted:
        if other := seen.get(use.port):
            problems.append(
                f"port {use.port} is meant for {other.purpose} and for {use.purpose}; change {use.variable}"
            )
        elif _taken(use.port):
            problems.append(
                f"port {use.port} for {use.purpose} is taken by another program; end that, or set {use.variable}"
            )
        seen.setdefault(use.port, use)
    if problems:
        raise PortTakenError("\n".join(problems))


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connection is only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
