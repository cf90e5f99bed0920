"""Write the first fleet record of a model, and the config that its servers read before the first release."""

from pipeline.context import ModelContext, make_model_context
from pipeline.errors import BadInputError
from pipeline.fleets.changes import FleetChange, changed_fields, written
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.fleets.known_fleet import fleet_of_environment, named_by_environment, names_replicas
from pipeline.inspection.known_models import require_known
from pipeline.inspection.shared_replicas import require_own_replicas
from pipeline.journal.history import History
from pipeline.settings import Settings
from pipeline.storage.opening import make_bucket

REASON = "the first record, by `understudy init`"


def init(context: ModelContext, change: FleetChange) -> tuple[FleetRecord, History]:
    """Write both where they do not exist yet; the fleet record that counts, and the history.

    The fleet is what the environment and `change` say. May be repeated, also by two processes at once.

    Raises:
        BadInputError: there is no such model; a value cannot be used; a replica belongs to another model's fleet; or
            the fleet is recorded already, with other values than those that are given. Nothing was changed.
        StorageError: the bucket refused.
    """
    require_known(context)
    settings = context.settings
    wanted = change.applied(fleet_of_environment(settings))
    make_bucket(settings.root)
    records = FleetRecords(context.bucket, context.model)
    record = records.newest()
    if record is None:
        if change.replicas is None and not names_replicas(settings):
            raise BadInputError(
                f"which replicas {context.model} has is not known. Give --replicas host:port,host:port, or another "
                f"source. Nothing was recorded"
            )
        require_own_replicas(context, wanted)
        known = context.known_as(wanted)
        # A bucket that is used with the other roll-out is refused before a record says so.
        make_model_context(settings, model=context.model, known=known).rollout.require_this_rollout()
        first = FleetRecord(number=1, at=context.clock.now(), actor=settings.actor, reason=REASON, fleet=wanted)
        record = first if records.create(first) else records.newest()
    assert record is not None, "create returned False, so another process has written one"
    _require_same(record, _given(settings, change, record.fleet), context)
    now = make_model_context(settings, model=context.model)
    return record, now.rollout.settle(first=True)


def _given(settings: Settings, change: FleetChange, recorded: FleetSpec) -> FleetSpec:
    """The recorded fleet with the values that the environment and the options name; an option counts more."""
    named = named_by_environment(settings, recorded)
    if change.replicas is not None:
        named = named.model_copy(update={"first_ring": recorded.first_ring})
    return change.applied(named)


def _require_same(record: FleetRecord, wanted: FleetSpec, context: ModelContext) -> None:
    differ = changed_fields(record.fleet, wanted)
    if not differ:
        return
    listed = "; ".join(f"{name} {before}, not {after}" for name, (before, after) in differ.items())
    raise BadInputError(
        f"the fleet of {context.model} is recorded already (record {record.number}, "
        f"{written(record.at, record.actor, record.reason)}), with other values: {listed}. Nothing was changed. To "
        f"change it: `understudy fleet set --model {context.model} --reason why`, with the options that differ"
    )
