"""What a replica costs: in the journal and the records of a release, and in a look at `kubernetes://`."""

import json
import os
import tempfile
import time
from pathlib import Path

from bench.scale.measuring import show
from pipeline import layout
from serving.fleet.kubernetes import KubernetesSource
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.objects import endpoint, endpoint_slice, pod
from tests.kubernetes.resources import PODS, SLICES
from tests.protocol.world import MODEL, REPLICAS, World

# A pod of a model server as an API server gives it, with its status and `managedFields`. An assumption.
POD_BYTES = 8_000
_IN_A_SLICE = 100


def released(replicas: int) -> World:
    """A world of simulated replicas in which two versions were released."""
    world = World()
    for number in range(REPLICAS, replicas):
        replica = world.replica_elsewhere(number)
        world.replicas.append(replica)
        world.fleet.replicas[replica.address] = replica
        replica.start()
    world.fleet.expected = replicas
    for key in ("retrain-1", "retrain-2"):
        world.approve(key)
        outcome = world.release(key)
        assert outcome == "done", outcome
    return world


def report_release(counts: list[int]) -> None:
    """What the second release adds: the entries and records that the real verbs write, over simulated replicas."""
    for count in counts:
        world = released(count)
        entries = [each for each in world.history().all() if each.run_key == "retrain-2"]
        size = sum(len(each.model_dump_json(indent=1)) for each in entries)
        names = ("canary", "promote")
        records = [world.bucket.read(layout.record(MODEL, "retrain-2", name)) for name in names]
        show(f"{count} replicas: journal entries of a release", len(entries), "entries")
        show(f"{count} replicas: bytes of these entries", size, "bytes")
        show(f"{count} replicas: bytes of the records of canary and promote", sum(map(len, records)), "bytes")


def report_discovery(count: int) -> None:
    """One look at `kubernetes://`: CPU of both sides of the connection, which are in this process."""
    with KubernetesApi() as api, tempfile.TemporaryDirectory() as folder:
        pods = [_pod(number) for number in range(count)]
        endpoints = [endpoint(each, f"10.0.{n // 250}.{n % 250 + 1}") for n, each in enumerate(pods)]
        slices = [
            endpoint_slice(f"digits-{start}", *endpoints[start : start + _IN_A_SLICE])
            for start in range(0, count, _IN_A_SLICE)
        ]
        api.cluster.put(PODS, *pods)
        api.cluster.put(SLICES, *slices)
        file = Path(folder) / "kubeconfig"
        file.write_text(api.kubeconfig(), encoding="utf-8")
        os.environ["KUBECONFIG"] = str(file)
        source = KubernetesSource("serving", "digits", 8500)
        source.replicas()
        api.asked.clear()
        began = time.process_time()
        found = source.replicas()
        seconds = time.process_time() - began
    assert len(found) == count, f"{len(found)} replicas were found"
    size = sum(len(json.dumps(each)) for each in (*pods, *slices))
    show(f"{count} pods of {POD_BYTES} bytes: calls of one look", len(api.asked), "calls")
    show(f"{count} pods of {POD_BYTES} bytes: bytes of one look", size / 1e6, "MB")
    show(f"{count} pods of {POD_BYTES} bytes: CPU of one look, of client and server together", seconds, "s")


def _pod(number: int) -> dict[str, object]:
    made = pod(f"digits-{number}")
    made["metadata"]["managedFields"] = ""
    made["metadata"]["managedFields"] = "x" * (POD_BYTES - len(json.dumps(made)))
    return made
