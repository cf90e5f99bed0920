"""Which servers must poll something else after a change of the first ring, as sentences for a person."""

from dataclasses import replace

from pipeline.context import ModelContext
from pipeline.fleets.fleet_spec import FleetSpec


def servers_to_move(context: ModelContext, before: FleetSpec | None, after: FleetSpec) -> list[str]:
    """What to do with the servers of each group that became the first ring, or is not any more.

    A server that is not moved yet serves the right version, because both configs are kept up to date.

    Args:
        context: the model, with whatever fleet.
        before: the fleet before the change; None if this is the first record.
        after: the fleet after the change.
    """
    was = before.groups.get(before.first_ring or "") if before else None
    now = after.groups.get(after.first_ring or "")
    if (was.replicas if was else None) == (now.replicas if now else None):
        return []
    sentences, changed = [], replace(context, known=context.known_as(after))
    if now is not None:
        sentences.append(
            f"start the servers of the first ring ({now.replicas}) with {changed.source_flag(first_ring=True)}. Until "
            f"then they serve as before, and no candidate can be proven"
        )
    if was is not None:
        early = ", but load each candidate before the others do" if now is not None else ""
        sentences.append(
            f"start the servers of the former first ring ({was.replicas}) with "
            f"{changed.source_flag(first_ring=False)}. What they read now is kept up to date: until then they serve as "
            f"before{early}"
        )
    return sentences
