"""Three servers in processes of their own, the first of them the first ring, which answer from v1."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline import layout
from pipeline.deployment import Deployment, RolloutName
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec, ReplicaGroup
from pipeline.rollout.config import named_versions
from pipeline.settings import Settings
from serving.grpc_replica import GrpcReplica
from serving.replica import VersionStatus
from tests.releases import MODEL, World, eventually
from tests.sabotage.server_process import ServerProcess

REPLICAS = 3
CANDIDATE = 2
# No test fails on a clock, but for the promised one.
PATIENCE = 60.0


@dataclass(frozen=True)
class Times:
    """The times of a fleet, in seconds; see `Deployment` and `Settings`. Those that are not given are the defaults."""

    poll: float = 1.0
    rpc: float = Settings.model_fields["rpc_seconds"].default
    silent: float = Deployment.model_fields["silent_seconds"].default
    load: float = 6.0
    follow: float = 10.0
    soak: float = 2.0


@dataclass
class SabotagedFleet:
    """The fleet, and the verbs of `World` on it.

    Attributes:
        world: its replicas are the processes.
        ring: whether the first replica is the first ring.
        restarts_before: of each replica, before the candidate.
    """

    world: World
    ring: bool
    processes: list[ServerProcess]
    first_starts: list[int] = field(default_factory=list)

    @property
    def others(self) -> list[ServerProcess]:
        """The replicas beyond the first ring."""
        return self.processes[1:]

    def restarts(self) -> list[int]:
        """Of each replica, since the fleet answered from v1."""
        return [process.starts - before for process, before in zip(self.processes, self.first_starts, strict=True)]

    def first_death(self) -> float | None:
        """When the first process has ended or stopped since then, by `time.monotonic()`."""
        deaths = [
            death
            for process, before in zip(self.processes, self.first_starts, strict=True)
            for death in process.deaths[before - 1 :]
        ]
        return min(deaths, default=None)

    def offers_candidate(self) -> bool:
        """Whether any server finds the candidate, in its config or below its base path."""
        bucket = self.world.bucket
        if self.world.rollout == "latest":
            folders = (layout.first_ring_version(MODEL, CANDIDATE), layout.version(MODEL, CANDIDATE))
            return any((bucket / folder).exists() for folder in folders)
        configs = [bucket / layout.config(MODEL)] + [bucket / layout.first_ring_config(MODEL)] * self.ring
        return any(CANDIDATE in named_versions(config.read_text()) for config in configs)

    def candidates(self) -> list[VersionStatus | None]:
        """What each replica says of the candidate; None if its process has never seen it."""
        found = []
        for process in self.processes:
            with GrpcReplica(process.address, timeout=5.0) as replica:
                found.append(replica.status(MODEL, CANDIDATE))
        return found

    def answers(self) -> bool:
        """Whether every replica answers, and none from the candidate. A reissued v1 has another number."""
        return not {None, CANDIDATE}.intersection(self.world.answering())


@contextmanager
def sabotaged_fleet(
    folder: Path, *, rollout: RolloutName, ring: bool, times: Times, liveness_seconds: float
) -> Iterator[SabotagedFleet]:
    """The fleet, which has a first ring or none, for the time of the block."""
    world = World(folder, rollout=rollout, follow_seconds=PATIENCE)
    _release_first(world)
    world.extra = {"rpc_seconds": times.rpc}
    fleet = SabotagedFleet(
        world,
        ring,
        [
            ServerProcess(
                world.bucket / _source(rollout, first_ring=ring and number == 0),
                rollout=rollout,
                poll_seconds=times.poll,
                log=folder / f"server-{number}.log",
                liveness_seconds=liveness_seconds,
            )
            for number in range(REPLICAS)
        ],
    )
    world.replicas = [*fleet.processes]
    _record(fleet, times)
    world.context("init-1").rollout.settle()
    for process in fleet.processes:
        process.start()
    try:
        assert eventually(fleet.answers, PATIENCE), "the servers do not answer"
        fleet.first_starts = [process.starts for process in fleet.processes]
        yield fleet
    finally:
        world.stop()


def _release_first(world: World) -> None:
    """Release v1 on a server in this process, which starts faster."""
    world.start(count=1)
    try:
        world.release("retrain-1")
    finally:
        world.stop()


def _source(rollout: RolloutName, *, first_ring: bool) -> str:
    if rollout == "latest":
        return layout.first_ring_versions(MODEL) if first_ring else layout.versions(MODEL)
    return layout.first_ring_config(MODEL) if first_ring else layout.config(MODEL)


def _record(fleet: SabotagedFleet, times: Times) -> None:
    addresses = [process.address for process in fleet.processes]
    groups = {"first": addresses[:1], "rest": addresses[1:]} if fleet.ring else {"main": addresses}
    context = fleet.world.context("init-1")
    spec = FleetSpec(
        rollout=fleet.world.rollout,
        config_poll_seconds=times.poll,
        load_seconds=times.load,
        follow_seconds=times.follow,
        soak_seconds=times.soak,
        silent_seconds=times.silent,
        mlflow_url=fleet.world.mlflow_url,
        groups={name: ReplicaGroup.model_validate({"replicas": ",".join(each)}) for name, each in groups.items()},
        first_ring="first" if fleet.ring else None,
    )
    record = FleetRecord(number=1, at=datetime.now(UTC), actor="ann", reason="a test", fleet=spec)
    assert FleetRecords(context.bucket, MODEL).create(record)
