"""Are the ports free? Asked before anything starts, because a server that finds out by itself says so in a log."""

import shlex
import socket
from dataclasses import dataclass

from embedded import processes
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
        *(
            Use(port, f"REST of replica {number}", "UNDERSTUDY_SERVING_PORTS (REST has the port after that of gRPC)")
            for number, port in enumerate(settings.rest_ports, start=1)
        ),
    ]


def check(wanted: list[Use]) -> None:
    """Nobody listens on any of these ports, and none is named twice.

    Raises:
        PortTakenError: names every port that is not free, what it is for, and the variable that changes it.
    """
    problems = []
    taken: list[Use] = []
    seen: dict[int, Use] = {}
    for use in wanted:
        if other := seen.get(use.port):
            problems.append(
                f"port {use.port} is configured for {other.purpose} and for {use.purpose}. Change {use.variable}"
            )
        elif _taken(use.port):
            taken.append(use)
        seen.setdefault(use.port, use)
    if taken:
        problems += _told(taken, processes.listening())
    if problems:
        raise PortTakenError("\n".join(problems))


def _told(taken: list[Use], ours: dict[int, str]) -> list[str]:
    """One line for each port that a stranger has, and one for each stack of ours that is up."""
    told = [
        f"port {use.port} for {use.purpose} is taken by another program; end that, or set {use.variable}"
        for use in taken
        if use.port not in ours
    ]
    for stack in sorted({ours[use.port] for use in taken if use.port in ours}):
        uses = [use for use in taken if ours.get(use.port) == stack]
        numbers = ", ".join(f"{use.port} ({use.purpose})" for use in uses)
        variables = ", ".join(dict.fromkeys(use.variable for use in uses))
        told.append(
            f"the stack in {stack} is up and has the ports {numbers}; end it with "
            f"`UNDERSTUDY_VAR={shlex.quote(stack)} make down`, or set {variables}"
        )
    return told


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connection is only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
