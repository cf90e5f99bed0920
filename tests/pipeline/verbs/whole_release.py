"""A program for the tests: whole releases with a real network, in buckets of several kinds. Prints JSON.

    python -m tests.pipeline.verbs.whole_release FOLDER ROOT...

A ROOT is `gs://...`, `s3://...`, or `disk`. In each bucket: two releases, `snapshot ... promote`, and a roll-back.
Servers read a folder and gs:// themselves; in front of s3:// they read a folder that `sync` keeps.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from pipeline import layout
from serving.grpc_replica import GrpcReplica
from serving.replica import STABLE
from serving.signature import inputs_of, labels_of
from tests.fleet import RunningReplica
from tests.pipeline.verbs.relabelling import RELEASED, Replica, draw, run, write_model_file
from tests.releases import MODEL, World
from tests.synced import SyncedWorld

LABELS = ("bird", "cat", "dog")


class DirectWorld(World):
    def replica(self, *, default_flags: bool = False, first_ring: bool = False) -> RunningReplica:
        return Replica(f"{self.cloud}/{layout.config(MODEL)}" if self.cloud else self.config)


class InFrontOfS3(SyncedWorld):
    def replica(self, *, default_flags: bool = False, first_ring: bool = False) -> RunningReplica:
        return Replica(self.synced_config())


def answered_label(world: World, image: bytes) -> str:
    """What traffic is told about an image."""
    with GrpcReplica(world.replicas[0].address, timeout=5.0) as replica:
        answer = replica.predict(MODEL, inputs_of([image]), label=STABLE)
    return labels_of(answer.outputs)[0]


def release(folder: Path, images: Path, root: str) -> dict[str, Any]:
    folder.mkdir()
    write_model_file(folder, images)
    kind = InFrontOfS3 if root.startswith("s3://") else DirectWorld
    cloud = None if root == "disk" else root
    world = kind(folder, cloud=cloud, mlflow_url=f"sqlite:///{images.parent}/mlflow.db", follow_seconds=30.0)
    world.start(count=1)
    try:
        first = run(world, "retrain-1", RELEASED)["ended"]
        second = run(world, "retrain-2", RELEASED, learning_rate=0.02)
        ended = [first, second["ended"]]
        if ended != ["done", "done"]:
            return {"ended": ended, "compared": None, "label": None, "before": None, "after": None}
        before = world.answering()
        label = answered_label(world, (images / "cat" / "60.png").read_bytes())
        world.roll_back("previous")
        return {
            "ended": ended,
            "compared": second["compared"] == second["held_out"],
            "label": label,
            "before": before,
            "after": world.answering(),
        }
    finally:
        world.stop()


def main(folder: Path, roots: list[str]) -> None:
    images = folder / "images"
    for label in LABELS:
        draw(images, label)
    seen = {}
    for number, root in enumerate(roots):
        seen[root.partition(":")[0]] = release(folder / str(number), images, root)
        shutil.rmtree(folder / str(number))
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
