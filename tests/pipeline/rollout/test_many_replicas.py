"""Waits over many replicas by real gRPC: some never answer, and nothing is left when a wait has ended."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.rollout.asking import Asking
from pipeline.rollout.wait_result import ReplicaState, WaitResult
from pipeline.rollout.waiting import Goal, wait_for
from pipeline.rollout.workers import Threads, Workers
from serving.errors import DiscoveryError
from serving.fleet.pod import PodReplica
from serving.grpc_replica import GrpcReplica
from serving.replica import Replica
from tests.many_ports import black_holes, many_servers
from tests.protocol.in_turn import InTurn

MODEL = "digits"
SLOTS = 16
_FILES = Path("/proc/self/fd")


@pytest.fixture(params=[Threads, InTurn])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    made: Workers = request.param(4)
    yield made
    made.close()


class TestWorkers:
    """What holds of threads, and in simulated time."""

    def test_all_work_is_done(self, workers: Workers) -> None:
        done: list[int] = []
        for number in range(20):
            workers.start(lambda number=number: done.append(number))  # type: ignore[misc]
        deadline = time.monotonic() + 10.0
        while len(done) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)

        assert set(range(20)) == set(done)

    def test_no_more_is_at_work_at_once_than_there_are_slots(self, workers: Workers) -> None:
        lock, at_once, most, done = threading.Lock(), 0, 0, threading.Semaphore(0)

        def work() -> None:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.01)
            with lock:
                at_once -= 1
            done.release()

        for _ in range(20):
            workers.start(work)
        assert all(done.acquire(timeout=10.0) for _ in range(20))

        assert most <= workers.slots

    def test_work_that_has_begun_is_done_when_they_are_closed(self, workers: Workers) -> None:
        begun, done = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            time.sleep(0.05)
            done.set()

        workers.start(work)
        begun.wait(10.0)
        workers.close()

        assert done.is_set()


@dataclass
class _Fleet:
    """A list that may change, or fail."""

    members: list[str]
    expected: int = 1
    broken: bool = False
    asked_freshly: int = 0
    on_fresh: Callable[[], None] = field(default=lambda: None)
    tls: None = None
    first_ring: None = None
    its_pods: dict[str, PodReplica] = field(default_factory=dict)

    def addresses(self) -> Sequence[str]:
        if self.broken:
            raise DiscoveryError("dns://replicas:8500 has no answer")
        return tuple(self.members)

    def fresh_addresses(self) -> Sequence[str]:
        self.asked_freshly += 1
        self.on_fresh()
        return self.addresses()

    def pods(self) -> Mapping[str, PodReplica]:
        return dict(self.its_pods)

    def shortfall(self, addresses: Sequence[str]) -> str:
        return "" if len(addresses) >= self.expected else f"only {len(addresses)} listed"

    def connect(self, address: str, *, timeout: float) -> GrpcReplica:
        return GrpcReplica(address, timeout=timeout)


def look(replica: Replica) -> ReplicaState:
    status = replica.status(MODEL, 1)
    return ReplicaState(replica.address, ready=bool(status and status.available), message="v1")


def wait(fleet: _Fleet, *, deadline: float = 30.0, rpc_seconds: float = 60.0, **how: object) -> WaitResult:
    goal = Goal(action="load v1", look=look, deadline=deadline, grace=60.0, wanted=lambda: True, **how)  # type: ignore[arg-type]
    return wait_for(goal, fleet=fleet, rpc_seconds=rpc_seconds, clock=SystemClock(), workers=Threads(SLOTS))


@pytest.fixture(scope="module")
def servers() -> Iterator[list[str]]:
    with many_servers(20) as addresses:
        yield addresses


def test_a_replica_that_never_answers_delays_no_other_and_not_the_end(servers: list[str]) -> None:
    """The wait ends as soon as the others are ready, though a question is open that may take a second."""
    with black_holes(3) as silent:
        start = time.monotonic()
        result = wait(_Fleet([*silent, *servers], expected=23), enough=lambda ready: len(ready) == len(servers))

    assert set(servers) == set(result.ready)
    assert set(silent) == {state.address for state in result.pending}
    assert all(state.silent for state in result.pending)
    assert time.monotonic() - start < 30.0, "nobody has waited for the time limit of a call"


def test_no_thread_and_no_open_question_is_left_when_a_wait_has_ended(servers: list[str]) -> None:
    before = set(threading.enumerate())
    with black_holes(3) as silent:
        wait(_Fleet([*silent, *servers]), enough=lambda ready: len(ready) == len(servers))

    assert before == set(threading.enumerate())


def test_slow_replicas_have_at_most_half_of_the_slots(servers: list[str]) -> None:
    """More of them than slots: after their first second the others are asked as before."""
    with black_holes(2 * SLOTS) as silent:
        fleet = _Fleet([*silent, *servers])
        threads = Threads(SLOTS)
        with Asking[ReplicaState](fleet, rpc_seconds=30.0, clock=SystemClock(), workers=threads) as asking:
            for address in silent:
                asking.ask(address, look)
            assert {*silent} == {reply.address for reply in asking.replies()}
            for address in [*silent, *servers]:
                asking.ask(address, look)
            answered = {reply.address for reply in asking.replies(late=5.0)}

    assert set(servers) == answered


def test_discovery_that_fails_is_pending_and_unknown_never_a_pass(servers: list[str]) -> None:
    """The wait goes on, and what is unknown at its deadline is no verdict on the version."""
    result = wait(_Fleet(servers, broken=True), deadline=0.3)

    assert not result.complete
    assert result.undiscovered
    assert "unknown: the fleet: dns://replicas:8500 has no answer" == str(result.verdict())


def test_discovery_that_fails_once_does_not_end_a_wait(servers: list[str]) -> None:
    fleet = _Fleet(servers)

    def fails_once() -> None:
        fleet.broken, fleet.on_fresh = True, lambda: None
        threading.Timer(0.3, lambda: setattr(fleet, "broken", False)).start()

    fleet.on_fresh = fails_once
    result = wait(fleet)

    assert result.complete
    assert set(servers) == set(result.ready)
    assert 2 <= fleet.asked_freshly


def test_a_replica_that_only_a_fresh_list_names_is_looked_at_too(servers: list[str]) -> None:
    """F28: it is not in the list that the wait has used so far, which may be a second old."""
    fleet = _Fleet(servers[:3])
    fleet.on_fresh = lambda: fleet.members.__setitem__(slice(None), servers[:4])
    result = wait(fleet)

    assert set(servers[:4]) == set(result.ready)


@pytest.mark.parametrize("now", [("uid-2", 0), ("uid-1", 1)], ids=["another pod", "started again"])
def test_another_process_at_the_same_address_has_to_be_ready_twice_itself(
    servers: list[str], now: tuple[str, int]
) -> None:
    """F27: only a fresh list says that it is another one, when the answers so far would have been enough."""
    before, after = (
        PodReplica(servers[0], namespace="serving", name="digits-0", uid=uid, restarts=restarts, ready=True)
        for uid, restarts in [("uid-1", 0), now]
    )
    fleet = _Fleet(servers[:3], its_pods={servers[0]: before})
    fleet.on_fresh = lambda: fleet.its_pods.update({servers[0]: after})
    result = wait(fleet)

    assert set(servers[:3]) == set(result.ready)
    assert 2 == fleet.asked_freshly, "the list was confirmed while it changed"


def _come_down_to(count: int) -> bool:
    deadline = time.monotonic() + 10.0
    while _files() > count and time.monotonic() < deadline:
        time.sleep(0.05)
    return _files() <= count


def _files() -> int:
    return sum(1 for _ in _FILES.iterdir())


@pytest.mark.skipif(not _FILES.exists(), reason="counts the open files of this process")
def test_500_replicas_need_few_threads_and_few_files() -> None:
    """Three never answer: the others are ready all the same, and everything is given back."""
    most_threads = most_files = 0
    with many_servers(500) as addresses, black_holes(3) as silent:
        wait(_Fleet(addresses[:1]))
        threads, files = threading.active_count(), _files()

        def counted(ready: Sequence[str]) -> bool:
            return len(ready) == 500

        def counting_look(replica: Replica) -> ReplicaState:
            nonlocal most_threads, most_files
            state = look(replica)
            most_threads = max(most_threads, threading.active_count())
            most_files = max(most_files, _files())
            return state

        goal = Goal(
            action="load v1", look=counting_look, deadline=60.0, grace=90.0, wanted=lambda: True, enough=counted
        )
        fleet = _Fleet([*silent, *addresses], expected=503)
        result = wait_for(goal, fleet=fleet, rpc_seconds=30.0, clock=SystemClock(), workers=Threads(SLOTS))

        assert set(addresses) == set(result.ready)
        assert most_threads - threads <= SLOTS
        assert most_files - files <= 4 * SLOTS
        assert threads == threading.active_count()
        assert _come_down_to(files + 4), "gRPC closes files in a thread of its own"
        assert wait(_Fleet(addresses, expected=500)).complete
