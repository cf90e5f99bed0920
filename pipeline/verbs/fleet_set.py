"""Change the fleet of a model: a new fleet record, with who, when and why."""

import logging
from dataclasses import dataclass

from pipeline.context import ModelContext, make_model_context
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.fleets.changes import FleetChange, changed_fields, require_same_rollout
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.inspection.known_models import require_known
from pipeline.inspection.shared_replicas import require_own_replicas
from pipeline.validation import require_reason

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FleetSet:
    """The record that counts now, and the fields that have changed, with their values before and after."""

    record: FleetRecord
    changed: dict[str, tuple[str, str]]


def fleet_set(context: ModelContext, change: FleetChange, *, reason: str) -> FleetSet:
    """Write a record with the change; nothing is written if it changes nothing.

    If another person writes a record at the same time, the change is applied to theirs. Verbs that run keep the fleet
    that they have read.

    Raises:
        BadInputError: no reason, or no record yet; a value cannot be used; the change is not safe while a version
            serves; or a replica belongs to another model's fleet. Nothing was changed.
        StorageError: the bucket refused.
    """
    require_reason(reason, of="a change of the fleet")
    records = FleetRecords(context.bucket, context.model)
    while True:
        before = records.newest()
        if before is None:
            require_known(context)
            raise BadInputError(
                f"{context.model} has no fleet record yet, and uses the environment. Write the first one: `understudy "
                f"init --model {context.model}`"
            )
        wanted = change.applied(before.fleet)
        changed = changed_fields(before.fleet, wanted)
        if not changed:
            return FleetSet(before, {})
        _require_safe(context, before.fleet, wanted)
        record = FleetRecord(
            number=before.number + 1,
            at=max(context.clock.now(), before.at),
            actor=context.settings.actor,
            reason=reason,
            fleet=wanted,
        )
        if records.create(record):
            # Before the first release, another roll-out needs another empty config.
            make_model_context(context.settings, model=context.model).rollout.settle(first=True)
            return FleetSet(record, changed)


def _require_safe(context: ModelContext, before: FleetSpec, wanted: FleetSpec) -> None:
    history = context.journal.read()
    if history.entries:
        require_same_rollout(before, wanted, serving=history.state.serving)
    if wanted.groups != before.groups:
        require_own_replicas(context, wanted)
        known = context.known_as(wanted)
        try:
            make_model_context(context.settings, model=context.model, known=known).replicas.require_own_fleet()
        except CouldNotTellError as error:
            # A laptop may not resolve the names of the cluster. Every verb checks its replicas again.
            log.warning("the replicas were not asked what they serve: %s", error)
