"""The parts that a verb works with, wired together: one model, perhaps one run, the bucket, the replicas and MLflow."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline import layout
from pipeline.clock import Clock, SystemClock
from pipeline.errors import BadInputError, StorageError, UnderstudyError
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.fleets.known_fleet import KnownFleet, fleet_of_environment, known_fleet, names_replicas, without_replicas
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.journal import EVERY, Journal, JournalWriter
from pipeline.journal.manifests import Manifests
from pipeline.journal.observers import Observers
from pipeline.rollout.base_path import BasePath
from pipeline.rollout.base_path_placement import BasePathPlacement
from pipeline.rollout.config_placement import ConfigPlacement
from pipeline.rollout.latest import Latest
from pipeline.rollout.other_models import OtherModels
from pipeline.rollout.pinned import Pinned
from pipeline.rollout.placement import Placement
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rings import Rings
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.strategy import Strategy
from pipeline.rollout.waits import Waits
from pipeline.rollout.workers import Threads, Workers
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import run as run_rules
from pipeline.runs.records import TrainRecord
from pipeline.runs.run_key import RunKey
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings
from pipeline.signing.signatures import Signatures
from pipeline.storage.bucket import Bucket
from pipeline.storage.identity import make_identity
from pipeline.storage.opening import open_bucket
from pipeline.tracking.mirror import tag_run
from pipeline.tracking.owner import mlflow_observer
from pipeline.tracking.registry import Mlflow
from serving.fleet.fleet import Fleet
from serving.model_names import is_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ports:
    """The ways to the world outside. Tests may replace each of them.

    Attributes:
        bucket: where everything is stored.
        clock: the time.
        fleet: the replicas; None for those that the fleet of the model names.
        mlflow: None for the one that the fleet of the model names.
        checkpoint_every: the journal has a checkpoint of every entry with a multiple of this number.
        workers: makes workers with so many slots, see `pipeline.rollout.workers`. In simulated time they have one.
    """

    bucket: Bucket
    clock: Clock
    fleet: Fleet | None = None
    mlflow: Mlflow | None = None
    workers: Callable[[int], Workers] = Threads
    checkpoint_every: int = EVERY


@dataclass(frozen=True)
class ModelContext:
    """One model, to be looked at. Nothing here writes an entry of the journal.

    Attributes:
        settings: of this process.
        known: the fleet of the model, and where it comes from.
    """

    settings: Settings
    model: str
    known: KnownFleet
    bucket: Bucket
    mlflow: Mlflow
    clock: Clock
    journal: Journal
    manifests: Manifests
    rollout: Rollout
    replicas: Replicas

    @property
    def fleet(self) -> FleetSpec:
        """How the model is served: roll-out, groups of replicas, time limits, MLflow's address."""
        return self.known.fleet

    def known_as(self, fleet: FleetSpec) -> KnownFleet:
        """The same knowledge with another fleet, to try that one out."""
        return replace(self.known, fleet=fleet, remarks=())

    def source_flag(self, *, first_ring: bool) -> str:
        """The flag with which the servers of the first ring, or all others, are started, so that they follow releases.

        Args:
            first_ring: which servers.
        """
        latest, model = self.fleet.rollout == "latest", self.model
        name = "model_base_path" if latest else "model_config_file"
        if first_ring:
            key = layout.first_ring_versions(model) if latest else layout.first_ring_config(model)
        else:
            key = layout.versions(model) if latest else layout.config(model)
        return f"--{name}={_seen_by_servers(key, self.fleet, self.bucket)}"

    def records_of(self, version: int, history: History) -> RunRecords | None:
        """The records of the run that a version came from; None if the journal does not know it."""
        claimed = history.of_version(history.original(version), Event.CLAIMED)
        return RunRecords(self.bucket, self.model, claimed.run_key) if claimed else None


@dataclass(frozen=True)
class RunContext(ModelContext):
    """One model and one run, in whose name entries and records are written."""

    run_key: RunKey
    records: RunRecords
    journal: JournalWriter
    wait: Waits
    strategy: Strategy
    observers: Observers

    def decline_candidate(self, version: int, *, reason: str) -> None:
        """Record that this run gives up its candidate because of another decision.

        A version that has ever served is not touched.
        """
        rule = partial(run_rules.decline_candidate, version=version, run_key=self.run_key, reason=reason)
        self.journal.decide(rule)
        self.rollout.settle()

    def tag_run(self, tags: Mapping[str, str]) -> None:
        """Tag this run in MLflow, if it has no version or none yet. Never raises for MLflow's sake."""
        trained = self.records.find(TrainRecord)
        if trained is not None:
            tag_run(self.mlflow, run=trained.mlflow_run, tags=tags, bucket=lambda: make_identity(self.bucket))


@contextmanager
def observed(context: RunContext) -> Iterator[None]:
    """Carry out a verb inside the block.

    When it ends, also with an error, the observers of the journal are called once, and only if they have something to
    see; then a checkpoint is written, if one is due. Neither is done while a promotion is neither confirmed nor undone,
    nor if the bucket does not answer, which both need: a later verb does it.
    """
    try:
        yield
    except StorageError:
        raise
    except UnderstudyError:
        # Where a promotion has failed, `withdraw` must not wait for observers, and nothing is confirmed.
        try:
            if not _is_half_promoted(context.journal.known):
                _end(context)
        except StorageError as unread:  # what the verb has to say matters more
            log.warning("MLflow was not updated: %s", unread)
        raise
    _end(context)


def _end(context: RunContext) -> None:
    context.observers.notify(context.journal.known)
    context.journal.write_checkpoint()


def _is_half_promoted(history: History) -> bool:
    move = reconcile_rules.unconfirmed_move(history)
    return move is not None and move.event is Event.PROMOTED


def open_ports(settings: Settings) -> Ports:
    """The real ports. Nothing is read or connected yet.

    Raises:
        BadInputError: the address of the bucket is malformed.
    """
    return Ports(open_bucket(settings.root, seconds=settings.storage_seconds), SystemClock())


def make_model_context(
    settings: Settings, *, model: str, ports: Ports | None = None, known: KnownFleet | None = None
) -> ModelContext:
    """Wire the parts together that look at a model. Only the fleet record is read; nothing is connected yet.

    If the record cannot be read, the fleet is that of the environment, and `ModelContext.known` says why. A verb that
    only looks still shows what it can.

    Args:
        settings: of this process.
        model: the name of the model.
        ports: None for the real ones.
        known: the fleet; None for the one that the record names.

    Raises:
        BadInputError: the name of the model is malformed, or a setting is.
    """
    _require_model_name(model)
    ports = ports or open_ports(settings)
    known = known or _fleet_to_look_at(settings, ports.bucket, model)
    return _model_context(settings, model, known, ports, Journal(ports.bucket, model, every=ports.checkpoint_every))


def make_run_context(
    settings: Settings, *, model: str, run_key: str, ports: Ports | None = None, without_bucket: bool = False
) -> RunContext:
    """Wire the parts together that a run works and writes with. Only the fleet record is read; nothing is connected.

    Args:
        settings: of this process.
        model: the name of the model.
        run_key: as text, see `RunKey`.
        ports: None for the real ones.
        without_bucket: if the environment names the replicas, do not read the record.

    Raises:
        BadInputError: the name of the model or the run key is malformed, or a setting is.
        StorageError: the fleet record cannot be read. Nothing may be changed then: the roll-out is not known.
    """
    _require_model_name(model)
    key = RunKey(run_key)
    ports = ports or open_ports(settings)
    if without_bucket and names_replicas(settings):
        known = KnownFleet(fleet_of_environment(settings))
    else:
        known = known_fleet(settings, ports.bucket, model)
    mlflow = ports.mlflow or Mlflow(known.fleet.mlflow_url)
    observers = Observers((mlflow_observer(mlflow, ports.bucket, model),))
    journal = JournalWriter(
        ports.bucket,
        model,
        run_key=key,
        actor=settings.actor,
        clock=ports.clock,
        observers=observers,
        every=ports.checkpoint_every,
    )
    seen = _model_context(settings, model, known, ports, journal)
    fleet = known.fleet
    wait = Waits(
        model=model,
        rollout=seen.rollout,
        replicas=seen.replicas,
        journal=journal,
        observers=observers,
        clock=ports.clock,
        fleet=fleet,
        rpc_seconds=settings.rpc_seconds,
    )
    rings = Rings(rollout=seen.rollout, replicas=seen.replicas, wait=wait, journal=journal, fleet=fleet)
    strategy: Strategy = (
        Latest(
            rollout=seen.rollout,
            replicas=seen.replicas,
            wait=wait,
            journal=journal,
            manifests=seen.manifests,
            rings=rings,
        )
        if fleet.rollout == "latest"
        else Pinned(
            rollout=seen.rollout,
            replicas=seen.replicas,
            wait=wait,
            journal=journal,
            observers=observers,
            rings=rings,
            fleet=fleet,
        )
    )
    return RunContext(
        settings=settings,
        model=model,
        known=known,
        bucket=ports.bucket,
        mlflow=mlflow,
        clock=ports.clock,
        journal=journal,
        manifests=seen.manifests,
        rollout=seen.rollout,
        replicas=seen.replicas,
        run_key=key,
        records=RunRecords(ports.bucket, model, key),
        wait=wait,
        strategy=strategy,
        observers=observers,
    )


def _fleet_to_look_at(settings: Settings, bucket: Bucket, model: str) -> KnownFleet:
    try:
        return known_fleet(settings, bucket, model)
    except StorageError as error:
        return KnownFleet(without_replicas(settings), problem=str(error))


def _model_context(settings: Settings, model: str, known: KnownFleet, ports: Ports, journal: Journal) -> ModelContext:
    bucket, fleet = ports.bucket, known.fleet
    for remark in known.remarks:
        log.warning("%s", remark)
    signatures = Signatures(bucket, model, signing_key=settings.signing_key, verifying_key=settings.verifying_key)
    latest = fleet.rollout == "latest"
    folder = layout.published if latest else layout.version
    manifests = Manifests(bucket, model, folder=folder, signatures=signatures)
    ring = BasePath(model, bucket, journal, manifests, first_ring=True) if fleet.ring_config else None
    placement: Placement = (
        BasePathPlacement(
            model,
            everywhere=BasePath(model, bucket, journal, manifests),
            base_path=_seen_by_servers(layout.versions(model), fleet, bucket),
            first_ring=ring,
            first_ring_base_path=_seen_by_servers(layout.first_ring_versions(model), fleet, bucket),
        )
        if latest
        else ConfigPlacement(model, _seen_by_servers(layout.versions(model), fleet, bucket))
    )
    return ModelContext(
        settings=settings,
        model=model,
        known=known,
        bucket=bucket,
        mlflow=ports.mlflow or Mlflow(fleet.mlflow_url),
        clock=ports.clock,
        journal=journal,
        manifests=manifests,
        rollout=Rollout(model=model, placement=placement, bucket=bucket, journal=journal, first_ring=fleet.ring_config),
        replicas=Replicas(
            model=model,
            placement=placement,
            fleet=ports.fleet or fleet.connect_with(settings),
            others=OtherModels(model, folder=Path(settings.models), bucket=bucket),
            bucket=bucket.uri(),
            rpc_seconds=settings.rpc_seconds,
            silent_seconds=fleet.silent_seconds,
            clock=ports.clock,
            make_workers=partial(ports.workers, settings.canary_threads),
        ),
    )


def _seen_by_servers(folder: str, fleet: FleetSpec, bucket: Bucket) -> str:
    """The address of a folder for servers. Those that cannot read the bucket read a copy of it in another place."""
    return f"{fleet.server_root.rstrip('/')}/{folder}" if fleet.server_root else bucket.uri(folder)


def _require_model_name(model: str) -> None:
    if not is_model(model):
        raise BadInputError(f"{model!r} is not a model name: a letter, then letters, digits and _ (at most 40)")
