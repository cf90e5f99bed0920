"""What is not a difference: work that a verb, a replica or a person has yet to end, and what does no harm.

Findings in; sentences out.
"""

from pipeline.commands import with_model
from pipeline.inspection.differences import version_name
from pipeline.inspection.findings import Findings
from pipeline.inspection.first_ring import named, risk_without
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import rollback as rollback_rules
from pipeline.runs.run_key import is_rollback


def under_way(found: Findings) -> list[str]:
    """The moves of traffic and the loads that are not differences yet, and a candidate that waits for its promotion."""
    if found.bucket is None:
        return []
    history = found.bucket.history
    move = found.moving
    sentences = [
        *([_move(move, history, found)] if move else []),
        *_loads(found),
        _waiting(found),
    ]
    return [with_model(sentence, found.model) for sentence in sentences if sentence]


def notes(found: Findings) -> list[str]:
    """Facts that do no harm now: where the replicas come from, unused numbers, and the risk without a first ring."""
    if found.bucket is None:
        return [*found.fleet_remarks]
    risk = risk_without(found)
    unused = [
        with_model(
            f"v{claim.version} was claimed by {claim.run_key} and never published. This does no harm. To publish it, "
            f"run `understudy publish --model <model> --run {claim.run_key}`; or leave the number unused",
            found.model,
        )
        for claim in reconcile_rules.never_published(found.bucket.history, deadline=found.deadline)
    ]
    return [*found.fleet_remarks, *unused, *([with_model(risk, found.model)] if risk else [])]


def _move(move: Entry, history: History, found: Findings) -> str:
    """The promotion or the roll-back that a verb may be carrying out, with what to do if it is not."""
    since = f"since {move.at:%H:%M:%S} UTC"
    wait = f"at most {found.move_deadline.seconds:g} s"
    late = _late(found)
    if move.event is Event.PROMOTED:
        return (
            f"{move.run_key} is promoting v{move.version} {since}. The promotion is not confirmed yet{late}. Wait "
            f"until the run has ended, {wait}"
        )
    if not is_rollback(move.run_key):
        return (
            f"{_taking_back(move, history)} {since}{late}. Wait until the run has ended, {wait}. If it has stopped: in "
            f"Airflow, clear the task that stopped; or run `understudy reconcile --model <model>`"
        )
    left = rollback_rules.unfinished(history)
    return (
        f"{move.actor} is rolling back to v{move.version} ({move.run_key}) {since}{late}. Wait until the roll-back has "
        f"ended, {wait}{f'. If it has stopped: {left}' if left else ''}"
    )


def _taking_back(move: Entry, history: History) -> str:
    """Who takes a promotion back. `reconcile` also gives a model a new number, whoever has moved the traffic."""
    promoted_by = reconcile_rules.stopped_promotion(history)
    if promoted_by is None and move.event is Event.REISSUED:
        return f"{move.run_key} is moving traffic to v{move.version}, a new number of the same model,"
    promotion = "its promotion" if promoted_by in (None, move.run_key) else f"the promotion of {promoted_by}"
    return f"{move.run_key} is taking {promotion} back to v{move.version}"


def _loads(found: Findings) -> list[str]:
    """A sentence for each version that replicas have yet to load again."""
    loading: dict[tuple[int, int, bool], list[ReplicaFound]] = {}
    entries: dict[int, Entry] = {}
    for replica in found.replicas:
        expectation = found.expected_of(replica)
        serving = expectation.answering(expectation.history.state)
        for version, entry in expectation.loading.items():
            if _lacks(replica, version):
                entries[entry.seq] = entry
                loading.setdefault((version, entry.seq, version == serving), []).append(replica)
    return [
        _load(version, entries[seq], replicas, found, serving=serving)
        for (version, seq, serving), replicas in loading.items()
    ]


def _load(version: int, entry: Entry, replicas: list[ReplicaFound], found: Findings, *, serving: bool) -> str:
    deadline = found.move_deadline if serving else found.load_deadline
    return (
        f"{', '.join(map(named, replicas))} {'is' if len(replicas) == 1 else 'are'} loading v{version}, the "
        f"{'serving' if serving else 'previous'} version, since {entry.at:%H:%M:%S} UTC"
        f"{_late(found) if serving else ''}. Wait until it is loaded, at most {deadline.seconds:g} s"
    )


def _lacks(replica: ReplicaFound, version: int) -> bool:
    loaded_or_failed = any(each.version == version and (each.available or each.failed) for each in replica.versions)
    return not (replica.problem or replica.others or loaded_or_failed)


def _late(found: Findings) -> str:
    """Which replicas do not answer from the version that they should, as a sentence to append; empty if all do."""
    late = [replica for replica in found.replicas if _is_late(replica, found)]
    if not late:
        return ""
    have = "has" if len(late) == 1 else "have"
    answers = ", ".join(
        f"{named(each)} {'answers' if each.serving is None else 'still answers'} {version_name(each.serving)}"
        for each in late
    )
    return f". {len(late)} of {len(found.replicas)} replicas {have} not switched: {answers}"


def _is_late(replica: ReplicaFound, found: Findings) -> bool:
    if replica.problem or replica.others:
        return False
    expectation = found.expected_of(replica)
    return replica.serving != expectation.answering(expectation.history.state)


def _waiting(found: Findings) -> str | None:
    """The candidate that has passed its canary; None if there is none. A manual approval has no time limit."""
    assert found.bucket is not None
    history, passed_at = found.bucket.history, found.bucket.passed_at
    exposed = reconcile_rules.candidate_of_run(history)
    if exposed is None or passed_at is None:
        return None
    has_traffic = found.placement.answering(history.state, first_ring=True) == exposed.version
    traffic = ". It gets the traffic of the replicas that have loaded it" if has_traffic else ""
    return (
        f"v{exposed.version} of {exposed.run_key} has passed its canary and waits for its promotion since "
        f"{passed_at:%Y-%m-%d %H:%M:%S} UTC{traffic}. To remove it: `understudy withdraw --model <model> --run "
        f"{exposed.run_key}`"
    )
