"""The fleet of a model for people and for programs: its values, the replicas that exist now, and its records."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.context import ModelContext
from pipeline.fleets.changes import changed_fields, described, written
from pipeline.fleets.fleet_records import FleetRecord
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.inspection.history import visible
from serving.errors import DiscoveryError
from serving.fleet.fleet import Group as ReplicaGroup


def fleet_table(context: ModelContext, records: list[FleetRecord]) -> Group:
    """The fleet for people; `records` are all of the model, the oldest first."""
    fleet = context.fleet
    values = Table("setting", "value", title=f"The fleet of {context.model}: {_origin(context)}")
    for name, value in described(fleet).items():
        if name != "replicas":
            values.add_row(name.replace("_", " "), Text(visible(value)))
    replicas = Table("group", "source", "at least", "replicas now")
    for group in fleet.connect_with(context.settings).groups:
        name = f"{group.name} (first ring)" if group.name == fleet.first_ring else group.name
        replicas.add_row(name, group.source.uri, str(group.minimum), Text(visible(_now(group))))
    flags = [f"the servers of {which} are started with {flag}" for which, flag in _source_flags(context).items()]
    lines = [_line(record, before.fleet if before else None) for before, record in _pairs(records)]
    return Group(values, replicas, *(Text(visible(line)) for line in flags + lines), *map(Text, context.known.remarks))


def fleet_as_json(context: ModelContext, records: list[FleetRecord]) -> dict[str, Any]:
    """The same for programs; moments are ISO 8601 in UTC."""
    record = context.known.record
    return {
        "model": context.model,
        "record": record.number if record else None,
        "fleet": context.fleet.model_dump(mode="json"),
        "replicas": {group.name: _now(group) for group in context.fleet.connect_with(context.settings).groups},
        "source_flags": {
            "first_ring": context.source_flag(first_ring=True) if context.fleet.first_ring is not None else None,
            "others": context.source_flag(first_ring=False),
        },
        "records": [each.model_dump(mode="json") for each in records],
        "remarks": list(context.known.remarks),
    }


def _source_flags(context: ModelContext) -> dict[str, str]:
    """The flag that says what servers poll, by which servers these are."""
    others = context.source_flag(first_ring=False)
    if context.fleet.first_ring is None:
        return {"this fleet": others}
    return {"the first ring": context.source_flag(first_ring=True), "all other groups": others}


def _origin(context: ModelContext) -> str:
    record = context.known.record
    if record is None:
        return "no record yet, from the environment"
    return f"record {record.number}"


def _now(group: ReplicaGroup) -> str:
    try:
        addresses = group.source.addresses()
    except DiscoveryError as error:
        return f"no answer: {error}"
    listed = ", ".join(addresses) or "none"
    return listed if len(addresses) >= group.minimum else f"{listed}. Too few. {group.source.too_few(len(addresses))}"


def _pairs(records: list[FleetRecord]) -> list[tuple[FleetRecord | None, FleetRecord]]:
    """Every record with the one before it, the newest first."""
    return list(zip([None, *records[:-1]], records, strict=True))[::-1]


def _line(record: FleetRecord, before: FleetSpec | None) -> str:
    changes = changed_fields(before, record.fleet) if before else {}
    listed = "; ".join(f"{name.replace('_', ' ')}: {old} -> {new}" for name, (old, new) in changes.items())
    return f"record {record.number}, {written(record.at, record.actor, record.reason)}" + (
        f" ({listed})" if listed else ""
    )
