"""Replicas that come, go and change while a wait runs: real model servers behind a real DNS server.

All of them listen on one port, as pods do, each on an address of its own.
"""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.rollout.wait_result import ReplicaState, WaitResult
from pipeline.rollout.waiting import Goal, wait_for
from pipeline.rollout.workers import Threads
from pipeline.verdicts.verdict import Decision
from serving.fleet.fleet import parse_fleet
from serving.replica import Replica
from tests.dns_server import DnsServer
from tests.fleet import RunningReplica, write_classifier
from tests.hunts import hunt
from tests.ports import free_port

MODEL = "digits"
ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@dataclass
class Pods:
    """Model servers by address, and the DNS server that lists them under the name of the model."""

    folder: Path
    dns: DnsServer
    port: int = field(default_factory=free_port)
    running: dict[str, RunningReplica] = field(default_factory=dict)

    def start(self, *hosts: str, model: str = MODEL) -> None:
        for host in hosts:
            pod = RunningReplica(base_path=self.folder / model, restarting=True, host=host, port=self.port)
            pod.start()
            self.running[host] = pod

    def stop(self, host: str) -> None:
        self.running.pop(host).stop()

    def list(self, *hosts: str) -> None:
        self.dns.table[MODEL] = hosts

    def address(self, host: str) -> str:
        return f"{host}:{self.port}"

    def wait(
        self, *, minimum: int, deadline: float = 20.0, at_first_look: Callable[[], None] | None = None
    ) -> WaitResult:
        """Wait until all have version 1; a test may change the pods when the first of them is looked at."""
        changes = [at_first_look] if at_first_look else []

        def look(replica: Replica) -> ReplicaState:
            if changes:
                changes.pop()()
            status = replica.status(MODEL, 1)
            return ReplicaState(replica.address, ready=bool(status and status.available), message=f"v1: {status}")

        return wait_for(
            Goal(action="load v1", look=look, deadline=deadline, grace=60.0, wanted=lambda: True),
            fleet=parse_fleet(self.dns.uri(MODEL, self.port), expected=minimum),
            rpc_seconds=1.0,
            clock=SystemClock(),
            workers=Threads(8),
        )


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    try:
        socket.create_server((TWO, 0)).close()
    except OSError:
        pytest.skip(f"{TWO} is no address of this machine. On macOS: sudo ifconfig lo0 alias {TWO} (and {THREE})")
    for model in (MODEL, "cats"):
        write_classifier(tmp_path / model / "1")
    with DnsServer({}) as dns:
        pods = Pods(tmp_path, dns)
        yield pods
        for host in list(pods.running):
            pods.stop(host)


@hunt
def test_f28_a_replica_that_is_new_during_a_wait_must_be_ready_too(pods: Pods) -> None:
    pods.start(ONE)
    pods.list(ONE)

    result = pods.wait(minimum=1, deadline=3.0, at_first_look=lambda: pods.list(ONE, TWO))

    assert not result.complete
    assert (pods.address(TWO),) == tuple(state.address for state in result.pending)


def test_f28_a_new_replica_that_becomes_ready_completes_the_wait(pods: Pods) -> None:
    pods.start(ONE)
    pods.list(ONE)

    def grow() -> None:
        pods.list(ONE, TWO)
        pods.start(TWO)

    result = pods.wait(minimum=1, at_first_look=grow)

    assert result.complete
    assert (pods.address(ONE), pods.address(TWO)) == result.ready


def test_f29_a_replica_that_is_gone_and_replaced_is_dropped(pods: Pods) -> None:
    pods.start(ONE, THREE)
    pods.list(ONE, TWO)

    result = pods.wait(minimum=2, at_first_look=lambda: pods.list(ONE, THREE))

    assert result.complete
    assert (pods.address(ONE), pods.address(THREE)) == result.ready


@hunt
def test_f29_a_replica_that_is_gone_and_not_replaced_leaves_too_few(pods: Pods) -> None:
    pods.start(ONE, TWO)
    pods.list(ONE, TWO)

    result = pods.wait(minimum=2, deadline=3.0, at_first_look=lambda: pods.list(ONE))

    assert not result.complete
    assert "only 1 of 2 replicas are listed" in str(result)


def test_f30_a_stale_address_is_pending_while_it_is_listed(pods: Pods) -> None:
    pods.start(ONE, TWO)
    pods.list(ONE, TWO)
    pods.stop(TWO)

    result = pods.wait(minimum=1, deadline=2.0)

    assert Decision.UNKNOWN == result.verdict().decision
    assert f"{pods.address(TWO)}: UNAVAILABLE: no connection" in str(result)


@hunt
def test_f30_an_address_where_another_model_answers_is_not_ready(pods: Pods) -> None:
    pods.start(ONE)
    pods.start(TWO, model="cats")
    pods.list(ONE, TWO)

    result = pods.wait(minimum=2, deadline=3.0)

    assert Decision.FAIL == result.verdict().decision
    assert f"{pods.address(TWO)}: v1: None" == str(result)


def test_f31_zero_addresses_never_pass(pods: Pods) -> None:
    result = pods.wait(minimum=1, deadline=1.0)

    assert Decision.UNKNOWN == result.verdict().decision
    assert "only 0 of 1 replicas are listed" in str(result)
    assert "The name does not exist, or has no addresses" in str(result)


@hunt
def test_f31_a_dns_server_that_fails_never_passes_and_the_wait_ends_at_its_deadline(pods: Pods) -> None:
    """The list that is known is used for a minute. It is no proof, and must not prolong the wait."""
    pods.start(ONE)
    pods.list(ONE)

    def fail() -> None:
        pods.dns.failing = True

    start = time.monotonic()
    result = pods.wait(minimum=1, deadline=2.0, at_first_look=fail)

    assert time.monotonic() - start < 30
    assert Decision.UNKNOWN == result.verdict().decision
    assert "could not be looked up: SERVFAIL" in str(result)


def test_f32_one_address_for_three_replicas_is_refused_with_the_reason(pods: Pods) -> None:
    pods.start(ONE)
    pods.list(ONE)

    result = pods.wait(minimum=3, deadline=1.0)

    assert not result.complete
    assert "only 1 of 3 replicas are listed by dns://" in str(result)
    assert "A load balancer, or a Service with a ClusterIP, has a virtual address" in str(result)
    assert "Use a headless Service: `clusterIP: None`" in str(result)
