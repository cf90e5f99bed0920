"""Servers that a person names on the command line, instead of the fleet of a model."""

from dataclasses import dataclass

from pipeline.errors import BadInputError
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.fleets.known_fleet import KnownFleet, fleet_of_environment
from pipeline.settings import Settings
from serving.fleet.fleet import Fleet
from serving.replica import STABLE


@dataclass(frozen=True, kw_only=True)
class NamedServers:
    """Where to ask, and for which version.

    Attributes:
        fleet: the servers.
        version: exactly this one; None for the one that serves.
        label: the label of the version that serves; None if the servers have no labels.
    """

    fleet: Fleet
    version: int | None
    label: str | None


def named_servers(settings: Settings, source: str, *, version: int | None) -> NamedServers:
    """Servers by the text of their source, with the TLS files and the roll-out of the environment.

    Raises:
        BadInputError: the text is malformed, or a file of the environment cannot be read.
    """
    named = settings.model_copy(update={"replicas": source, "expected_replicas": 1})
    return _named(fleet_of_environment(named, replicas_named_by="--server"), settings, version=version)


def servers_of(known: KnownFleet, settings: Settings, *, version: int | None) -> NamedServers:
    """All servers of the fleet of a model.

    Raises:
        BadInputError: which servers the model has is not known.
    """
    if not known.fleet.groups:
        raise BadInputError(f"which servers to ask is not known: {known.problem}. Name them with --server")
    return _named(known.fleet, settings, version=version)


def _named(fleet: FleetSpec, settings: Settings, *, version: int | None) -> NamedServers:
    label = None if version is not None or fleet.rollout == "latest" else STABLE
    return NamedServers(fleet=fleet.connect_with(settings), version=version, label=label)
