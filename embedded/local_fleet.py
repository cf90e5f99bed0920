"""The replicas of each model on this machine, and their ports: derived once for each model, then kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from embedded.errors import StackError

Ports = tuple[int, ...]

# Between the ports of one model and those of the next.
_STEP = 20
_HIGHEST = 65535


@dataclass(frozen=True)
class LocalFleet:
    """The replicas of one model. `ports` are their gRPC ports."""

    model: str
    ports: Ports

    @property
    def rest_ports(self) -> Ports:
        """The port after the gRPC port of each replica, as in the official image of TensorFlow Serving."""
        return rest_ports(self.ports)

    @property
    def addresses(self) -> tuple[str, ...]:
        """`host:port` of each replica, for gRPC."""
        return tuple(f"127.0.0.1:{port}" for port in self.ports)

    @property
    def rest_urls(self) -> tuple[str, ...]:
        return tuple(f"http://127.0.0.1:{port}" for port in self.rest_ports)

    @property
    def processes(self) -> tuple[str, ...]:
        """The name of each replica's process, and of its log file without `.log`: `replica-digits-1`."""
        return tuple(f"replica-{self.model}-{number}" for number, _ in enumerate(self.ports, start=1))


def rest_ports(ports: Ports) -> Ports:
    return tuple(port + 1 for port in ports)


def assign_ports(
    models: Iterable[str], *, first: Ports, kept: Mapping[str, Ports], others: Sequence[int]
) -> dict[str, Ports]:
    """The gRPC ports of these models, and of all that had ports before.

    The first model has the ports `first`, every other one as many at a distance. A model keeps its ports, also while it
    has no model file. Only if `first` has changed, all are derived anew, in the same order.

    Args:
        models: the models to serve.
        first: the ports of the first model.
        kept: the ports of each model so far, in the order in which they were assigned.
        others: ports that the stack uses for something else.

    Raises:
        StackError: there is no port left for a model.
    """
    moved = bool(kept) and next(iter(kept.values())) != first
    assigned = {} if moved else dict(kept)
    for model in dict.fromkeys([*kept, *models]):
        if model not in assigned:
            assigned[model] = _derived(model, first, assigned.values(), others) if assigned else first
    return assigned


def _derived(model: str, first: Ports, assigned: Iterable[Ports], others: Sequence[int]) -> Ports:
    """The next ports that nothing of the stack uses, neither for gRPC nor for REST."""
    used = {*others, *(port for ports in assigned for port in (*ports, *rest_ports(ports)))}
    for distance in range(_STEP, _HIGHEST - max(first), _STEP):
        ports = tuple(port + distance for port in first)
        if used.isdisjoint((*ports, *rest_ports(ports))):
            return ports
    raise StackError(
        f"no ports are left for the replicas of {model}: they are derived from UNDERSTUDY_SERVING_PORTS, in steps of "
        f"{_STEP} up to {_HIGHEST}. Set UNDERSTUDY_SERVING_PORTS to lower ports"
    )
