"""Runs of the release verbs against a real fleet, from an approved model on."""

import base64
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline import layout
from pipeline.context import RunContext, make_run_context, observed
from pipeline.deployment import RolloutName
from pipeline.fleets.changes import FleetChange
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.records import (
    GateRecord,
    GoldenAnswer,
    LabelledImage,
    ProbeSet,
    Record,
    RollbackRecord,
    SnapshotRecord,
    SpecRecord,
    TrainRecord,
)
from pipeline.settings import Settings
from pipeline.spec import CanaryPolicy, Data, DataChecks, Image, ModelSpec, RunSpec, Training
from pipeline.storage.sums import MARK, folder_digest, sums_of
from pipeline.verbs.rollback import request_for, rollback
from pipeline.verdicts.verdict import Decision, Verdict
from serving.errors import UnreachableError
from serving.grpc_replica import GrpcReplica
from serving.replica import STABLE
from tests.fleet import LABELS, POLL_SECONDS, Classifier, RunningReplica, write_classifier

MODEL = "digits"
IMAGES = [f"{label} {number}".encode() for label in LABELS for number in range(3)]
# Nothing listens on the port of the discard protocol here: MLflow is down in all of these tests.
NO_MLFLOW = "http://127.0.0.1:9"

SPEC = ModelSpec(
    name=MODEL,
    description="digits",
    owner="understudy",
    # Pictures of a few pixels in one colour serve as images.
    data=Data(images="builtin:digits", checks=DataChecks(blank=None, tiny=None)),
    image=Image(height=8, width=8, channels=1),
    training=Training(epochs=1),
    canary=CanaryPolicy(latency_rounds=3),
)

# What it says of a fleet holds in both roll-outs.
over_both = pytest.mark.parametrize("world", ["pinned", "latest"], indirect=True)


@dataclass
class World:
    """A bucket, its fleet, and verbs to call on runs that have passed the gate."""

    folder: Path
    replicas: list[RunningReplica] = field(default_factory=list)
    follow_seconds: float = 5.0
    rollout: RolloutName = "pinned"
    # Whether the first replica is the first ring, which only a fleet record can say.
    first_ring: bool = False
    # gs://bucket, where that is not on this machine.
    cloud: str | None = None
    mlflow_url: str = NO_MLFLOW
    # Settings of a context that differ from those of every test.
    extra: dict[str, Any] = field(default_factory=dict)
    spec: ModelSpec = SPEC
    note: str = ""
    # What the models of all runs to come have in common; None where each has a graph of its own.
    graph: str | None = None
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    @property
    def config(self) -> Path:
        return self.bucket / layout.config(MODEL)

    def start(self, count: int = 2) -> None:
        if not self.cloud:
            self.bucket.mkdir(parents=True, exist_ok=True)
        if self.first_ring:
            self.replicas = [self.replica_of_first_ring(), *(self.replica() for _ in range(count - 1))]
            self._record_first_ring()
        self.context("init-0").rollout.settle(first=True)
        self.replicas = self.replicas or [self.replica() for _ in range(count)]
        for replica in self.replicas:
            replica.start()

    def _record_first_ring(self) -> None:
        context = self.context("init-0")
        first, *rest = (replica.address for replica in self.replicas)
        change = FleetChange(
            replicas={"first": first, "rest": ",".join(rest)}, first_ring="first", deployment={"soak_seconds": 0.5}
        )
        record = FleetRecord(
            number=1, at=context.clock.now(), actor="ann", reason="a test", fleet=change.applied(context.fleet)
        )
        assert FleetRecords(context.bucket, MODEL).create(record)

    def replica_of_first_ring(self) -> RunningReplica:
        """A server that polls what the first ring should, not started."""
        if self.rollout == "pinned":
            return RunningReplica(self.bucket / layout.first_ring_config(MODEL))
        return RunningReplica(base_path=self.bucket / layout.first_ring_versions(MODEL), restarting=True)

    def replica(self, *, default_flags: bool = False) -> RunningReplica:
        """One more server of this bucket, not started; a server that gives up is started again, as a pod is."""
        if self.rollout == "pinned":
            return RunningReplica(f"{self.cloud}/{layout.config(MODEL)}" if self.cloud else self.config)
        base_path = f"{self.cloud}/{layout.versions(MODEL)}" if self.cloud else self.bucket / layout.versions(MODEL)
        retries = 20 if self.cloud else 0
        return RunningReplica(base_path=base_path, restarting=True, default_flags=default_flags, load_retries=retries)

    def stop(self) -> None:
        for replica in self.replicas:
            replica.stop()

    def context(self, run_key: str, *, without_bucket: bool = False) -> RunContext:
        if not self.cloud and not self.bucket.exists() and not self.replicas:
            self.bucket.mkdir(parents=True)
        ours: dict[str, Any] = {
            "root": self.cloud or str(self.bucket),
            "models": self.folder,
            "replicas": ",".join(replica.address for replica in self.replicas) or "127.0.0.1:9",
            "rollout": self.rollout,
            "mlflow_url": self.mlflow_url,
            "config_poll_seconds": POLL_SECONDS,
            "storage_seconds": 2.0,
            "rpc_seconds": 1.0,
            "load_seconds": self.follow_seconds,
            "follow_seconds": self.follow_seconds,
            "actor": "ann",
            "code_version": "test",
        }
        settings = Settings(**ours | self.extra)
        return make_run_context(settings, model=MODEL, run_key=run_key, without_bucket=without_bucket)

    def history(self) -> History:
        return self.context("look-0").journal.read()

    def answering(self) -> list[int | None]:
        """The version that traffic gets, on each replica; None where it gets no answer."""
        label = STABLE if self.rollout == "pinned" else None
        found: list[int | None] = []
        for each in self.replicas:
            with GrpcReplica(each.address, timeout=2.0) as replica:
                try:
                    found.append(replica.version_behind(MODEL, label))
                except UnreachableError:
                    found.append(None)
        return found

    def approve(
        self,
        run_key: str,
        *,
        labels: tuple[str, ...] = LABELS,
        serving_labels: tuple[str, ...] = LABELS,
        golden: Classifier | None = None,
        **classifier: float,
    ) -> RunContext:
        """A run as it is when the gate has said yes, its golden answers taken from a classifier that is right."""
        context = self.context(run_key)
        key = layout.exported(MODEL, run_key, "0" * 16)
        exported = self.folder / "exported" / run_key
        write_classifier(exported, **classifier)
        (exported / MARK).write_text(f"stands for the graph of {self.graph or run_key}")
        context.bucket.upload(exported, key)
        files = sums_of(exported)
        asked = [image for image in IMAGES if image[:1].decode() in labels]
        answers = [(golden or Classifier(known=len(labels))).answer(image) for image in asked]
        serving = self.history().state.serving
        passed = Verdict(decision=Decision.PASS, reasons=("good",))
        run = RunSpec(
            model=self.spec, run_key=run_key, requested_by="ann", note=self.note, force=False, code_version="test"
        )
        records: list[Record] = [
            SpecRecord(spec=run),
            SnapshotRecord(digest="d" * 64, labels=labels, examples=()),
            TrainRecord(
                model_key=key,
                files=files,
                model_digest=folder_digest(files),
                mlflow_run="",
                mlflow_model="",
                metrics={},
            ),
            GateRecord(
                verdict=passed, serving_version=serving, serving_labels=serving_labels if serving is not None else None
            ),
            ProbeSet(
                golden=tuple(
                    GoldenAnswer(image=_encoded(image), label=label.decode(), probabilities=tuple(probabilities))
                    for image, (probabilities, label) in zip(asked, answers, strict=True)
                ),
                fresh=tuple(LabelledImage(image=_encoded(image), label=image[:1].decode()) for image in asked),
            ),
        ]
        for record in records:
            context.records.finish(record)
        return context

    def run(self, verb: str, run_key: str) -> Record:
        """A verb as the command line carries it out: settled, recorded, final."""
        (found,) = (each for each in RUN_VERBS if each.name == verb)
        context = self.context(run_key)
        with observed(context):
            return run_once(found, context)

    def publish(self, run_key: str, **classifier: Any) -> None:
        """A run that the gate has approved and that lies in the bucket, on no replica yet."""
        self.approve(run_key, **classifier)
        self.run("publish", run_key)

    def release(self, run_key: str, **classifier: float) -> int:
        """A release that goes well."""
        self.publish(run_key, **classifier)
        for verb in ("canary", "promote"):
            self.run(verb, run_key)
        version = self.history().version_of(run_key)
        assert version is not None
        return version

    def release_three(self) -> None:
        """v1 and v2 have served, v3 serves; v2 is in memory beside it and v1 is not."""
        for number in (1, 2, 3):
            self.release(f"retrain-{number}")

    def roll_back(self, to: str, *, run_key: str | None = None, reason: str = "it is bad") -> RollbackRecord:
        """A roll-back asked for now; each is a new one unless its key is given again."""
        key = run_key or f"rollback-{next(self._keys)}"
        context = self.context(key)
        with observed(context):
            return rollback(context, request_for(context, to=to, reason=reason, asked_at=None))

    def events(self, after: int = 0) -> list[tuple[Event, int]]:
        return [(entry.event, entry.version) for entry in self.history().all() if entry.seq > after]


def restart_on_an_older_config(world: World, replica: RunningReplica, *, without: int) -> None:
    """The replica comes back with a config that does not name a version yet, and sees no newer one."""
    replica.stop()
    now = world.config.read_text()
    world.config.write_text(now.replace(f" versions: {without}", ""))
    replica.sleep()
    world.config.write_text(now)
    replica.start()


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _encoded(image: bytes) -> str:
    return base64.b64encode(image).decode()
