"""Which servers must poll something else after a change of the first ring, as sentences for a person."""

from dataclasses import replace

from pipeline.context import ModelContext
from pipeline.fleets.fleet_spec import FleetSpec, static_members


def servers_to_move(context: ModelContext, before: FleetSpec | None, after: FleetSpec) -> list[str]:
    """What to do with the servers of each group that became the first ring, or is not any more.

    A server that is not moved yet serves the right version, because both configs are kept up to date.

    Args:
        context: the model, with whatever fleet.
        before: the fleet before the change; None if this is the first record.
        after: the fleet after the change.
    """
    was, now = _members(before), _members(after)
    sentences, changed = [], replace(context, known=context.known_as(after))
    if new := [each for each in now if each not in was]:
        sentences.append(
            f"start the servers of the first ring ({', '.join(new)}) with {changed.source_flag(first_ring=True)}. "
            f"Until then they serve as before, and no candidate can be proven"
        )
    if former := [each for each in was if each not in now]:
        early = ", but load each candidate before the others do: do this before the next release" if now else ""
        sentences.append(
            f"start the servers of the former first ring ({', '.join(former)}) with "
            f"{changed.source_flag(first_ring=False)}. What they read now is kept up to date: until then they serve as "
            f"before{early}"
        )
    return sentences


def _members(fleet: FleetSpec | None) -> list[str]:
    """The replicas of the first ring; the source, if that is no fixed list."""
    ring = fleet.groups.get(fleet.first_ring or "") if fleet else None
    return (static_members(ring) or [ring.replicas]) if ring else []
