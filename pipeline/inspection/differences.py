"""Where journal, config, files, replicas and MLflow disagree: findings in; sentences out, each with what to do."""

from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial

from pipeline import layout
from pipeline.commands import with_model
from pipeline.errors import NewerVersionError
from pipeline.inspection.expectation import Expectation
from pipeline.inspection.findings import BucketFound, Findings, noting
from pipeline.inspection.first_ring import of_source
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rollout import config
from pipeline.rollout.other_models import not_of_this_fleet
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import rollback as rollback_rules
from pipeline.stored import newer_version
from pipeline.tracking.aliases import wanted_aliases
from serving.version_names import parse_version


def differences(found: Findings) -> list[str]:
    """Every difference that no running verb explains; none where everything agrees."""
    return [with_model(each, found.model) for each in _differences(found)]


def _differences(found: Findings) -> list[str]:
    sentences = _of_fleet(found)
    if found.bucket is None:
        way_out = "" if isinstance(found.bucket_problem, NewerVersionError) else ". Repair the bucket"
        return [
            f"the bucket cannot be read ({found.bucket_problem}). Only the replicas say what is served{way_out}"
            f"{found.placement.without_bucket([each.address for each in found.replicas])}",
            *_of_other_fleets(found),
            *sentences,
        ]
    bucket = found.bucket
    wrong_bucket = _of_another_bucket(found, bucket)
    if wrong_bucket:
        return [wrong_bucket]  # all other differences follow from this one
    for key, text in bucket.configs.items():
        if sentence := _of_another_kind(key, text or "", found):
            return [f"{sentence}. Nothing else was compared"]
    parts: list[Callable[[], Iterable[str]]] = [
        lambda: _of_other_fleets(found),
        lambda: of_config(bucket, found.model, settling=found.settling),
        lambda: bucket.unread,
        lambda: _of_journal(bucket, found),
        lambda: _of_files(bucket),
        lambda: () if _is_being_settled(bucket, found) else bucket.misplaced,
        lambda: sentences,
        *(partial(of_replica, replica, found) for replica in found.replicas),
        lambda: _of_mlflow(found, bucket.history),
    ]
    return _all_readable(parts)


def _all_readable(parts: Iterable[Callable[[], Iterable[str]]]) -> list[str]:
    """The sentences of all parts. If one needs an entry that is lost, it says so once, and the others are complete."""
    found, unread = list[str](), list[str]()
    for part in parts:
        with noting(unread):
            found.extend(part())
    return [*found, *(sentence for sentence in unread if sentence not in found)]


def _of_another_kind(key: str, text: str, found: Findings) -> str | None:
    """A sentence on a config of a newer version or of the other roll-out; None for every other one."""
    unknown = config.unknown_format(text)
    if unknown is not None:
        return str(newer_version(key, f"its first line says {unknown!r}"))
    other = config.rollout_of(text)
    if other in (None, found.placement.name):
        return None
    return (
        f"the servers of this bucket use the roll-out {other!r}, and the fleet record, or UNDERSTUDY_ROLLOUT if there "
        f"is none, says {found.placement.name!r}. Set the roll-out {other!r}"
    )


def _of_other_fleets(found: Findings) -> list[str]:
    return [not_of_this_fleet(each.address, each.others, model=found.model) for each in found.replicas if each.others]


def _of_another_bucket(found: Findings, bucket: BucketFound) -> str | None:
    """A sentence if the replicas serve versions that this bucket does not know; otherwise None."""
    served = {replica.serving for replica in found.replicas if replica.serving is not None}
    unknown = {version for version in served if version >= bucket.history.state.next_version}
    unknown -= {parse_version(name) for name in bucket.names}  # put there by hand, which is another difference
    if not unknown:
        return None
    knows = "does not contain that version" if bucket.history.seq else "is empty"
    return (
        f"replicas serve {_names(unknown)}, and the journal of {found.model} in {bucket.address} {knows}. Either "
        f"UNDERSTUDY_ROOT is not the bucket of these servers, or journal entries are lost. Correct UNDERSTUDY_ROOT or "
        f"restore the entries. Do not run `understudy init`"
    )


def of_config(bucket: BucketFound, model: str, *, settling: bool) -> list[str]:
    """What is wrong with the file that tells servers what to load; it may be old while a verb is at work."""
    sentences = [
        _of_one_config(_config_name(key, model, bucket), text, bucket.wanted_configs[key], bucket, settling=settling)
        for key, text in bucket.configs.items()
    ]
    if not bucket.history.seq and not all(bucket.configs.values()):
        return [
            f"nothing was released yet for {model!r}, and the config that servers read does not exist. Run "
            f"`understudy init --model <model>`"
        ]
    return [sentence for sentence in sentences if sentence]


def _is_being_settled(bucket: BucketFound, found: Findings) -> bool:
    """Whether a verb may be at work on what lies below a base path: it writes the config after that."""
    rendered = [rendered_entry(text or "") for text in bucket.configs.values()]
    return found.settling and any(entry is not None and entry < bucket.history.seq for entry in rendered)


def _config_name(key: str, model: str, bucket: BucketFound) -> str:
    if len(bucket.configs) == 1:
        return "the config"
    ring = key == layout.first_ring_config(model)
    return f"the config of {'the first ring' if ring else 'the other replicas'} ({key})"


def _of_one_config(name: str, text: str | None, wanted: str, bucket: BucketFound, *, settling: bool) -> str | None:
    if text is None:
        return (
            f"{name} that servers read does not exist. A replica that starts now cannot serve. Run `understudy "
            f"reconcile --model <model>`"
        )
    return _outdated(name, text, wanted, seq=bucket.history.seq, settling=settling)


def _outdated(name: str, found: str, wanted: str, *, seq: int, settling: bool) -> str | None:
    rendered = rendered_entry(found)
    if rendered is None:
        return (
            f"{name} was not written by Understudy. Find out who wrote it, then run `understudy reconcile --model "
            "<model>`, which replaces it"
        )
    if rendered > seq:
        return (
            f"{name} was made from journal entry {rendered}, and the journal ends at entry {seq}: entries are "
            f"lost. Restore them before you run any other command"
        )
    if _body(found) == _body(wanted):
        return None  # the entries since then move nothing
    if rendered < seq and settling:
        return None
    if rendered < seq:
        return (
            f"{name} was made from journal entry {rendered}, and the journal is at entry {seq}: a command stopped "
            f"half-way. Run `understudy reconcile --model <model>`"
        )
    return (
        f"{name} of journal entry {seq} was changed by hand. Find out who changed it, then run `understudy "
        f"reconcile --model <model>`, which replaces it"
    )


def _body(text: str) -> str:
    return text.partition("\n")[2]


def of_replica(replica: ReplicaFound, found: Findings) -> list[str]:
    """What one replica does otherwise than the journal says, or than it may do on its way there."""
    if replica.problem:
        return [_unreachable(replica)]
    if replica.others:
        return []  # `differences` names it first
    wrong_source = of_source(replica, found)
    if wrong_source:
        return [wrong_source]  # the rest follows from it
    possible = ([*_of_answers(replica, each), *_of_memory(replica, each)] for each in found.possible_for(replica))
    return min(possible, key=len)


def _of_answers(replica: ReplicaFound, expectation: Expectation) -> list[str]:
    expected = expectation.answering(expectation.states[0])
    if replica.serving in {expectation.answering(state) for state in expectation.states}:
        return []
    return [
        f"{replica.address} answers from {version_name(replica.serving)}, and the journal says "
        f"{version_name(expected)}. Wait one poll. If the replica still differs, run `understudy reconcile "
        f"--model <model>`"
    ]


def _of_memory(replica: ReplicaFound, expectation: Expectation) -> list[str]:
    states = expectation.states
    in_memory = [set(expectation.in_memory(state)) for state in states]
    wanted = set().union(*in_memory)
    present = {each.version for each in replica.versions if each.available}
    # A server remembers the failed load of a version that was withdrawn since.
    needed = in_memory[0] | in_memory[1]
    failed = {each.version: each.error for each in replica.versions if each.failed and each.version in needed}
    sentences = [
        f"{replica.address} could not load v{version} ({error}). {_way_out_of_failure(version, states[1])}"
        for version, error in sorted(failed.items())
    ]
    lacking = in_memory[0].intersection(*in_memory) - present - set(failed) - set(expectation.loading)
    if lacking:
        sentences.append(
            f"{replica.address} has not loaded {_names(lacking)}. Wait one poll. If it still has not, read the log of "
            f"the replica"
        )
    superfluous = present - wanted - expectation.unloading
    if superfluous:
        sentences.append(
            f"{replica.address} still has {_names(superfluous)} in memory, which it should have unloaded. Wait "
            f"one poll. If it still has, read the log of the replica"
        )
    return sentences


def _way_out_of_failure(version: int, resident: State) -> str:
    if version in (resident.serving, resident.previous, resident.leaving, resident.candidate):
        return "Repair the cause, then restart the replica"
    return "The run that is testing it will withdraw it"


def _of_mlflow(every: Findings, history: History) -> list[str]:
    """What MLflow's aliases say otherwise.

    While a run is proving a candidate, MLflow need not know of it; a verb that moves traffic, or that withdraws a
    version, updates MLflow at its end.
    """
    found, wanted = every.mlflow, wanted_aliases(history)
    if found is None:
        return [
            "MLflow does not answer. Serving does not depend on it. Start MLflow, then run `understudy reconcile "
            "--model <model>`"
        ]
    if found.collision and wanted:
        return [found.collision]
    unlike = {role for role, _ in found.aliases.items() ^ wanted.items()}
    if not every.mirroring and unlike - ({"candidate"} if every.proving else set()):
        return [
            f"MLflow's aliases say {roles(found.aliases)}, and the journal says {roles(wanted)}. Serving depends only "
            f"on the journal. Run `understudy reconcile --model <model>`"
        ]
    return []


def roles(versions: Mapping[str, int]) -> str:
    """Versions by role, as text: `previous v1, production v2`."""
    return ", ".join(f"{role} v{version}" for role, version in sorted(versions.items())) or "nothing"


def _of_fleet(found: Findings) -> list[str]:
    sentences = []
    if found.record_problem:
        asked = "Only replicas of UNDERSTUDY_REPLICAS were asked" if found.replicas else "No replica was asked"
        sentences.append(
            f"the fleet record cannot be read: {found.record_problem}. {asked}. To see what replicas answer meanwhile, "
            f"name them: UNDERSTUDY_REPLICAS=host:port,host:port"
        )
    elif found.fleet_problem:
        sentences.append(
            f"which replicas exist is unknown ({found.fleet_problem}). No replica was asked, and nothing is promoted "
            f"until the replicas are found"
        )
    elif len(found.replicas) < found.expected:
        sentences.append(
            f"{len(found.replicas)} of {found.expected} replicas are listed. Nothing is promoted until all are. Start "
            f"the others, or correct the fleet (`understudy fleet show --model <model>` shows it)"
        )
    if found.bucket is None:
        sentences += [_unreachable(replica) for replica in found.replicas if replica.problem]
    return sentences


def _of_journal(bucket: BucketFound, found: Findings) -> list[str]:
    """What was begun and not finished."""
    history = bucket.history
    sentences = _of_moves(history) if found.moving is None else []
    proving = reconcile_rules.candidate_of_run(history)
    if proving and bucket.passed_at is None and not bucket.unread and found.deadline.has_passed(proving):
        sentences.append(
            f"v{proving.version} of {proving.run_key} is the candidate"
            f"{' in the first ring' if history.state.first_ring_only else ''} since {proving.at:%Y-%m-%d %H:%M:%S} "
            f"UTC, and its run has stopped. In Airflow, clear the task that stopped; or run `understudy reconcile "
            f"--model <model>`, which withdraws the candidate"
        )
    return sentences


def _of_moves(history: History) -> list[str]:
    """A promotion or a roll-back that was begun and not ended."""
    left = rollback_rules.unfinished(history)
    return [f"{left}. `understudy reconcile --model <model>` ends it as far as the replicas allow"] if left else []


def _of_files(bucket: BucketFound) -> list[str]:
    serving = bucket.history.state.serving
    sentences = []
    for version, problem in bucket.damaged.items():
        if version == serving:
            sentences.append(
                f"v{version} serves, and its files are damaged ({problem}). A replica that restarts cannot load it. "
                f"Restore the files, or run `understudy rollback --model <model> --to previous --reason damaged`"
            )
        else:
            sentences.append(
                f"v{version}, the version to roll back to, has damaged files ({problem}). A roll-back to `previous` "
                f"skips it. Restore the files"
            )
    known = frozenset(bucket.history.unretired())
    return sentences + [sentence for name in bucket.names if (sentence := _of_name(name, bucket.history, known))]


def _of_name(name: str, history: History, known: Container[int]) -> str | None:
    """What is wrong with a name beside the versions. Servers read more names as numbers than Understudy writes.

    `known`: versions of the journal, so that not each of them is looked up.
    """
    version = layout.version_number(name)
    if version is not None and (version in known or history.has(version, Event.CLAIMED, Event.REISSUED)):
        return None
    if version is not None:
        return (
            f"the folder of versions contains {name!r}, and the journal does not contain v{version}. The run that gets "
            f"number {version} cannot publish. Find out who created it, then remove it"
        )
    read_as = parse_version(name)
    if read_as is None:
        return f"the folder of versions contains {name!r}, which is not a version. Servers ignore it. Remove it"
    return (
        f"the folder of versions contains {name!r}, and servers read it as version {read_as}. Find out who created it, "
        f"then remove it"
    )


def _unreachable(replica: ReplicaFound) -> str:
    return f"{replica.address} does not answer ({replica.problem}). Start it, or read its log"


def version_name(version: int | None) -> str:
    """A version as text: `v3`, or `nothing`."""
    return f"v{version}" if version is not None else "nothing"


def _names(versions: set[int]) -> str:
    return ", ".join(f"v{version}" for version in sorted(versions))
