"""What the bucket, each replica and MLflow say at one moment. Reads, and changes nothing."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.errors import CouldNotTellError, DamagedError, MissingError, StorageError
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.inspection.expectation import Expectation
from pipeline.inspection.known_models import require_known
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.rollout.placement import Placement
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules.reconcile import Deadline
from pipeline.runs.records import CanaryRecord
from pipeline.runs.run_key import is_rollback
from pipeline.runs.run_records import RunRecords
from pipeline.tracking.aliases import MlflowFound, read_aliases
from pipeline.tracking.owner import find_owner

log = logging.getLogger(__name__)

# How often the bucket and the replicas are asked again because a verb has written meanwhile.
_ATTEMPTS = 3


@dataclass(frozen=True)
class BucketFound:
    """What the bucket says.

    Attributes:
        address: where it is.
        history: the journal.
        configs: what servers read, by its key in the bucket; None for what is missing. With a first ring there are two.
        wanted_configs: what they should read.
        damaged: what is wrong with the files of a version that must exist, by its number.
        names: the names below the base path.
        misplaced: sentences on what servers find below the base path and should not, or the other way round.
        passed_at: when the candidate passed its canary; None if it has not, or if a promotion of it failed since.
        unread: sentences on what could not be read: an old entry is lost, or a newer version of Understudy wrote
            something. What follows from it is not known.
    """

    address: str
    history: History
    configs: Mapping[str, str | None]
    wanted_configs: Mapping[str, str]
    damaged: Mapping[int, str]
    names: tuple[str, ...]
    misplaced: tuple[str, ...] = ()
    passed_at: datetime | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """What bucket, replicas and MLflow say.

    A run that has exposed a candidate is at work on it until `deadline`, and one that moves traffic until
    `move_deadline`, which is how long it may wait for replicas. Until `poll_deadline` after any entry, replicas may not
    have looked for what it says, and until `load_deadline` they may be loading a version that it needs again.
    `fleet_problem` says why it is unknown which replicas exist; empty if it is known. `source_flags` are the flags that
    say what a server polls, by whether it is in the first ring. `replicas_of_environment` says that UNDERSTUDY_REPLICAS
    names other replicas than the record, for this call.
    """

    model: str
    fleet: FleetSpec
    source_flags: Mapping[bool, str]
    placement: Placement
    bucket: BucketFound | None
    bucket_problem: StorageError | None
    replicas: tuple[ReplicaFound, ...]
    expected: int
    fleet_problem: str
    record_problem: str
    fleet_record: int | None
    fleet_remarks: tuple[str, ...]
    replicas_of_environment: bool
    mlflow: MlflowFound | None
    deadline: Deadline
    move_deadline: Deadline
    poll_deadline: Deadline
    load_deadline: Deadline

    @property
    def proving(self) -> Entry | None:
        """The entry by which an active run has exposed its candidate; None if there is none."""
        return reconcile_rules.active_candidate(self.bucket.history, deadline=self.deadline) if self.bucket else None

    @property
    def moving(self) -> Entry | None:
        """The entry by which a verb began to move traffic that may still be running; None where there is none."""
        if self.bucket is None:
            return None
        history = self.bucket.history
        entry = reconcile_rules.unconfirmed_move(history) or reconcile_rules.candidate_of_rollback(history)
        return entry if entry and not self.move_deadline.has_passed(entry) else None

    @property
    def settling(self) -> bool:
        """Whether a verb may be at work on what its last entry says: the config, the replicas, MLflow."""
        last = self.bucket.history.last if self.bucket else None
        return self.moving is not None or (last is not None and not self.poll_deadline.has_passed(last))

    @property
    def mirroring(self) -> bool:
        """Whether a verb may not have updated MLflow yet: it does so at its end, when the replicas have followed."""
        if self.settling or any(each.reloading for each in self._expectations.values()):
            return True
        return self.bucket is not None and any(
            entry.event is Event.WITHDRAWN and not is_rollback(entry.run_key)  # a roll-back withdraws at its end
            for entry in self.move_deadline.not_passed(self.bucket.history)
        )

    @cached_property
    def _expectations(self) -> Mapping[bool, Expectation]:
        """By whether the replicas are in the first ring. There is one for it only if the fleet has one."""
        if self.bucket is None:
            return {}
        return {
            first_ring: Expectation(
                history=self.bucket.history,
                placement=self.placement,
                first_ring=first_ring,
                proving=self.proving is not None,
                moving=self.moving is not None,
                move_deadline=self.move_deadline,
                poll_deadline=self.poll_deadline,
                load_deadline=self.load_deadline,
            )
            for first_ring in ((True, False) if self.fleet.first_ring else (False,))
        }

    def expected_of(self, replica: ReplicaFound) -> Expectation:
        """What a replica should do. The bucket must have answered."""
        return self._expectations[replica.first_ring]

    def possible_for(self, replica: ReplicaFound) -> tuple[Expectation, ...]:
        """The same; both where it is not known which replicas are the first ring (`ring_is_known`)."""
        return (self.expected_of(replica),) if self.ring_is_known else tuple(self._expectations.values())

    @property
    def ring_is_known(self) -> bool:
        """Whether the replicas of the first ring are known: UNDERSTUDY_REPLICAS hides them if it names none of them."""
        return self.fleet.first_ring is None or self.fleet.first_ring in self.fleet.groups


def look(context: ModelContext) -> Findings:
    """Ask the bucket, each replica and MLflow; one that does not answer is a finding as well.

    Raises:
        BadInputError: there is no such model.
    """
    log.info("reading the bucket %s", context.bucket.uri())
    seen = _look_at_bucket_and_replicas(context)
    for _ in range(_ATTEMPTS - 1):
        if seen.bucket is None or not _has_new_entries(context, seen.bucket):
            break
        seen = _look_at_bucket_and_replicas(context)
    now = context.clock.now()
    return Findings(
        model=context.model,
        fleet=context.fleet,
        source_flags={first_ring: context.source_flag(first_ring=first_ring) for first_ring in (True, False)},
        placement=context.rollout.placement,
        bucket=seen.bucket,
        bucket_problem=seen.bucket_problem,
        replicas=seen.replicas,
        fleet_problem=seen.fleet_problem,
        expected=context.replicas.expected,
        record_problem=context.known.problem,
        fleet_record=context.known.record.number if context.known.record else None,
        fleet_remarks=context.known.remarks,
        replicas_of_environment=context.known.replicas_of_environment,
        mlflow=_look_at_mlflow(context, seen.bucket),
        deadline=Deadline(now, context.fleet.abandoned_seconds),
        move_deadline=Deadline(now, context.fleet.load_seconds + context.fleet.follow_seconds),
        poll_deadline=Deadline(now, context.fleet.polled_seconds),
        load_deadline=Deadline(now, context.fleet.load_seconds + context.fleet.polled_seconds),
    )


@dataclass(frozen=True)
class _Seen:
    """The bucket and the replicas at about the same moment. Where one gives no answer, its problem says why."""

    bucket: BucketFound | None
    bucket_problem: StorageError | None
    replicas: tuple[ReplicaFound, ...]
    fleet_problem: str


def _look_at_bucket_and_replicas(context: ModelContext) -> _Seen:
    bucket, problem, others = None, None, context.replicas.others
    try:
        bucket = _look_into_bucket(context)
        if not bucket.history.seq:
            require_known(context)
        _ = others.names  # read once, before the threads need it
    except StorageError as error:
        bucket, problem, others = None, error, others.without_bucket()
    try:
        replicas, fleet_problem = tuple(context.replicas.look(context.replicas.addresses(), others=others)), ""
    except CouldNotTellError as error:
        replicas, fleet_problem = (), str(error)
    return _Seen(bucket, problem, replicas, fleet_problem)


def _has_new_entries(context: ModelContext, bucket: BucketFound) -> bool:
    """Whether a verb has written meanwhile, so that replicas may follow an entry that this history does not have."""
    try:
        return context.journal.read().seq != bucket.history.seq
    except StorageError:
        return False  # what was read is the newest that can be had


def _look_at_mlflow(context: ModelContext, bucket: BucketFound | None) -> MlflowFound | None:
    """Ask MLflow. The identity of the bucket is needed for this alone, so a failure to read it changes nothing else."""
    try:
        owner = find_owner(context.bucket, context.model, bucket.history) if bucket else None
        return read_aliases(context.mlflow, model=context.model, owner=owner)
    except StorageError as error:
        return MlflowFound({}, collision=f"the MLflow aliases of this bucket cannot be checked: {error}")


def _look_into_bucket(context: ModelContext) -> BucketFound:
    # The config first: a verb that writes meanwhile can make it look older than the journal, but never newer.
    configs = context.rollout.configs()
    history = context.journal.read()
    state = history.state
    unread: list[str] = []
    damaged: dict[int, str] = {}
    passed_at, misplaced = None, tuple[str, ...]()
    for version in sorted({v for v in (state.serving, state.previous) if v is not None}):
        with noting(unread):
            damaged.update(_damaged(context, history, version))
    with noting(unread):
        passed_at = _passed_at(context, history)
    with noting(unread):
        misplaced = tuple(context.rollout.placement.problems(history))
    return BucketFound(
        address=context.bucket.uri(),
        history=history,
        configs=configs,
        wanted_configs=context.rollout.rendered(history),
        damaged=damaged,
        names=tuple(context.bucket.names(layout.versions(context.model))),
        misplaced=misplaced,
        passed_at=passed_at,
        unread=tuple(unread),
    )


@contextmanager
def noting(unread: list[str]) -> Iterator[None]:
    """Keep the sentence on what cannot be read, once, and look at everything else."""
    try:
        yield
    except StorageError as error:
        if str(error) not in unread:
            unread.append(str(error))


def _passed_at(context: ModelContext, history: History) -> datetime | None:
    exposed = reconcile_rules.candidate_of_run(history)
    if exposed is None:
        return None
    records = RunRecords(context.bucket, context.model, exposed.run_key)
    try:
        passed = records.find(CanaryRecord)
    except DamagedError:
        return None
    if passed is None or passed.outcome != "done" or records.last_attempt(of="promote"):
        return None
    return passed.at


def _damaged(context: ModelContext, history: History, version: int) -> dict[int, str]:
    try:
        context.manifests.verify_checksums(version, history)
    except (DamagedError, MissingError) as error:
        return {version: str(error)}
    return {}
