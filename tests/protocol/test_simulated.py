"""What only the simulated fleet has: time of its own, polls out of step, processes that are started again."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline import layout
from pipeline.rollout.wait_result import ReplicaState
from pipeline.rollout.waiting import Goal, wait_for
from pipeline.storage.memory import MemoryBucket
from serving.errors import ConnectionLostError, UnreachableError
from serving.model_server.lifecycle.aspired_versions_manager import ManagerOptions
from serving.replica import Replica
from serving.signature import inputs_of
from tests.protocol.clock import VirtualClock
from tests.protocol.in_turn import InTurn
from tests.protocol.process import Timing
from tests.protocol.simulated import SimulatedFleet, SimulatedReplica

MODEL = "digits"
ONE = (
    'model_config_list {{ config {{ name: "digits" base_path: "{base}" model_platform: "tensorflow" '
    "model_version_policy {{ specific {{ versions: {version} }} }} "
    'version_labels {{ key: "stable" value: {version} }} }} }}'
)


class World:
    """A fleet of three that polls every second, at 0.2, 0.4 and 0.6."""

    def __init__(self, *, latest: bool = False, **timing: Any) -> None:
        self.bucket = MemoryBucket()
        self.clock = VirtualClock()
        self.replicas = [
            SimulatedReplica(
                f"replica-{number}:8500",
                model=MODEL,
                bucket=self.bucket,
                clock=self.clock,
                timing=Timing(phase=0.2 * number, **timing),
                latest=latest,
            )
            for number in (1, 2, 3)
        ]
        self.fleet = SimulatedFleet(self.replicas, clock=self.clock, expected=3)

    def write(self, version: int) -> None:
        text = ONE.format(base=self.bucket.uri(layout.versions(MODEL)), version=version)
        assert self.bucket.create(layout.config(MODEL), text.encode())

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        before = self.bucket.read(layout.config(MODEL))
        assert self.bucket.replace(layout.config(MODEL), change(before), instead_of=before)

    def add(self, version: int, *, marked: bool = True) -> None:
        self.bucket.create(f"{layout.version(MODEL, version)}/classifier.json", b"{}")
        if marked:
            self.bucket.create(f"{layout.version(MODEL, version)}/saved_model.pb", b"graph")

    def start(self) -> None:
        for replica in self.replicas:
            replica.start()

    def behind(self, label: str | None = "stable") -> list[int | str | None]:
        return [self.behind_one(address, label=label) for address in self.fleet.addresses()]

    def behind_one(self, address: str, *, label: str | None = "stable", timeout: float = 1.0) -> int | str | None:
        with self.fleet.connect(address, timeout=timeout) as connection:
            try:
                return connection.version_behind(MODEL, label)
            except UnreachableError:
                return "unreachable"


@pytest.fixture
def world() -> World:
    """Every replica serves version 1."""
    made = World()
    made.write(1)
    made.add(1)
    made.start()
    made.clock.sleep(2.0)
    assert [1, 1, 1] == made.behind()
    return made


def test_time_passes_only_in_sleep() -> None:
    clock = VirtualClock()
    before = clock.now()
    clock.sleep(90.0)

    assert 90.0 == clock.monotonic()
    assert 90.0 == (clock.now() - before).total_seconds()


def test_who_is_due_acts_in_the_order_of_time() -> None:
    clock = VirtualClock()
    acts: list[tuple[str, float]] = []

    class Ticking:
        def __init__(self, name: str, due: float, every: float) -> None:
            self.name, self.due, self._every = name, due, every

        def act(self) -> None:
            acts.append((self.name, clock.monotonic()))
            self.due += self._every

    clock.add(Ticking("slow", 0.5, 2.0))
    clock.add(Ticking("quick", 0.25, 1.0))
    clock.sleep(2.5)

    assert [("quick", 0.25), ("slow", 0.5), ("quick", 1.25), ("quick", 2.25), ("slow", 2.5)] == acts


def test_replicas_follow_one_after_the_other(world: World) -> None:
    """The label gets another name, which takes one poll."""
    world.rewrite(lambda text: text.replace(b"stable", b"newest"))
    seen = []
    for _ in range(4):
        seen.append(world.behind())
        world.clock.sleep(0.25)

    assert [[1, 1, 1], [None, 1, 1], [None, None, 1], [None, None, None]] == seen


def test_replicas_look_at_their_base_path_one_after_the_other() -> None:
    world = World(latest=True)
    world.add(1)
    world.start()
    world.clock.sleep(2.0)
    assert [1, 1, 1] == world.behind(None)
    world.add(2)
    seen = []
    for _ in range(4):
        world.clock.sleep(0.2)
        seen.append(world.behind(None))

    # At 0.2, 0.4 and 0.6, and then there is a load to wait for.
    assert [[1, 1, 1], [2, 1, 1], [2, 2, 1], [2, 2, 2]] == seen


def test_a_version_that_is_not_wanted_any_more_is_tried_once_more_if_it_waits_for_its_next_try() -> None:
    """That it is not wanted is noticed after a try that failed, and never between two."""
    world = World(options=ManagerOptions(load_threads=1))
    world.add(1)
    world.write(1)
    world.start()
    world.add(2, marked=False)
    world.rewrite(lambda text: text.replace(b"versions: 1", b"versions: 1 versions: 2"))
    world.clock.sleep(2.0)
    world.rewrite(lambda text: text.replace(b" versions: 2", b""))
    world.clock.sleep(50.0)
    with world.fleet.connect("replica-1:8500", timeout=1.0) as connection:
        waiting = connection.status(MODEL, 2)
        world.clock.sleep(15.0)
        given_up = connection.status(MODEL, 2)

    assert waiting is not None
    assert "LOADING" == waiting.state
    assert given_up is not None
    assert given_up.failed


def test_an_unfinished_upload_fails_to_load() -> None:
    world = World()
    world.add(1, marked=False)
    world.write(1)
    world.start()
    world.clock.sleep(10.0)

    assert ["unreachable"] * 3 == world.behind()
    world.add(1)
    world.clock.sleep(3.0)
    assert [1, 1, 1] == world.behind(), "a process that gave up is started again"


def test_a_replica_without_a_config_is_started_again_until_there_is_one() -> None:
    world = World()
    world.start()
    world.clock.sleep(30.0)
    assert ["unreachable"] * 3 == world.behind()
    world.add(1)
    world.write(1)
    world.clock.sleep(3.0)

    assert [1, 1, 1] == world.behind()


def test_a_replica_that_was_stopped_stays_so(world: World) -> None:
    world.replicas[0].stop()
    world.clock.sleep(30.0)

    assert ["unreachable", 1, 1] == world.behind()


def test_a_restarted_replica_needs_the_time_of_a_load() -> None:
    world = World(load_seconds=5.0)
    world.add(1)
    world.write(1)
    world.start()
    world.clock.sleep(6.0)
    world.replicas[2].restart()
    world.clock.sleep(4.0)
    assert [1, 1, "unreachable"] == world.behind()
    world.clock.sleep(2.0)
    assert [1, 1, 1] == world.behind()


def test_a_process_starts_with_all_its_loads_at_once() -> None:
    world = World(load_seconds=5.0)
    for version in (1, 2):
        world.add(version)
    world.write(1)
    world.rewrite(lambda text: text.replace(b"versions: 1", b"versions: 1 versions: 2"))
    world.start()
    world.clock.sleep(6.0)

    assert [1, 1, 1] == world.behind()


def test_a_replica_that_hangs_costs_the_deadline_and_goes_on_polling(world: World) -> None:
    world.replicas[0].hanging = True
    start = world.clock.monotonic()

    assert "unreachable" == world.behind_one("replica-1:8500", timeout=5.0)
    assert start + 5.0 == world.clock.monotonic()
    world.replicas[0].hanging = False
    assert [1, 1, 1] == world.behind()


def test_a_refused_connection_costs_nothing(world: World) -> None:
    world.replicas[0].stop()
    start = world.clock.monotonic()

    assert "unreachable" == world.behind_one("replica-1:8500", timeout=5.0)
    assert start == world.clock.monotonic()


def test_whoever_is_connected_to_a_replica_that_went_gets_no_answer(world: World) -> None:
    with world.fleet.connect("replica-1:8500", timeout=1.0) as connection:
        del world.fleet.replicas["replica-1:8500"]

        assert ("replica-2:8500", "replica-3:8500") == world.fleet.addresses()
        with pytest.raises(UnreachableError, match="no connection"):
            connection.version_behind(MODEL, "stable")


def test_an_unload_takes_the_time_it_was_given() -> None:
    world = World(unload_seconds=3.0)
    world.add(1)
    world.write(1)
    world.start()
    world.clock.sleep(2.0)
    world.rewrite(lambda _: b"model_config_list {}")
    world.clock.sleep(2.0)
    with world.fleet.connect("replica-1:8500", timeout=1.0) as connection:
        leaving = connection.status(MODEL, 1)
        world.clock.sleep(3.0)
        gone = connection.status(MODEL, 1)

    assert leaving is not None
    assert "UNLOADING" == leaving.state
    assert gone is not None
    assert "END" == gone.state
    assert not gone.failed


def test_a_history_happens_twice_in_the_same_way() -> None:
    def history() -> list[list[int | str | None]]:
        world = World(load_seconds=0.7)
        world.add(1)
        world.write(1)
        world.start()
        seen = []
        for step in range(40):
            if step == 20:
                world.replicas[1].restart()
            world.clock.sleep(0.1)
            seen.append(world.behind())
        return seen

    assert history() == history()


def test_the_waits_of_the_pipeline_take_virtual_time(world: World) -> None:
    world.replicas[1].stop()
    start = world.clock.monotonic()

    def look(replica: Replica) -> ReplicaState:
        return ReplicaState(replica.address, ready=replica.version_behind(MODEL, "stable") == 1, message="the label")

    goal = Goal(action="answer from v1", look=look, deadline=60.0, grace=2.5, wanted=lambda: True)
    result = wait_for(goal, fleet=world.fleet, rpc_seconds=5.0, clock=world.clock, workers=InTurn())

    assert ("replica-1:8500", "replica-3:8500") == result.ready
    assert ["replica-2:8500"] == [state.address for state in result.pending]
    assert pytest.approx(60.0, abs=0.2) == world.clock.monotonic() - start


def test_a_wait_ends_only_when_the_members_have_held_still_for_two_rounds(world: World) -> None:
    """F28: one that comes right after a round in which all were there is looked at too, and it is not."""
    newcomer = SimulatedReplica("replica-4:8500", model=MODEL, bucket=world.bucket, clock=world.clock)

    def look(replica: Replica) -> ReplicaState:
        if replica.address == "replica-3:8500":
            world.fleet.replicas[newcomer.address] = newcomer
        return ReplicaState(replica.address, ready=replica.version_behind(MODEL, "stable") == 1, message="the label")

    goal = Goal(action="answer from v1", look=look, deadline=5.0, grace=2.5, wanted=lambda: True)
    result = wait_for(goal, fleet=world.fleet, rpc_seconds=1.0, clock=world.clock, workers=InTurn())

    assert [newcomer.address] == [state.address for state in result.pending]


@pytest.mark.parametrize("latest", [False, True])
def test_a_server_that_hangs_when_it_loads_a_version_answers_nobody_until_it_is_restarted(latest: bool) -> None:
    """Unlike one whose process ends, nothing starts it again."""
    world = World(latest=latest)
    world.write(1)
    world.add(1)
    world.start()
    world.clock.sleep(2.0)
    label = None if latest else "stable"
    world.replicas[0].faults.hangs.add(2)
    world.add(2)
    world.rewrite(lambda config: config.replace(b"versions: 1", b"versions: 1 versions: 2"))
    world.clock.sleep(60.0)
    before = world.clock.monotonic()

    assert "unreachable" == world.behind_one("replica-1:8500", label=label)
    assert 1.0 == pytest.approx(world.clock.monotonic() - before)
    assert [2 if latest else 1] * 2 == world.behind(label)[1:]
    world.replicas[0].faults.clear()
    world.replicas[0].restart()
    world.clock.sleep(2.0)
    assert [2 if latest else 1] * 3 == world.behind(label)


def test_a_server_ends_instead_of_giving_its_deadly_answer_and_is_started_again(world: World) -> None:
    """Each process counts anew, and only answers from that version."""
    replica = world.replicas[0]
    replica.faults.deadly_answers[1] = 3
    for _ in range(2):
        with world.fleet.connect(replica.address, timeout=1.0) as connection:
            for _ in range(2):
                assert 1 == connection.predict(MODEL, inputs_of([b"1 one"])).version
            with pytest.raises(ConnectionLostError, match="Socket closed"):
                connection.predict(MODEL, inputs_of([b"1 one"]))
        assert "unreachable" == world.behind_one(replica.address)
        world.clock.sleep(3.0)
        assert 1 == world.behind_one(replica.address)

    assert {1: 2} == replica.faults.ended
    assert not world.replicas[1].faults.ended
