"""What the bucket, each replica and MLflow say at one moment. Reads, and changes nothing."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.inspection.known_models import require_known
from pipeline.journal.entries import Entry
from pipeline.journal.history import History
from pipeline.rollout.placement import Placement
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules.reconcile import Deadline
from pipeline.storage.identity import find_identity
from pipeline.tracking.mirror import MlflowFound, Owner, look_at
from pipeline.tracking.owner import make_owner

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BucketFound:
    """What the bucket says.

    Attributes:
        address: where it is.
        history: the journal.
        config: what servers read; None if there is none.
        wanted_config: what they should read.
        damaged: what is wrong with the files of a version that must exist, by its number.
        names: the names below the base path.
        misplaced: sentences on what servers find below the base path and should not, or the other way round.
    """

    address: str
    history: History
    config: str | None
    wanted_config: str
    damaged: Mapping[int, str]
    names: tuple[str, ...]
    misplaced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What bucket, replicas and MLflow say.

    Attributes:
        model: the name of the model.
        placement: the roll-out.
        bucket: None if it gave no answer.
        bucket_problem: why it gave none; empty if it answered.
        replicas: the answers of each.
        expected: how many replicas there should be at least.
        mlflow: None if it gave no answer.
        deadline: until when a run that has exposed a candidate counts as active.
        move_deadline: until when a run that moves traffic does; it is how long it may wait for replicas.
    """

    model: str
    placement: Placement
    bucket: BucketFound | None
    bucket_problem: str
    replicas: tuple[ReplicaFound, ...]
    expected: int
    mlflow: MlflowFound | None
    deadline: Deadline
    move_deadline: Deadline

    @property
    def proving(self) -> Entry | None:
        """The entry by which an active run has exposed its candidate; None if there is none."""
        return reconcile_rules.at_work(self.bucket.history, deadline=self.deadline) if self.bucket else None


def look(context: ModelContext) -> Found:
    """Ask the bucket, every replica and MLflow. One that does not answer is a finding, not an error.

    Raises:
        BadInputError: there is no such model.
    """
    log.info("reading the bucket %s", context.bucket.uri())
    bucket, problem, others = None, "", context.replicas.others
    try:
        bucket = _look_into_bucket(context)
        if not bucket.history.entries:
            require_known(context)
        _ = others.names  # read once here, not once by each thread
    except StorageError as error:
        bucket, problem, others = None, str(error), others.without_bucket()
    addresses = context.replicas.addresses()
    with ThreadPoolExecutor(max(len(addresses), 1)) as pool:
        replicas = tuple(pool.map(partial(context.replicas.look, others=others), addresses))
    now = context.clock.now()
    return Found(
        model=context.model,
        placement=context.rollout.placement,
        bucket=bucket,
        bucket_problem=problem,
        replicas=replicas,
        expected=context.replicas.expected,
        mlflow=_look_at_mlflow(context, bucket),
        deadline=Deadline(now, context.settings.abandoned_seconds),
        move_deadline=Deadline(now, context.settings.load_seconds + context.settings.follow_seconds),
    )


def _look_at_mlflow(context: ModelContext, bucket: BucketFound | None) -> MlflowFound | None:
    """Ask MLflow. The identity of the bucket is needed for this alone, so a failure to read it changes nothing else."""
    try:
        owner = _owner(context, bucket.history) if bucket else None
        return look_at(context.mlflow, model=context.model, owner=owner)
    except StorageError as error:
        return MlflowFound({}, collision=f"what MLflow says of this bucket cannot be compared: {error}")


def _owner(context: ModelContext, history: History) -> Owner:
    return make_owner(context.bucket, context.model, find_identity(context.bucket), history)


def _look_into_bucket(context: ModelContext) -> BucketFound:
    # The config first: a verb that writes meanwhile can make it look older than the journal, but never newer.
    text = context.rollout.config()
    history = context.journal.read()
    state = history.state
    return BucketFound(
        address=context.bucket.uri(),
        history=history,
        config=text,
        wanted_config=context.rollout.rendered(history),
        damaged=_damaged(context, history, {v for v in (state.serving, state.previous) if v is not None}),
        names=tuple(context.bucket.names(layout.versions(context.model))),
        misplaced=tuple(context.rollout.placement.problems(history)),
    )


def _damaged(context: ModelContext, history: History, versions: set[int]) -> dict[int, str]:
    found = {}
    for version in sorted(versions):
        try:
            context.manifests.look_over(version, history)
        except (DamagedError, MissingError) as error:
            found[version] = str(error)
    return found
