"""A candidate that kills the servers which load it, against servers that are real processes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FailedError
from pipeline.rollout.config import named_versions
from tests.fleet import POLL_SECONDS
from tests.releases import World, eventually
from tests.sabotage.sabotaged_fleet import PATIENCE
from tests.sabotage.sabotages import KILLED_AT_LOAD
from tests.sabotage.server_process import ServerProcess

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[World]:
    """v1 serves on two servers that are processes."""
    world = World(tmp_path, follow_seconds=PATIENCE)
    world.start(count=0)
    world.replicas = [
        ServerProcess(
            world.config,
            rollout="pinned",
            poll_seconds=POLL_SECONDS,
            log=tmp_path / f"server-{number}.log",
            liveness_seconds=PATIENCE,
        )
        for number in range(2)
    ]
    for replica in world.replicas:
        replica.start()
    assert eventually(lambda: all_answer(world), PATIENCE)
    world.release("retrain-1")
    yield world
    world.stop()


def all_answer(world: World) -> bool:
    """Whether every server has opened its port."""
    context = world.context("look-0")
    return len(context.replicas.watch_for_crashes().known) == len(world.replicas)


def test_servers_that_a_candidate_kills_answer_again_before_any_deadline(processes: World) -> None:
    """F75: the canary notices, withdraws it itself, and no server that starts afterwards loads it."""
    world = processes
    world.publish("retrain-2", **KILLED_AT_LOAD.settings())
    begin = time.monotonic()
    with pytest.raises(
        FailedError, match="its server process has stopped once since servers began to load the candidate"
    ):
        world.run("canary", "retrain-2")
    noticed = time.monotonic() - begin

    assert eventually(lambda: [1, 1] == world.answering(), PATIENCE)
    assert world.history().withdrawal(2) is not None
    assert 2 not in named_versions(world.config.read_text())
    assert noticed < world.follow_seconds, "it waited for its deadline"
    with pytest.raises(FailedError, match="v2 was withdrawn"):
        world.run("canary", "retrain-2")
    assert [1, 1] == world.answering()
