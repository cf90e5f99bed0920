"""Worlds that begin after some releases: those are made once per test process, and their bucket is copied."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from pipeline.deployment import RolloutName
from pipeline.journal.state import resident
from serving.errors import UnreachableError
from serving.grpc_replica import GrpcReplica
from tests.releases import MODEL, World, eventually

# For how long the replicas may take to load what is there; no test fails on a clock.
PATIENCE = 60.0


def start_released(world: World, count: int) -> None:
    """Let the runs `retrain-1` to `retrain-<count>` have been released, and the last of them serve.

    The bucket is as `World.release` has left it in another world of the same roll-out, and the replicas start on it, so
    its entries may be some minutes old. For worlds in which nothing was done yet.
    """
    assert 0 == world.history().seq, "something was done in this world, and would be lost"
    world.stop()
    made = _made(world.rollout, count)
    shutil.copytree(made.folder, world.folder, dirs_exist_ok=True)
    if world.config.exists():  # of the pinned roll-out; it says where the versions are
        world.config.write_text(world.config.read_text().replace(str(made.bucket), str(world.bucket)))
    for replica in world.replicas:
        replica.start()
    # Below a base path servers load the highest version alone.
    loaded = [count] if world.rollout == "latest" else list(resident(world.history().state))
    wanted = [loaded] * len(world.replicas)
    assert eventually(lambda: wanted == _loaded(world), PATIENCE), f"{wanted} != {_loaded(world)}"
    answering = [count] * len(world.replicas)
    assert eventually(lambda: answering == world.answering(), PATIENCE), world.answering()


@cache
def _made(rollout: RolloutName, count: int) -> World:
    """A world after so many releases, stopped, without what its replicas have put into its bucket."""
    folder = Path(tempfile.mkdtemp(prefix="released-"))
    atexit.register(shutil.rmtree, folder)
    world = World(folder, follow_seconds=PATIENCE, rollout=rollout)
    world.start()
    try:
        for number in range(1, count + 1):
            world.release(f"retrain-{number}")
    finally:
        world.stop()
    for link in folder.rglob(f"{MODEL}-127.*"):
        link.unlink()
    return world


def _loaded(world: World) -> list[list[int]]:
    found = []
    for each in world.replicas:
        with GrpcReplica(each.address, timeout=2.0) as replica:
            try:
                statuses = replica.statuses(MODEL)
            except UnreachableError:  # below a base path a server starts in its own time
                statuses = []
        found.append(sorted(status.version for status in statuses if status.available))
    return found
