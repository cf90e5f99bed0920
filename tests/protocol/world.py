"""The verbs of a release on a bucket in memory, simulated replicas and a simulated MLflow: a fleet in microseconds.

Every side effect goes through `World.effect`, where an actor can be ended, an answer lost, or another actor let in.
What must hold after each single effect is checked there.
"""

import base64
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from pipeline import layout
from pipeline.context import Ports, RunContext, make_run_context, observed
from pipeline.deployment import Deployment, RolloutName
from pipeline.errors import StorageError, UnderstudyError
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec, ReplicaGroup
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.history import History
from pipeline.rules.rollback import RollbackRequest
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
from pipeline.spec import CanaryPolicy, Data, Image, ModelSpec, RunSpec, Training
from pipeline.storage.memory import MemoryBucket
from pipeline.storage.sums import folder_digest
from pipeline.tracking.registry import Mlflow
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.rollback import rollback
from pipeline.verdicts.verdict import Decision, Verdict
from serving.apis import model_server_config_pb2
from serving.errors import ServingError
from serving.replica import Answer
from serving.wire import Array
from tests.fleet import LABELS, Classifier
from tests.mlflow_registry import MlflowRegistry
from tests.protocol import invariants
from tests.protocol.clock import VirtualClock
from tests.protocol.in_turn import InTurn
from tests.protocol.process import Timing
from tests.protocol.ring_watch import RingWatch
from tests.protocol.simulated import Connection, SimulatedFleet, SimulatedReplica

MODEL = "digits"
REPLICAS = 3
IMAGE = b"1 one"
PASS = Verdict(decision=Decision.PASS, reasons=("good",))
# Longer than any verb may be silent before others take over.
_ABANDONED = 60.0
VERBS = {verb.name: verb for verb in RUN_VERBS}

SPEC = ModelSpec(
    name=MODEL,
    description="digits",
    owner="understudy",
    data=Data(images="builtin:digits"),
    image=Image(height=8, width=8, channels=1),
    training=Training(epochs=1),
    # How long an answer takes says nothing where time is not real.
    canary=CanaryPolicy(latency_rounds=3, latency_slack_ms=60_000),
)


# There is a checkpoint of every second entry, so that short histories have several.
_CHECKPOINT_EVERY = 2

# The objects of a bucket at one moment, by their keys.
Copy = dict[str, Any]


class Crash(BaseException):
    """The process is gone. Nothing of ours may catch it."""


class Fate(StrEnum):
    """What becomes of an actor at a side effect."""

    CRASH_BEFORE = "crashes before it"
    CRASH_AFTER = "crashes after it"
    REFUSED = "is refused by the bucket"
    ANSWER_LOST = "loses the answer to it"


@dataclass
class Interruption:
    """What happens at the effect with this number, counted from 1: somebody else acts first, and then a fate."""

    at: int
    fate: Fate | None = None
    meanwhile: Callable[[], object] | None = None


class Storage(MemoryBucket):
    """A bucket that is copied from time to time, and that people restore from a copy."""

    def copied(self) -> Copy:
        return dict(self._objects)

    def restore(self, copy: Copy) -> None:
        """As `docs/backup.md` says, but that nobody has removed the checkpoints, which are no part of a copy.

        The identity of the bucket is never lost: MLflow knows it by that.
        """
        derived = {key: each for key, each in self._objects.items() if key.startswith(("checkpoints/", "bucket.json"))}
        self._objects = copy | derived

    def lose_entries(self, *, after: int) -> None:
        for key in [key for key in self._objects if key.startswith("journal/")]:
            if key > layout.entry(MODEL, after):
                del self._objects[key]


class _Fleet(SimulatedFleet):
    """To hand a config to a replica is a side effect too."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.replicas, clock=world.clock, expected=REPLICAS)
        self._world = world
        if world.first_ring:
            self.first_ring = _FirstRing(world)

    def connect(self, address: str, *, timeout: float) -> Connection:
        return _Connection(self._world, address, timeout)


class _FirstRing(SimulatedFleet):
    """The first replicas of the fleet."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.replicas[: world.in_ring], clock=world.clock, expected=world.in_ring)
        self._world = world

    def connect(self, address: str, *, timeout: float) -> Connection:
        return _Connection(self._world, address, timeout)


class _Connection(Connection):
    def __init__(self, world: "World", address: str, timeout: float) -> None:
        super().__init__(address, world.fleet, world.clock, timeout)
        self._world = world

    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
    ) -> Answer:
        self._world.asked.add(self.address)
        self._world.on_question(self.address)
        answer = super().predict(model, inputs, version=version, label=label)
        if self._world.watch.ring:
            self._world.watch.ring.answered(self.address, answer.version)
        return answer

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        def happens() -> bool:
            super(_Connection, self).reload(config)
            return True

        self._world.effect("reload", happens)


class World:
    """A bucket, its fleet, and verbs to call on runs that have passed the gate.

    `first_ring`: the first `in_ring` replicas are one.
    """

    def __init__(self, rollout: RolloutName = "pinned", *, first_ring: bool = False, in_ring: int = 1) -> None:
        self.rollout = rollout
        self.first_ring = first_ring
        self.in_ring = in_ring
        self.clock = VirtualClock()
        self.bucket = Storage(self.effect)
        self.mlflow = MlflowRegistry(effect=lambda call: self.effect("mlflow", call))
        self.replicas = [self._replica(number) for number in range(REPLICAS)]
        self.fleet = _Fleet(self)
        self.on_question: Callable[[str], None] = lambda *_: None
        self.asked: set[str] = set()
        self._interruption: Interruption | None = None
        self._effects = 0
        self._keys = itertools.count(1)
        self._is_watched = False
        addresses = [replica.address for replica in self.replicas]
        self._settings = Settings(
            rollout=rollout,
            replicas=",".join(addresses),
            config_poll_seconds=1.0,
            rpc_seconds=1.0,
            canary_threads=1,
            load_seconds=6.0,
            follow_seconds=6.0,
            soak_seconds=2.0,
            silent_seconds=2.0,
            abandoned_seconds=_ABANDONED,
            actor="ann",
            code_version="test",
        )
        if first_ring:
            self._record_fleet({"first": addresses[:in_ring], "rest": addresses[in_ring:]})
        first = self.context("init-0")
        self.placement = first.rollout.placement
        self._manifests = first.manifests
        ring = self._ring_watch() if first_ring else None
        self.watch = invariants.Watch(self.bucket, MODEL, self.answering, self.placement, first.manifests, ring=ring)
        self._is_watched = True
        first.rollout.settle(first=True)
        for replica in self.replicas:
            replica.start()

    def _record_fleet(self, groups: Mapping[str, list[str]]) -> None:
        """The fleet record, from which verbs know of the first ring. What the settings say of the fleet it says too."""
        fleet = FleetSpec(
            **{name: getattr(self._settings, name) for name in Deployment.model_fields},
            groups={name: ReplicaGroup.model_validate({"replicas": ",".join(each)}) for name, each in groups.items()},
            first_ring="first",
        )
        record = FleetRecord(number=1, at=self.clock.now(), actor="ann", reason="a test", fleet=fleet)
        assert FleetRecords(self.bucket, MODEL).create(record)

    def _ring_watch(self) -> RingWatch:
        return RingWatch(
            self.bucket,
            MODEL,
            ring=self.replicas[: self.in_ring],
            fleet=self.fleet.replicas.values,
            dark=self.rollout == "pinned",
            content=self._content,
        )

    def _content(self, version: int, history: History) -> bytes:
        folder = self._manifests.folder(version, history)
        return b" ".join(self.bucket.read(f"{folder}/{name}") for name in ("classifier.json", "saved_model.pb"))

    def replica_elsewhere(self, number: int) -> SimulatedReplica:
        """One that is not started, and that the fleet does not know of."""
        return self._replica(number)

    def _replica(self, number: int) -> SimulatedReplica:
        return SimulatedReplica(
            f"replica-{number}:8500",
            model=MODEL,
            bucket=self.bucket,
            clock=self.clock,
            timing=Timing(phase=0.3 * number, load_seconds=0.2),
            latest=self.rollout == "latest",
            first_ring=self.first_ring and number < self.in_ring,
        )

    def effect(self, key: str, happens: Callable[[], bool]) -> bool:
        """Let a side effect happen, or what was planned for it."""
        self._effects += 1
        plan = self._interruption
        if plan is None or self._effects != plan.at:
            return self._do(key, happens)
        self._interruption = None
        if plan.meanwhile is not None:
            plan.meanwhile()
        if plan.fate is None:
            return self._do(key, happens)
        if plan.fate is Fate.CRASH_BEFORE:
            raise Crash
        if plan.fate is Fate.REFUSED:
            raise StorageError(f"cannot write {key}: 503")
        done = self._do(key, happens)
        if plan.fate is Fate.CRASH_AFTER:
            raise Crash
        raise StorageError(f"cannot write {key}: the answer was lost, and it was {done}")

    def _do(self, key: str, happens: Callable[[], bool]) -> bool:
        done = happens()
        if self._is_watched:
            self.watch.after_effect(key)
        return done

    def context(self, run_key: str) -> RunContext:
        mlflow = Mlflow("http://mlflow", self.mlflow.transport)
        ports = Ports(self.bucket, self.clock, self.fleet, mlflow, InTurn, _CHECKPOINT_EVERY)
        return make_run_context(self._settings, model=MODEL, run_key=run_key, ports=ports)

    def history(self) -> History:
        return self.context("look-0").journal.read()

    def new_key(self, kind: str) -> str:
        return f"{kind}-{next(self._keys):04d}"

    def approve(
        self, run_key: str, *, shift: int = 0, same_as: str | None = None, load_seconds: float | None = None
    ) -> None:
        """A run as it is when the gate has said yes to a model that is right, or shifted by so many classes.

        No two models have the same content, unless `same_as` names another run. `load_seconds`: how long a server takes
        to load it; None for as long as usual.
        """
        context = self.context(run_key)
        key = layout.exported(MODEL, run_key, "0" * 16)
        slow = {} if load_seconds is None else {"load_seconds": load_seconds}
        self.bucket.create(f"{key}/classifier.json", json.dumps({"shift": shift} | slow).encode())
        self.bucket.create(f"{key}/saved_model.pb", f"graph of {same_as or run_key}".encode())
        files = self.bucket.sums(key)
        probabilities, label = Classifier().answer(IMAGE)
        golden = GoldenAnswer(
            image=base64.b64encode(IMAGE).decode(), label=label.decode(), probabilities=tuple(probabilities)
        )
        spec = RunSpec(model=SPEC, run_key=run_key, requested_by="ann", note="", force=False, code_version="test")
        mlflow_run = self.mlflow.trained(run_key)
        serving = self.history().state.serving
        records: list[Record] = [
            SpecRecord(spec=spec),
            SnapshotRecord(digest="d" * 64, labels=LABELS, examples=()),
            TrainRecord(
                model_key=key,
                files=files,
                model_digest=folder_digest(files),
                mlflow_run=mlflow_run,
                mlflow_model=f"m-{mlflow_run}",
                metrics={},
            ),
            GateRecord(verdict=PASS, serving_version=serving, serving_labels=LABELS if serving is not None else None),
            ProbeSet(golden=(golden,), fresh=(LabelledImage(image=golden.image, label=golden.label),)),
        ]
        for record in records:
            context.records.finish(record)

    def verb(self, name: str, run_key: str, interruption: Interruption | None = None) -> str:
        """A verb of a run as the command line carries it out; how it ended, in a word."""
        work = partial(run_once, VERBS[name])
        ring = self.watch.ring
        if name != "canary" or ring is None or interruption is not None or not ring.is_well():
            return self._act(run_key, work, interruption)
        before, was_candidate = ring.ended(), self.history().state.candidate
        ended = self._act(run_key, work, None)
        history = self.history()
        version = history.version_of(run_key)
        if version is not None and version != was_candidate:
            with self.watch.watching():
                ring.after_canary(version, history, ended=ring.ended()[version] - before[version])
        return ended

    def release(self, run_key: str) -> str:
        """What the retrain DAG does once the gate has approved: two tasks that fail are followed by `withdraw`."""
        ended = self.verb("publish", run_key)
        for name in ("canary", "promote"):
            if ended == "done":
                ended = self.verb(name, run_key)
        if ended not in ("done", "DECLINED"):
            self.verb("withdraw", run_key)
        return ended

    def roll_back(self, to: str, *, run_key: str, seen: int, interruption: Interruption | None = None) -> str:
        request = RollbackRequest(run_key, to, "it is bad", seen)
        # One that was carried out answers with its record, whatever has been decided since.
        carried_out = self.context(run_key).records.find(RollbackRecord)
        ended = self._act(run_key, lambda context: rollback(context, request), interruption)
        if ended == "done" and carried_out is None:
            done = self.context(run_key).records.require(RollbackRecord)
            self.watch.after_roll_back(run_key, version=done.version, seen=seen)
        return ended

    def answering(self) -> dict[str, int | None]:
        """The version that traffic gets, of each replica that answers."""
        found: dict[str, int | None] = {}
        for address in self._addresses_that_answer():
            try:
                found[address] = self.fleet.connect(address, timeout=1.0).version_behind(MODEL, self.placement.label)
            except ServingError:
                continue
        return found

    def loaded(self) -> dict[str, list[int]]:
        """The versions every replica has in memory that answers."""
        found = {}
        for address in self._addresses_that_answer():
            try:
                statuses = self.fleet.connect(address, timeout=1.0).statuses(MODEL)
            except ServingError:
                continue
            found[address] = [each.version for each in statuses if each.available]
        return found

    def _addresses_that_answer(self) -> list[str]:
        """No time passes while it is found out which ones hang."""
        return [address for address, replica in self.fleet.replicas.items() if not replica.gives_no_answer]

    def reconcile(self, interruption: Interruption | None = None) -> str:
        key = self.new_key("reconcile")
        return self._act(key, lambda context: reconcile(context).require_complete(), interruption)

    def lose_the_end(self, copy: Copy) -> None:
        """The bucket has lost the entries since a copy. Nothing is decided until a person has restored the copy."""
        entries, rendered = self.history().seq, rendered_entry(self.bucket.read(layout.config(MODEL)).decode())
        left = sum(key.startswith(f"{layout.journal(MODEL)}/") for key in copy)
        self.bucket.lose_entries(after=left)
        self.watch.bucket_was_restored()
        if 0 < left < entries and rendered is not None and rendered > left:
            with self.watch.watching():
                assert self.reconcile() == "FAILED", f"nobody noticed that entries after {left} are lost"
                assert self.watch.history().seq == left, f"an entry was written, and those after {left} are lost"
        for replica in self.replicas:
            replica.stop()
        self.bucket.restore(copy)
        self.watch.bucket_was_restored()
        for replica in self.replicas:
            replica.wake()
            replica.restart()

    def _act(self, run_key: str, work: Callable[[RunContext], object], interruption: Interruption | None) -> str:
        before = self._interruption, self._effects
        self._interruption, self._effects = interruption, 0
        try:
            context = self.context(run_key)
            with observed(context):
                work(context)
        except UnderstudyError as error:
            return error.exit_code.name
        except Crash:
            return "crashed"
        finally:
            # An actor who acted in between leaves the one it interrupted to its own plan.
            self._interruption, self._effects = before
        return "done"

    def come_to_rest(self) -> None:
        """Every server is well again, and somebody looks after what was left half done."""
        for replica in self.replicas:
            replica.faults.clear()
            replica.wake()
            replica.restart()
        self.mlflow.down = False
        self.clock.sleep(_ABANDONED + 1.0)
        ended = self.reconcile()
        self.clock.sleep(5.0)
        assert ended == "done", f"nobody could mend {self.history().state}: {ended}"
        self.watch.after_act(self.answering())
        if self.placement.name == "pinned" or self.history().state.serving is not None:
            # A server that polls a base path opens its port when it finds a first version there.
            assert len(self.answering()) == len(self.fleet.addresses()), "a replica gives no answer"
        ring = self.fleet.first_ring.addresses() if self.fleet.first_ring else ()
        self.watch.at_rest(self.answering(), self.loaded(), first_ring=ring)
        before = self.history().seq
        assert self.reconcile() == "done"
        assert self.history().seq == before, "I6: there was still something to mend"
