"""Where journal, config, files, replicas and MLflow disagree: findings in; sentences out, each with what to do."""

from collections.abc import Mapping

from pipeline import layout
from pipeline.inspection.findings import BucketFound, Found
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rollout import config
from pipeline.rollout.other_models import not_of_this_fleet
from pipeline.rollout.placement import Placement
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import rollback as rollback_rules
from pipeline.rules.reconcile import Deadline
from pipeline.tracking.mirror import MlflowFound, wanted_aliases
from serving.version_names import parse_version


def differences(found: Found) -> list[str]:
    """Every difference, as a sentence; empty if everything agrees."""
    told = _of_fleet(found)
    if found.bucket is None:
        return [
            f"the bucket cannot be read, so only the replicas say what is served ({found.bucket_problem}): mend that"
            f"{found.placement.without_bucket}",
            *_of_other_fleets(found),
            *told,
        ]
    bucket = found.bucket
    wrong_bucket = _of_another_bucket(found, bucket)
    if wrong_bucket:
        return [wrong_bucket]  # all other differences follow from this one
    other = config.rollout_of(bucket.config or "")
    if other not in (None, found.placement.name):
        return [
            f"the servers of this bucket are on the roll-out {other!r}, and UNDERSTUDY_ROLLOUT says "
            f"{found.placement.name!r}: correct that; until then nothing more can be said"
        ]
    state = bucket.history.state
    told = [
        *_of_other_fleets(found),
        *of_config(bucket, found.model),
        *_of_journal(bucket.history, found),
        *_of_files(bucket),
        *bucket.misplaced,
        *told,
    ]
    proving = found.proving is not None
    for replica in found.replicas:
        told += of_replica(replica, state, found.placement, proving=proving)
    return told + of_mlflow(found.mlflow, bucket.history, proving=proving)


def _of_other_fleets(found: Found) -> list[str]:
    return [not_of_this_fleet(each.address, each.others, model=found.model) for each in found.replicas if each.others]


def _of_another_bucket(found: Found, bucket: BucketFound) -> str | None:
    """A sentence if the replicas serve versions that this bucket does not know; otherwise None."""
    served = {replica.serving for replica in found.replicas if replica.serving is not None}
    unknown = {version for version in served if version >= bucket.history.state.next_version}
    unknown -= {parse_version(name) for name in bucket.names}  # put there by hand, which is another difference
    if not unknown:
        return None
    knows = "knows no such version" if bucket.history.entries else "is empty"
    return (
        f"replicas serve {_names(unknown)}, and the journal of {found.model} in {bucket.address} {knows}: "
        f"UNDERSTUDY_ROOT is not the bucket of these servers, or journal entries are lost; correct it or restore them, "
        f"and do not run `init`"
    )


def of_config(bucket: BucketFound, model: str) -> list[str]:
    """What is wrong with the config that servers read, as sentences."""
    if bucket.config is not None:
        told = _outdated(bucket.config, bucket.wanted_config, seq=bucket.history.seq)
        return [told] if told else []
    if not bucket.history.entries:
        return [f"nothing was released yet for {model!r}, and it has no config, which servers need: run `init`"]
    return ["there is no config, and a replica that starts needs it: run `reconcile`"]


def _outdated(found: str, wanted: str, *, seq: int) -> str | None:
    rendered = config.rendered_entry(found)
    if rendered is None:
        return "the config is not one that we wrote: ask who did, and run `reconcile`, which writes it anew"
    if rendered > seq:
        return (
            f"the config renders entry {rendered}, and the journal ends at {seq}: entries are lost; restore them "
            f"before any verb is run"
        )
    if _body(found) == _body(wanted):
        return None  # the entries since then do not change the config
    if rendered < seq:
        return f"the config renders entry {rendered}, the journal is at {seq}: a verb stopped half-way; run `reconcile`"
    return f"the config of entry {seq} was changed by hand: ask by whom, and run `reconcile`, which writes it anew"


def _body(text: str) -> str:
    return text.partition("\n")[2]


def of_replica(replica: ReplicaFound, state: State, placement: Placement, *, proving: bool) -> list[str]:
    """Where one replica disagrees with the journal, as sentences.

    Args:
        replica: what it answered.
        state: what the journal says.
        placement: the roll-out.
        proving: whether a run is proving the candidate. Then a replica may still hold what it held before.
    """
    if replica.problem:
        return [_unreachable(replica)]
    if replica.others:
        return []  # `differences` names it first
    told = []
    before = state.model_copy(update={"candidate": None}) if proving else state
    expected = placement.answering(state)
    if replica.serving not in (expected, placement.answering(before)):
        told.append(
            f"{replica.address} answers {_name(replica.serving)}, the journal says {_name(expected)}: wait one "
            f"poll; if it stays, run `reconcile`"
        )
    now, then = set(placement.in_memory(state)), set(placement.in_memory(before))
    wanted = now | then
    present = {each.version for each in replica.versions if each.available}
    failed = {each.version: each.error for each in replica.versions if each.failed and each.version in wanted}
    told += [
        f"{replica.address} could not load v{version} ({error}): {_way_out_of_failure(version, before)}"
        for version, error in sorted(failed.items())
    ]
    lacking = (now & then) - present - set(failed)
    if lacking:
        told.append(f"{replica.address} has not loaded {_names(lacking)}: wait one poll; if it stays, look at its log")
    if present - wanted:
        told.append(
            f"{replica.address} still holds {_names(present - wanted)}, which nobody wants: wait one poll; if it "
            f"stays, look at its log"
        )
    return told


def _way_out_of_failure(version: int, resident: State) -> str:
    if version in (resident.serving, resident.previous, resident.leaving, resident.candidate):
        return "mend that, and restart the replica"
    return "the run that is proving it will withdraw it"


def of_mlflow(found: MlflowFound | None, history: History, *, proving: bool) -> list[str]:
    """Where MLflow's aliases disagree with the journal.

    While a run is `proving`, MLflow need not know the candidate.
    """
    wanted = wanted_aliases(history)
    if found is None:
        return ["MLflow gives no answer, and serving asks it nothing: start it, and run `reconcile`"]
    if found.collision and wanted:
        return [found.collision]
    unlike = {role for role, _ in found.aliases.items() ^ wanted.items()}
    if unlike - ({"candidate"} if proving else set()):
        return [
            f"MLflow's aliases say {roles(found.aliases)}, the journal {roles(wanted)}; serving asks only the journal: "
            f"run `reconcile`"
        ]
    return []


def roles(versions: Mapping[str, int]) -> str:
    """Version numbers by role, as text for people."""
    return ", ".join(f"{role} v{version}" for role, version in sorted(versions.items())) or "nothing"


def _of_fleet(found: Found) -> list[str]:
    told = []
    if len(found.replicas) < found.expected:
        told.append(
            f"{len(found.replicas)} of {found.expected} replicas are known: start the others, or mend "
            f"UNDERSTUDY_REPLICAS; nothing is promoted until then"
        )
    if found.bucket is None:
        told += [_unreachable(replica) for replica in found.replicas if replica.problem]
    return told


def _of_journal(history: History, found: Found) -> list[str]:
    """What was begun and not finished."""
    deadline = found.deadline
    told = _of_moves(history, found.move_deadline)
    proving = reconcile_rules.being_proven(history)
    if proving and deadline.has_passed(proving):
        told.append(
            f"v{proving.version} of {proving.run_key} is the candidate since {proving.at:%Y-%m-%d %H:%M:%S} UTC: clear "
            f"the task of its run that stopped; `reconcile` withdraws it unless its canary has passed"
        )
    return told + [
        f"v{claim.version} was claimed by {claim.run_key} and never published, which does no harm: clear `publish` of "
        f"that run, or leave the number unused"
        for claim in reconcile_rules.never_published(history, deadline=deadline)
    ]


def _of_moves(history: History, deadline: Deadline) -> list[str]:
    """A promotion or a roll-back that was begun and not finished."""
    move = reconcile_rules.unconfirmed_move(history)
    if move and move.event is Event.PROMOTED and not deadline.has_passed(move):
        return [
            f"{move.run_key} is promoting v{move.version} since {move.at:%H:%M:%S} UTC, and not every replica was seen "
            f"to answer from it yet: wait until the run has ended, at most {deadline.seconds:g} s"
        ]
    left = rollback_rules.unfinished(history)
    return [f"{left}. `reconcile` ends it as far as the replicas allow"] if left else []


def _of_files(bucket: BucketFound) -> list[str]:
    serving = bucket.history.state.serving
    told = []
    for version, problem in bucket.damaged.items():
        if version == serving:
            told.append(
                f"v{version} serves, and what a replica that restarts would load cannot be trusted ({problem}): mend "
                f"that, or roll back"
            )
        else:
            told.append(f"v{version}, the way back, cannot be trusted ({problem}): mend that; `previous` skips it")
    return told + [sentence for name in bucket.names if (sentence := _of_name(name, bucket.history))]


def _of_name(name: str, history: History) -> str | None:
    """What is wrong with a name beside the versions. Servers read more names as numbers than Understudy writes."""
    version = layout.version_number(name)
    if version is not None and history.of_version(version, Event.CLAIMED, Event.REISSUED):
        return None
    if version is not None:
        return (
            f"{name!r} lies among the versions, and the journal knows no v{version}: ask who put it there, and remove "
            f"it; until then the run that claims {version} cannot publish"
        )
    read_as = parse_version(name)
    if read_as is None:
        return f"{name!r} lies among the versions and is none; servers skip it: remove it"
    return (
        f"{name!r} lies among the versions, and servers take it for version {read_as}: ask who put it there, and "
        f"remove it"
    )


def _unreachable(replica: ReplicaFound) -> str:
    return f"{replica.address} gives no answer ({replica.problem}): start it, or look at its log"


def _name(version: int | None) -> str:
    return f"v{version}" if version is not None else "nothing"


def _names(versions: set[int]) -> str:
    return ", ".join(f"v{version}" for version in sorted(versions))
