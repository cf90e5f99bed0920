"""Check before the start that the ports of a stack are free. A server without its port says so only in its log."""

import shlex
import socket
from dataclasses import dataclass

from embedded.errors import PortTakenError
from embedded.local_fleet import LocalFleet
from embedded.settings import StackSettings
from embedded.supervision import processes


@dataclass(frozen=True)
class PortUse:
    """A port, what it is for, and the environment variable that changes it."""

    port: int
    purpose: str
    variable: str


def of_stack(settings: StackSettings) -> list[PortUse]:
    """Every port that the stack listens on."""
    return [
        PortUse(settings.airflow_port, "Airflow's web UI and API", "UNDERSTUDY_AIRFLOW_PORT"),
        PortUse(settings.mlflow_port, "MLflow's web UI and API", "UNDERSTUDY_MLFLOW_PORT"),
        PortUse(settings.gateway_port, "the gateway", "UNDERSTUDY_GATEWAY_PORT"),
        *(use for fleet in settings.fleets for use in _of_fleet(fleet, settings.serving_ports)),
    ]


def _of_fleet(fleet: LocalFleet, serving_ports: tuple[int, ...]) -> list[PortUse]:
    # A port of another model than the first cannot be set by itself.
    derived = "" if fleet.ports == serving_ports else f", from which the ports of {fleet.model} are derived"
    rest = ". REST has the port after that of gRPC"
    return [
        *(
            PortUse(port, f"gRPC of replica {number} of {fleet.model}", f"UNDERSTUDY_SERVING_PORTS{derived}")
            for number, port in enumerate(fleet.ports, start=1)
        ),
        *(
            PortUse(port, f"REST of replica {number} of {fleet.model}", f"UNDERSTUDY_SERVING_PORTS{derived}{rest}")
            for number, port in enumerate(fleet.rest_ports, start=1)
        ),
    ]


def require_free(wanted: list[PortUse]) -> None:
    """Check that each port is free on 127.0.0.1, and used for one purpose only.

    Raises:
        PortTakenError: names every port that is not free, what it is for, and the variable that changes it.
    """
    problems = []
    taken: list[PortUse] = []
    seen: dict[int, PortUse] = {}
    for use in wanted:
        if other := seen.get(use.port):
            problems.append(
                f"port {use.port} is configured for {other.purpose} and for {use.purpose}. Change {use.variable}"
            )
        elif _taken(use.port):
            taken.append(use)
        seen.setdefault(use.port, use)
    if taken:
        problems += _taken_lines(taken, processes.listening_ports())
    if problems:
        raise PortTakenError("\n".join(problems))


def _taken_lines(taken: list[PortUse], stacks: dict[int, str]) -> list[str]:
    """One line for each port that another program has, and one for each other stack that is up."""
    lines = [
        f"port {use.port} for {use.purpose} is taken by another program; end that, or set {use.variable}"
        for use in taken
        if use.port not in stacks
    ]
    for stack in sorted({stacks[use.port] for use in taken if use.port in stacks}):
        uses = [use for use in taken if stacks.get(use.port) == stack]
        numbers = ", ".join(f"{use.port} ({use.purpose})" for use in uses)
        variables = ", ".join(dict.fromkeys(use.variable for use in uses))
        lines.append(
            f"the stack in {stack} is up and has the ports {numbers}; end it with "
            f"`UNDERSTUDY_VAR={shlex.quote(stack)} make down`, or set {variables}"
        )
    return lines


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port counts as free although its last connection was closed only just now.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
