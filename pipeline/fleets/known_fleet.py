"""Which fleet a verb works with: that of the newest record, or, for a bucket without one, that of the environment."""

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.deployment import Deployment
from pipeline.errors import BadInputError
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import MAIN, SYSTEM, FleetSpec, ReplicaGroup, TlsSpec, static_members
from pipeline.settings import Settings
from pipeline.storage.bucket import Bucket
from pipeline.validation import problems
from serving.fleet.sources import parse_source

log = logging.getLogger(__name__)

# The group of the replicas of the environment, where the first ring has the usual name.
_OTHERS = "others"


@dataclass(frozen=True)
class KnownFleet:
    """The fleet that a verb works with.

    Attributes:
        fleet: the fleet.
        record: the record that it comes from; None if it comes from the environment.
        remarks: what a person should know about it, as sentences.
        problem: why the record could not be read; empty if it could.
    """

    fleet: FleetSpec
    record: FleetRecord | None = None
    remarks: tuple[str, ...] = ()
    problem: str = ""

    @property
    def replicas_of_environment(self) -> bool:
        """Whether the environment names other replicas than the record, so that these count for this call."""
        return self.record is not None and self.fleet.groups != self.record.fleet.groups


def known_fleet(settings: Settings, bucket: Bucket, model: str) -> KnownFleet:
    """The fleet of the newest record, with the replicas of the environment if that names any.

    Raises:
        BadInputError: a setting is malformed.
        StorageError: the record cannot be read.
    """
    record = FleetRecords(bucket, model).newest()
    if record is None:
        return KnownFleet(fleet_of_environment(settings))
    fleet, remarks = record.fleet, list(_ignored(settings, record))
    if names_replicas(settings) and not _is_whole(group := _group_of_environment(settings), fleet):
        remarks.append(
            f"For this call the replicas are {group.replicas} (UNDERSTUDY_REPLICAS), instead of {fleet.replicas} of "
            f"fleet record {record.number}"
        )
        fleet = fleet.model_copy(update={"groups": _with_first_ring(group, fleet)})
    return KnownFleet(fleet, record, tuple(remarks))


def _is_whole(group: ReplicaGroup, fleet: FleetSpec) -> bool:
    """Whether the environment names the very replicas of the record, in whatever groups these are."""
    recorded = sorted(address for each in fleet.groups.values() for address in static_members(each))
    minimum = sum(each.minimum for each in fleet.groups.values())
    same_list = recorded == sorted(static_members(group)) and minimum == group.minimum
    return {MAIN: group} == fleet.groups or (bool(recorded) and same_list)


def _with_first_ring(group: ReplicaGroup, fleet: FleetSpec) -> dict[str, ReplicaGroup]:
    """The replicas of the environment in groups: those that the record lists in the first ring are in it.

    If none of them is, it is not known which replicas are the first ring, and no candidate is exposed.
    """
    ring = fleet.groups.get(fleet.first_ring or "")
    if ring is None:
        return {MAIN: group}
    inside = set(static_members(ring)) & set(static_members(group))
    beyond = [address for address in static_members(group) if address not in inside]
    if not inside or not beyond:
        return {MAIN: group}
    assert fleet.first_ring is not None, "the group has this name"
    return {
        fleet.first_ring: ReplicaGroup(replicas=",".join(sorted(inside)), minimum=len(inside)),
        _OTHERS if fleet.first_ring == MAIN else MAIN: ReplicaGroup(
            replicas=",".join(beyond), minimum=max(1, group.minimum - len(inside))
        ),
    }


def names_replicas(settings: Settings) -> bool:
    """Whether the environment says which replicas exist."""
    return "replicas" in settings.model_fields_set


def fleet_of_environment(settings: Settings, *, replicas_named_by: str = "UNDERSTUDY_REPLICAS") -> FleetSpec:
    """The fleet that the environment describes.

    Args:
        settings: of this process.
        replicas_named_by: the variable or the option that names the replicas, for messages.

    Raises:
        BadInputError: a setting is malformed.
    """
    deployment = {name: getattr(settings, name) for name in Deployment.model_fields}
    group = _group_of_environment(settings, named_by=replicas_named_by)
    return FleetSpec(**deployment, groups={MAIN: group}, tls=_tls_of_environment(settings))


def named_by_environment(settings: Settings, fleet: FleetSpec) -> FleetSpec:
    """A fleet with every value that the environment names, and that could differ.

    The very replicas of the fleet, in one list, are no other replicas. A list of others has no first ring.

    Raises:
        BadInputError: a setting is malformed.
    """
    named = {name: getattr(settings, name) for name in Deployment.model_fields if name in settings.model_fields_set}
    if names_replicas(settings) and not _is_whole(group := _group_of_environment(settings), fleet):
        named |= {"groups": {MAIN: group}, "first_ring": None}
    if settings.tls_ca is not None:
        named["tls"] = _tls_of_environment(settings)
    return fleet.model_copy(update=named)


def without_replicas(settings: Settings) -> FleetSpec:
    """The fleet that the environment describes; without replicas if it names none.

    For when the record cannot be read: the default addresses could belong to another model's fleet.

    Raises:
        BadInputError: a setting is malformed.
    """
    fleet = fleet_of_environment(settings)
    return fleet if names_replicas(settings) else fleet.model_copy(update={"groups": {}})


def read_authority(ca: str, *, source: str) -> str | None:
    """The content of a file of certificates; None for `system`.

    Args:
        ca: the path, or `system`.
        source: who names it, for messages.

    Raises:
        BadInputError: the file cannot be read.
    """
    if ca == SYSTEM:
        return None
    try:
        return Path(ca).read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"{source}: {ca} cannot be read as PEM: {error}") from error


def _group_of_environment(settings: Settings, *, named_by: str = "UNDERSTUDY_REPLICAS") -> ReplicaGroup:
    try:
        source = parse_source(settings.replicas)
    except ValueError as error:
        raise BadInputError(f"{named_by}: {error}") from error
    minimum = settings.expected_replicas or source.size
    if minimum is None:
        raise BadInputError(
            f"{named_by}: how many replicas {source.uri} should have at least is not known. Set "
            "UNDERSTUDY_EXPECTED_REPLICAS"
        )
    return ReplicaGroup(replicas=source.uri, minimum=minimum)


def _tls_of_environment(settings: Settings) -> TlsSpec | None:
    if settings.tls_ca is None:
        return None
    try:
        ca = read_authority(settings.tls_ca, source="UNDERSTUDY_TLS_CA")
        return TlsSpec(ca=ca, server_name=settings.tls_server_name)
    except ValidationError as error:
        raise BadInputError(f"UNDERSTUDY_TLS_CA: {problems(error)}") from error


def _ignored(settings: Settings, record: FleetRecord) -> list[str]:
    """A sentence for each setting that has no effect, because the record counts."""
    given = [name for name in ("expected_replicas", "tls_ca", "tls_server_name") if name in settings.model_fields_set]
    if names_replicas(settings):
        given = [name for name in given if name != "expected_replicas"]
    return [
        *(f"UNDERSTUDY_{name.upper()} is ignored: fleet record {record.number} counts" for name in given),
        *(
            f"UNDERSTUDY_{name.upper()}={getattr(settings, name)} is ignored: fleet record {record.number} says "
            f"{getattr(record.fleet, name)}"
            for name in Deployment.model_fields
            if name in settings.model_fields_set and getattr(settings, name) != getattr(record.fleet, name)
        ),
    ]
