"""A candidate that kills the servers which load it, against servers that are real processes."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FailedError
from pipeline.rollout.config import named_versions
from tests.fleet import RESTART_SECONDS, RunningReplica
from tests.ports import free_port
from tests.processes.acting import PROJECT
from tests.releases import World, eventually

pytestmark = pytest.mark.timeout(300)


class ProcessReplica(RunningReplica):
    """A server in a process of its own, started again whenever it ends, as a pod is; it is never put to sleep."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.starts = 0
        self._command = [sys.executable, "-m", "tests.processes.deadly_server", str(self.port), str(config)]
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        self._over.set()
        if self._process is not None:
            self._process.kill()
        self._keeper.join()

    def _keep_alive(self) -> None:
        while not self._over.is_set():
            self.starts += 1
            self._process = subprocess.Popen(self._command, cwd=PROJECT, stdin=subprocess.DEVNULL)
            self._process.wait()
            self._over.wait(RESTART_SECONDS)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[World]:
    """v1 serves on two servers that are processes."""
    world = World(tmp_path, follow_seconds=60.0)
    world.start(count=0)
    world.replicas = [ProcessReplica(world.config) for _ in range(2)]
    for replica in world.replicas:
        replica.start()
    assert eventually(lambda: all_answer(world), 60.0)
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
    world.publish("retrain-2", kills=1.0)
    begin = time.monotonic()
    with pytest.raises(
        FailedError, match="its server process has stopped once since servers began to load the candidate"
    ):
        world.run("canary", "retrain-2")
    noticed = time.monotonic() - begin

    assert eventually(lambda: [1, 1] == world.answering(), 60.0)
    assert world.history().withdrawal(2) is not None
    assert 2 not in named_versions(world.config.read_text())
    assert noticed < world.follow_seconds, "it waited for its deadline"
    with pytest.raises(FailedError, match="v2 was withdrawn"):
        world.run("canary", "retrain-2")
    assert [1, 1] == world.answering()
