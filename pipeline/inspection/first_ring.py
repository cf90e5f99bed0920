"""What `status` says about the first ring: where a candidate is, what comes next, which servers poll the wrong file.

Findings in; sentences out.
"""

from pipeline.fleets.fleet_spec import static_members
from pipeline.inspection.findings import Findings
from pipeline.journal.entries import Entry, Event
from pipeline.rollout.replicas import ReplicaFound


def named(replica: ReplicaFound) -> str:
    """The address of a replica, and whether it is in the first ring."""
    return f"{replica.address} (first ring)" if replica.first_ring else replica.address


def of_source(replica: ReplicaFound, found: Findings) -> str | None:
    """A sentence on a server that polls what the other ring should; None while nothing shows that.

    Only while a candidate is exposed to the first ring alone do the two configs differ.
    """
    assert found.bucket is not None, "what a replica should do is in the journal"
    history = found.bucket.history
    candidate = history.state.candidate
    if candidate is None or not history.state.first_ring_only or found.record_problem or not found.ring_is_known:
        return None
    exposed = history.of_version(candidate, Event.EXPOSED)
    begun = any(each.version == candidate for each in replica.versions)
    holds = any(each.version == candidate and not each.ended for each in replica.versions)
    if replica.first_ring and not begun and exposed and found.poll_deadline.has_passed(exposed):
        return (
            f"{replica.address} is in the first ring, and has not begun to load v{candidate}, which was exposed to it "
            f"at {exposed.at:%H:%M:%S} UTC. Its server does not read what the first ring should. Start it with "
            f"{found.source_flags[True]}. Until then no candidate can be proven"
        )
    expectation = found.expected_of(replica)
    wanted = {version for state in expectation.states for version in expectation.in_memory(state)}
    if not replica.first_ring and holds and candidate not in wanted:
        return (
            f"{replica.address} is not in the first ring, and has v{candidate}, a candidate for the first ring alone. "
            f"Its server reads what the first ring should. Start it with {found.source_flags[False]}. If it should be "
            f"in the first ring, name it in that group (`understudy fleet show --model <model>` shows the groups)"
        )
    return None


def being_tested(proving: Entry, found: Findings) -> str:
    """Where the candidate of an active run is, since when, whether users meet it, and what comes next."""
    assert found.bucket is not None, "the journal has named the candidate"
    state = found.bucket.history.state
    since = f"{proving.at:%Y-%m-%d %H:%M:%S} UTC"
    tested = f"v{proving.version} is being tested by {proving.run_key}"
    has_traffic = found.placement.answering(state, first_ring=True) == proving.version
    if state.first_ring_only:
        ring = ", ".join(replica.address for replica in found.replicas if replica.first_ring)
        traffic = ", and gets the traffic of these replicas" if has_traffic else ""
        return (
            f"{tested} in the first ring alone ({ring or 'no replica'}) since {since}{traffic}. When it has passed "
            f"there and was observed for {found.fleet.soak_seconds:g} s, the other replicas load it"
        )
    where = " on every replica, after the first ring," if proving.event is Event.EXPOSED_EVERYWHERE else ""
    traffic = ", and gets the traffic of the replicas that have loaded it" if has_traffic else ""
    return f"{tested}{where} since {since}{traffic}"


def risk_without(found: Findings) -> str | None:
    """What a fleet without a first ring risks, and how to get one; None if it has one, or one replica at most."""
    count = len(found.replicas)
    if found.fleet.first_ring is not None or count < 2:
        return None
    risk = (
        f"the fleet has no first ring, so all {count} replicas load a candidate at once: one that ends or blocks its "
        f"server leaves users without an answer until it is taken back. To expose candidates to one replica before the "
        f"others: "
    )
    if found.replicas_of_environment:
        # A command with these replicas would make them those of the record.
        return f"{risk}see docs/fleets.md"
    command = "fleet set --model <model>" if found.fleet_record is not None else "init --model <model>"
    why = " --reason why" if found.fleet_record is not None else ""
    return f"{risk}`understudy {command} {_with_first_ring(found)}{why}`, then do what that command prints"


def _with_first_ring(found: Findings) -> str:
    """Options for the same replicas with a first ring. Where a source is no fixed list, a person must divide it."""
    groups = found.fleet.groups
    if len(groups) > 1:
        smallest = min(groups, key=lambda name: groups[name].minimum)
        return f"--first-ring {smallest}"
    addresses = [address for group in groups.values() for address in static_members(group)]
    if len(addresses) < 2:
        sources = "--replicas first=SOURCE --replicas rest=SOURCE --minimum first=1 --minimum rest=NUMBER"
        return f"{sources} --first-ring first"
    minimum = sum(group.minimum for group in groups.values()) - 1
    # Fewer than are listed may be enough, and then they still are.
    fewer = f" --minimum rest={max(1, minimum)}" if minimum != len(addresses) - 1 else ""
    return f"--replicas first={addresses[0]} --replicas rest={','.join(addresses[1:])}{fewer} --first-ring first"
