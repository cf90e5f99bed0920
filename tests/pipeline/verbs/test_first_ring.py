"""Roll-backs, `reconcile` and `retain` over a fleet with a first ring, in simulated time but for one test."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import CouldNotTellError
from pipeline.inspection.rollback_plan import plan
from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest
from pipeline.spec import RetentionPolicy
from pipeline.verbs.reconcile import Repairs, reconcile
from pipeline.verbs.retain import retain
from pipeline.verbs.status import status
from serving.grpc_replica import GrpcReplica
from tests.fleet import RunningReplica
from tests.hunts import hunt
from tests.protocol.clock import VirtualClock
from tests.protocol.world import MODEL, Crash, World
from tests.releases import World as RealWorld
from tests.releases import eventually

ROLLOUTS: tuple[RolloutName, ...] = ("pinned", "latest")
RING, *OTHERS = ("replica-0:8500", "replica-1:8500", "replica-2:8500")


@pytest.fixture(params=ROLLOUTS)
def world(request: pytest.FixtureRequest) -> World:
    """v2 serves and v1 is previous, on three replicas; the first one is the first ring."""
    return released(request.param)


def released(rollout: RolloutName) -> World:
    made = World(rollout, first_ring=True)
    for run_key in ("retrain-1", "retrain-2"):
        made.approve(run_key)
        assert made.release(run_key) == "done"
    made.clock.sleep(5.0)
    return made


def expose(world: World, *, settled: bool = True) -> None:
    """Expose v3 to the first ring, as a canary does that has got no further since."""
    world.approve("retrain-3")
    assert world.verb("publish", "retrain-3") == "done"
    context = world.context("retrain-3")
    context.journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2, first_ring_only=True))
    if settled:
        context.rollout.settle()
        world.clock.sleep(4.0)


def expose_everywhere(world: World) -> None:
    """The canary of v3 ends when it asks the last replica."""
    world.approve("retrain-3")
    assert world.verb("publish", "retrain-3") == "done"

    def asked(address: str) -> None:
        if address == OTHERS[-1] and world.history().state.candidate == 3:
            raise Crash

    world.on_question = asked
    assert world.verb("canary", "retrain-3") == "crashed"
    world.on_question = lambda _: None
    assert world.history().of_version(3, Event.EXPOSED_EVERYWHERE)


def words(world: World, to: str = "previous") -> str:
    request = RollbackRequest("rollback-9", to, "it is bad", world.history().seq)
    return plan(world.context("rollback-9"), request)[1]


def repaired(world: World) -> Repairs:
    return reconcile(world.context(world.new_key("reconcile")))


class TestRollback:
    def test_the_plan_says_that_the_first_ring_loads_the_target_first(self) -> None:
        world = released("pinned")
        expose(world)

        told = words(world)

        assert (
            "`previous` is v1: v2 will be replaced by v1; v1 is in memory. The replicas use it within one poll" in told
        )
        assert re.search(
            rf"\. The first ring \({RING}\) has v3, a candidate, in its place: it loads v1 first, about [0-9]+ s, and "
            r"answers from v2 meanwhile",
            told,
        )

    def test_the_plan_says_nothing_of_a_first_ring_that_has_the_target(self) -> None:
        assert "first ring" not in words(released("pinned"))

    def test_the_others_switch_at_once_and_the_first_ring_when_it_has_loaded_the_target(self) -> None:
        world = released("pinned")
        expose(world)

        assert "done" == world.roll_back("previous", run_key="rollback-9", seen=world.history().seq)
        assert {RING: 1, **dict.fromkeys(OTHERS, 1)} == world.answering()
        assert (1, None) == (world.history().state.serving, world.history().state.candidate)
        assert not world.history().of_run("rollback-9", Event.EXPOSED), "the others had it in memory"

    def test_where_a_candidate_has_the_traffic_of_the_first_ring_previous_takes_it_back(self) -> None:
        """The roll-out latest: users of the first ring meet v3, and those of the other replicas v2."""
        world = released("latest")
        expose(world)
        assert {RING: 3, **dict.fromkeys(OTHERS, 2)} == world.answering()

        assert "`previous` is v2: v3, a candidate under test in the first ring, will be replaced by v2" in words(world)
        assert "done" == world.roll_back("previous", run_key="rollback-9", seen=world.history().seq)
        assert {RING: 2, **dict.fromkeys(OTHERS, 2)} == world.answering()
        assert (Event.WITHDRAWN, 3) in [(each.event, each.version) for each in world.history().all()]

    def test_without_the_bucket_a_candidate_never_gets_the_label(self) -> None:
        world = released("pinned")
        expose(world)
        strategy = world.context("rollback-9").strategy

        with pytest.raises(CouldNotTellError) as newer:
            strategy.move_without_bucket("3")
        with pytest.raises(CouldNotTellError) as older:
            strategy.move_without_bucket("1")

        assert f"{RING}: not changed, because it answers v2, and v3 is newer and perhaps unproven" in str(newer.value)
        assert (
            f"{RING}: not changed, because it has v2 and v3 (perhaps a candidate under test) in memory and not v1"
        ) in str(older.value)

    def test_without_the_bucket_a_first_candidate_never_gets_the_label(self) -> None:
        """No replica answers from any version, so nothing says which one is good."""
        world = World("pinned", first_ring=True)
        world.approve("retrain-1")
        assert "done" == world.verb("publish", "retrain-1")
        context = world.context("retrain-1")
        context.journal.decide(lambda h: run_rules.expose(h, version=1, compared_with=None, first_ring_only=True))
        context.rollout.settle()
        world.clock.sleep(4.0)

        with pytest.raises(CouldNotTellError, match="no replica answers from any version, so v1 may be unproven"):
            world.context("rollback-9").strategy.move_without_bucket("1")
        assert {None} == set(world.answering().values())


class TestReconcile:
    @pytest.mark.parametrize("everywhere", [False, True])
    def test_a_candidate_whose_run_has_stopped_is_withdrawn_from_both_rings(
        self, world: World, everywhere: bool
    ) -> None:
        expose_everywhere(world) if everywhere else expose(world)
        world.clock.sleep(100.0)

        found = repaired(world)

        assert [] == found.problems
        assert any("v3 withdrawn" in line for line in found.repaired)
        assert not world.history().state.first_ring_only
        assert {RING: 2, **dict.fromkeys(OTHERS, 2)} == world.answering()
        assert all(3 not in versions for versions in world.loaded().values())

    def test_a_candidate_whose_run_is_active_is_left_to_it_at_once(self, world: World) -> None:
        """Also in the roll-out latest, where the first ring answers from it and not from what serves."""
        expose(world)
        before = world.clock.monotonic()

        found = repaired(world)

        assert [] == found.problems
        assert any(line.startswith("retrain-3 is testing v3 in the first ring, exposed at") for line in found.left)
        assert world.clock.monotonic() - before < 1.0

    def test_both_configs_are_repaired_and_named(self, world: World) -> None:
        expose(world, settled=False)

        found = repaired(world)

        assert [
            f"{key} was written from journal entry 15"
            for key in (layout.first_ring_config(MODEL), layout.config(MODEL))
        ] == [line for line in found.repaired if "was written" in line]
        assert [] == [line for line in repaired(world).repaired if "was written" in line]


class InMonths(VirtualClock):
    """The clock of somebody who comes later than any limit."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=100)


class TestRetain:
    POLICY = RetentionPolicy(keep=1, days=1, run_days=1)

    def retained(self, world: World) -> tuple[list[int], list[str]]:
        """The versions below the base path of the first ring afterwards, and the names that are reported."""
        context = replace(world.context("retain-1"), clock=InMonths())
        found = retain(context, self.POLICY, dry_run=False)
        names = world.bucket.names(layout.first_ring_versions(MODEL))
        return sorted(layout.version_numbers(names)), list(found.unknown)

    def test_copies_of_retired_versions_in_the_first_ring_are_deleted_too(self) -> None:
        """Such as one that a process has left which died after the removal from the journal."""
        world = released("latest")
        for run_key in ("retrain-3", "retrain-4"):
            world.approve(run_key)
            assert "done" == world.release(run_key)
        context = world.context("look-1")
        manifest = context.manifests.read(1, world.history())
        world._is_watched = False
        world.bucket.copy(
            layout.published(MODEL, 1), layout.first_ring_version(MODEL, 1), expected=manifest.files, still=None
        )

        below, unknown = self.retained(world)

        assert ([3, 4], []) == (below, unknown)
        assert world.history().retirement(1)

    def test_unknown_names_in_the_first_ring_are_reported_and_stay(self) -> None:
        world = released("latest")
        world._is_watched = False
        world.bucket.create(f"{layout.first_ring_versions(MODEL)}/notes/a.txt", b"mine")

        assert ["first_ring/digits/notes"] == self.retained(world)[1]
        assert world.bucket.read("first_ring/digits/notes/a.txt") == b"mine"

    def test_what_either_config_names_stays(self) -> None:
        world = released("pinned")
        for run_key in ("retrain-3", "retrain-4"):
            world.approve(run_key)
            assert "done" == world.release(run_key)
        context = replace(world.context("retain-1"), clock=InMonths())

        lines = retain(context, self.POLICY, dry_run=True).lines

        named = [line.version for line in lines if "named by the config" in line.why]
        assert [3, 4] == named


@pytest.fixture(params=ROLLOUTS)
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealWorld]:
    """Three real servers, the first of which is the first ring; v2 serves and v1 is previous."""
    made = RealWorld(tmp_path, rollout=request.param, first_ring=True)
    made.start(3)
    for run_key in ("retrain-1", "retrain-2"):
        made.release(run_key)
    yield made
    made.stop()


@hunt
def test_real_servers_follow_a_roll_back_while_the_first_ring_has_a_candidate(servers: RealWorld) -> None:
    """The server of the first ring refuses a label on a version that it has not loaded, and is repaired."""
    servers.publish("retrain-3")
    context = servers.context("retrain-3")
    context.journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2, first_ring_only=True))
    context.rollout.settle()
    seen_by_users = [3, 2, 2] if servers.rollout == "latest" else [2, 2, 2]
    assert eventually(lambda: [True, False, False] == [has_loaded(3, each) for each in servers.replicas])
    assert eventually(lambda: seen_by_users == servers.answering())
    found = status(servers.context("status-0"))
    assert [] == [each for each in found.differences if "MLflow" not in each]

    done = servers.roll_back("1")

    assert 1 == done.version
    assert [1, 1, 1] == servers.answering()


def has_loaded(version: int, server: RunningReplica) -> bool:
    with GrpcReplica(server.address, timeout=2.0) as replica:
        found = replica.status(MODEL, version)
        return found is not None and found.available
