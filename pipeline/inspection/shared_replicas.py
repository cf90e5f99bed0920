"""Whether replicas are in the fleet of another model already. A fleet serves one model."""

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.errors import BadInputError
from pipeline.fleets.changes import static_addresses
from pipeline.fleets.fleet_records import FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec


def require_own_replicas(context: ModelContext, fleet: FleetSpec) -> None:
    """Refuse replicas that the fleet record of another model names.

    Raises:
        BadInputError: names the first such replica and its model. Nothing was changed.
        StorageError: a record cannot be read.
    """
    wanted = static_addresses(fleet)
    for model in context.bucket.names(layout.FLEETS):
        record = FleetRecords(context.bucket, model).newest() if model != context.model else None
        if record is not None and (shared := sorted(wanted & static_addresses(record.fleet))):
            raise BadInputError(
                f"{shared[0]} is a replica of {model} (fleet record {record.number}). A fleet serves one model, so "
                f"{context.model} needs servers of its own. Nothing was changed"
            )
