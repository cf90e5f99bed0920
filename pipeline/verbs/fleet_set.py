"""Change the fleet of a model: a new fleet record, with who, when and why."""

import logging
from dataclasses import dataclass

from pipeline.context import ModelContext, make_model_context
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.fleets.changes import FleetChange, changed_fields, require_same_rollout
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec, ReplicaGroup
from pipeline.inspection.known_models import require_known
from pipeline.inspection.moved_servers import servers_to_move
from pipeline.inspection.shared_replicas import require_own_replicas
from pipeline.journal.history import History
from pipeline.rules import reconcile as reconcile_rules
from pipeline.validation import require_reason

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FleetSet:
    """The result of `fleet set`.

    Attributes:
        record: the record that counts now.
        changed: the fields that have changed, with their values before and after.
        to_do: what a person must do with servers, as sentences.
    """

    record: FleetRecord
    changed: dict[str, tuple[str, str]]
    to_do: tuple[str, ...] = ()


def fleet_set(context: ModelContext, change: FleetChange, *, reason: str) -> FleetSet:
    """Write a record with the change; nothing is written if it changes nothing.

    If another person writes a record at the same time, the change is applied to theirs. Verbs that run keep the fleet
    that they have read.

    Raises:
        BadInputError: no reason, or no record yet; a value cannot be used; the change is not safe while a version
            serves, or while a candidate is in the first ring; or a replica belongs to another model's fleet. Nothing
            was changed.
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
            now = make_model_context(context.settings, model=context.model)
            now.rollout.settle(first=True)
            return FleetSet(record, changed, tuple(servers_to_move(now, before.fleet, wanted)))


def _require_safe(context: ModelContext, before: FleetSpec, wanted: FleetSpec) -> None:
    history = context.journal.read()
    if history.state.candidate is not None and _ring_of(before) != _ring_of(wanted):
        raise BadInputError(_exposed(history, context.model))
    if history.seq:
        require_same_rollout(before, wanted, serving=history.state.serving)
    if wanted.groups != before.groups:
        require_own_replicas(context, wanted)
        known = context.known_as(wanted)
        try:
            make_model_context(context.settings, model=context.model, known=known).replicas.require_own_fleet()
        except CouldNotTellError as error:
            # A laptop may not resolve the names of the cluster. Every verb checks its replicas again.
            log.warning("the replicas were not asked what they serve: %s", error)


def _ring_of(fleet: FleetSpec) -> tuple[str | None, ReplicaGroup | None]:
    return fleet.first_ring, fleet.groups.get(fleet.first_ring or "")


def _exposed(history: History, model: str) -> str:
    """Why the first ring cannot change now: whoever proves the candidate knows the rings as they were."""
    exposed = reconcile_rules.candidate_of_run(history)
    run_key = exposed.run_key if exposed else "its run"
    return (
        f"v{history.state.candidate} of {run_key} is being tested, so the first ring cannot change now. Nothing was "
        f"changed. When `understudy status --model {model}` shows that the test has ended, repeat "
        f"this command; if the run has stopped, remove the candidate first: `understudy withdraw --model {model} --run "
        f"{run_key}`"
    )
