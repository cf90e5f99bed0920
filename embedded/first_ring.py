"""Which replicas of the stack are the first ring of their model, and which of them poll its config or base path.

The fleet record says it. `make up` records replica 1 as the first ring, and people may change that.
"""

from pathlib import Path

from embedded.errors import StackError
from embedded.local_fleet import LocalFleet
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.errors import UnderstudyError
from pipeline.fleets.fleet_records import FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec, static_members
from pipeline.storage.local import LocalBucket


def recorded_fleet(settings: StackSettings, model: str) -> FleetSpec | None:
    """The fleet of a model as its newest record says; None if there is no record yet.

    Raises:
        StackError: the record cannot be read.
    """
    try:
        record = FleetRecords(LocalBucket(settings.bucket), model).newest()
    except UnderstudyError as error:
        raise StackError(f"the fleet record of {model} cannot be read: {error}") from error
    return record.fleet if record else None


def members(recorded: FleetSpec | None) -> frozenset[str]:
    """The addresses of the replicas that are the first ring; none if the fleet has no first ring."""
    if recorded is None or recorded.first_ring is None:
        return frozenset()
    return frozenset(static_members(recorded.groups[recorded.first_ring]))


def polled(settings: StackSettings, fleet: LocalFleet) -> dict[str, Path]:
    """What each replica polls, by its address: a config, or in the latest roll-out a base path.

    If people have removed the first ring, replica 1 still polls what was made for it. That is kept up to date, and a
    ring that is recorded again works without a restart.

    Raises:
        StackError: the fleet record cannot be read.
    """
    recorded = recorded_fleet(settings, fleet.model)
    ring = members(recorded) or (fleet.addresses[:1] if recorded and recorded.ring_config else ())
    latest = settings.rollout == "latest"
    first = layout.first_ring_versions(fleet.model) if latest else layout.first_ring_config(fleet.model)
    rest = layout.versions(fleet.model) if latest else layout.config(fleet.model)
    return {address: settings.bucket / (first if address in ring else rest) for address in fleet.addresses}


def lines(settings: StackSettings) -> list[str]:
    """What the first ring of each model is, for the output of `make up`; a model without a ring is named too.

    Raises:
        StackError: a fleet record cannot be read.
    """
    return [_line(settings, fleet) for fleet in settings.fleets]


def _line(settings: StackSettings, fleet: LocalFleet) -> str:
    of_model = f" of {fleet.model}" if len(settings.fleets) > 1 else ""
    ring = members(recorded_fleet(settings, fleet.model))
    if ring:
        first = ", ".join(address for address in fleet.addresses if address in ring)
        return f"{first}{of_model}: loads a candidate before the others do"
    why = ": UNDERSTUDY_SERVING_PORTS has one port" if len(fleet.ports) == 1 else ""
    return f"none{of_model}{why}. A candidate that ends the servers that load it ends all of them"
