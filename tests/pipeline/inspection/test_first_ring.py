"""What `status` says of a fleet with a first ring, and of one without: in simulated time, over both roll-outs."""

import io

import pytest
from rich.console import Console

from pipeline import layout
from pipeline.deployment import Deployment, RolloutName
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import MAIN, FleetSpec, ReplicaGroup
from pipeline.inspection.status import Status, table
from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from pipeline.verbs.status import status
from tests.protocol.simulated import SimulatedFleet, SimulatedReplica
from tests.protocol.world import MODEL, PASS, World

ROLLOUTS: tuple[RolloutName, ...] = ("pinned", "latest")


@pytest.fixture(params=ROLLOUTS)
def world(request: pytest.FixtureRequest) -> World:
    """v2 serves and v1 is previous, on three replicas; the first one is the first ring."""
    return released(request.param)


def released(rollout: RolloutName, *, first_ring: bool = True) -> World:
    made = World(rollout, first_ring=first_ring)
    for run_key in ("retrain-1", "retrain-2"):
        made.approve(run_key)
        assert made.release(run_key) == "done"
    made.clock.sleep(5.0)
    return made


def look(world: World) -> Status:
    return status(world.context("status-0"))


def shown(found: Status) -> str:
    """What a person sees, on one line."""
    told = io.StringIO()
    Console(file=told, width=200).print(table(found))
    return " ".join(told.getvalue().split())


def expose(world: World, *, seconds: float) -> None:
    """Expose v3 to the first ring, as a canary does that has got no further since."""
    world.approve("retrain-3")
    assert world.verb("publish", "retrain-3") == "done"
    context = world.context("retrain-3")
    context.journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2, first_ring_only=True))
    context.rollout.settle()
    world.clock.sleep(seconds)


def move(world: World, number: int, *, first_ring: bool) -> None:
    """Let a server poll what the first ring should, or what all others should."""
    replica = world.replica_elsewhere(number)
    moved = SimulatedReplica(
        replica.address,
        model=MODEL,
        bucket=world.bucket,
        clock=world.clock,
        timing=replica._timing,
        latest=world.rollout == "latest",
        first_ring=first_ring,
    )
    world.replicas[number].stop()
    world.replicas[number] = world.fleet.replicas[moved.address] = moved
    if world.fleet.first_ring is not None and number == 0:
        world.fleet.first_ring.replicas[moved.address] = moved
    moved.start()
    world.clock.sleep(3.0)


def test_the_replicas_of_the_first_ring_are_marked_and_each_config_has_its_entry(world: World) -> None:
    found = look(world)
    as_json = found.as_json()

    assert [] == found.differences + found.notes
    assert "replica-0:8500 (first ring)" in shown(found)
    assert "configs from entry 12;" in shown(found)
    assert [True, False, False] == [each["first_ring"] for each in as_json["replicas"]]
    assert {layout.first_ring_config(MODEL): 12, layout.config(MODEL): 12} == as_json["config_entries"]


class TestCandidate:
    def test_in_the_first_ring_is_named_with_what_comes_next(self, world: World) -> None:
        expose(world, seconds=4.0)
        found = look(world)
        traffic = ", and gets the traffic of these replicas" if world.rollout == "latest" else ""

        assert [] == found.differences
        assert "v3 is being tested by retrain-3 in the first ring alone (replica-0:8500) since" in shown(found)
        assert f" UTC{traffic}. When it has passed there and was observed for 2 s, the other replicas load it" in shown(
            found
        )
        assert found.as_json()["proving"]["first_ring_only"]

    def test_on_every_replica_is_named_with_the_ring_that_it_has_passed(self, world: World) -> None:
        world.approve("retrain-3")
        assert world.verb("publish", "retrain-3") == "done"
        seen: list[Status] = []

        def asked(address: str) -> None:
            exposed_everywhere = world.history().all()[-1].event is Event.EXPOSED_EVERYWHERE
            if exposed_everywhere and address == "replica-2:8500" and not seen:
                seen.append(look(world))

        world.on_question = asked
        assert world.verb("canary", "retrain-3") == "done"
        (found,) = seen

        assert [] == [each for each in found.differences if "MLflow" not in each]
        assert "v3 is being tested by retrain-3 on every replica, after the first ring, since" in shown(found)
        assert not found.as_json()["proving"]["first_ring_only"]

    @pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6, 1.0, 1.5, 2.5])
    def test_that_the_first_ring_is_loading_or_unloading_is_no_difference(self, world: World, seconds: float) -> None:
        expose(world, seconds=seconds)
        assert [] == look(world).differences

        context = world.context("retrain-3")
        context.journal.decide(
            lambda h: run_rules.withdraw(h, version=3, run_key="retrain-3", reason="late", verdict=None)
        )
        context.rollout.settle()
        world.clock.sleep(seconds)
        found = look(world)

        assert [] == [each for each in found.differences if "MLflow" not in each]
        for sentence in found.under_way:
            assert sentence.startswith("replica-0:8500 (first ring) is loading v"), "the others never unloaded it"

    def test_whose_run_has_stopped_is_a_difference_that_names_the_ring(self, world: World) -> None:
        expose(world, seconds=100.0)

        (sentence,) = [each for each in look(world).differences if "its run has stopped" in each]
        assert sentence.startswith("v3 of retrain-3 is the candidate in the first ring since ")


class TestServerOfTheOtherConfig:
    def test_in_the_first_ring_never_sees_the_candidate(self, world: World) -> None:
        move(world, 0, first_ring=False)
        assert [] == look(world).differences, "until a candidate comes both configs say the same"
        expose(world, seconds=4.0)
        flag = {
            "pinned": "--model_config_file=/memory/first_ring/digits.config",
            "latest": "--model_base_path=/memory/first_ring/digits",
        }[world.rollout]

        (sentence,) = look(world).differences
        assert sentence.startswith("replica-0:8500 is in the first ring, and has not begun to load v3, which was")
        assert sentence.endswith(f"Start it with {flag}. Until then no candidate can be proven")

    def test_beyond_the_first_ring_has_the_candidate_too_early(self, world: World) -> None:
        move(world, 2, first_ring=True)
        expose(world, seconds=4.0)
        flag = {
            "pinned": "--model_config_file=/memory/serve/digits.config",
            "latest": "--model_base_path=/memory/serve/digits",
        }[world.rollout]

        (sentence,) = look(world).differences
        assert sentence.startswith("replica-2:8500 is not in the first ring, and has v3, a candidate for the first")
        assert f"Start it with {flag}. If it should be in the first ring, name it in that group" in sentence


@pytest.mark.parametrize("behind", ["first ring", "other replicas"])
def test_an_interrupted_pair_of_configs_names_the_one_that_is_behind(behind: str) -> None:
    world = released("pinned")
    key = layout.first_ring_config(MODEL) if behind == "first ring" else layout.config(MODEL)
    old = world.bucket.read(key)
    world._is_watched = False  # nothing was asked in the first ring, and a config is overwritten
    expose(world, seconds=0.0)
    context = world.context("retrain-3")
    # The entry after which only the other config was written.
    context.journal.decide(lambda h: run_rules.expose_everywhere(h, version=3, compared_with=2, verdict=PASS))
    context.rollout.settle()
    world.bucket.replace(key, old, instead_of=world.bucket.read(key))
    world.clock.sleep(4.0)

    (sentence,) = [each for each in look(world).differences if "config of" in each]
    assert sentence.startswith(f"the config of the {behind} ({key}) was made from journal entry 12, ")
    assert "a command stopped half-way. Run `understudy reconcile --model digits`" in sentence


def record(world: World, *, minimum: int) -> None:
    """Write a fleet record with all replicas in one group."""
    replicas = ",".join(replica.address for replica in world.replicas)
    fleet = FleetSpec(
        **{name: getattr(world._settings, name) for name in Deployment.model_fields},
        groups={MAIN: ReplicaGroup.model_validate({"replicas": replicas, "minimum": minimum})},
    )
    written = FleetRecord(number=1, at=world.clock.now(), actor="ann", reason="a test", fleet=fleet)
    assert FleetRecords(world.bucket, MODEL).create(written)
    # The very replicas of the record, which are no others.
    world._settings = world._settings.model_copy(update={"expected_replicas": minimum})


class TestWithout:
    def test_one_note_says_what_that_risks_and_how_to_get_one(self) -> None:
        found = look(released("pinned", first_ring=False))

        assert [] == found.differences
        assert found.as_json()["agrees"]
        (note,) = found.notes
        assert note == (
            "the fleet has no first ring, so all 3 replicas load a candidate at once: one that ends or blocks its "
            "server leaves users without an answer until it is taken back. To expose candidates to one replica before "
            "the others: `understudy init --model digits --replicas first=replica-0:8500 --replicas "
            "rest=replica-1:8500,replica-2:8500 --first-ring first`, then do what that command prints"
        )

    def test_a_minimum_below_the_number_of_addresses_stays_one(self) -> None:
        world = released("pinned", first_ring=False)
        record(world, minimum=2)

        (note,) = look(world).notes
        assert (
            "`understudy fleet set --model digits --replicas first=replica-0:8500 --replicas "
            "rest=replica-1:8500,replica-2:8500 --minimum rest=1 --first-ring first --reason why`"
        ) in note

    def test_replicas_of_the_environment_are_in_no_command(self) -> None:
        """It would make them those of the record."""
        world = released("pinned", first_ring=False)
        record(world, minimum=3)
        two = [replica.address for replica in world.replicas[:2]]
        world._settings = world._settings.model_copy(update={"replicas": ",".join(two)})

        override, note = look(world).notes
        assert "(UNDERSTUDY_REPLICAS), instead of" in override
        assert note.startswith("the fleet has no first ring, so all ")
        assert note.endswith(" To expose candidates to one replica before the others: see docs/fleets.md")
        assert "--replicas" not in note

    def test_a_single_replica_has_no_other_one_to_try_first(self) -> None:
        world = released("pinned", first_ring=False)
        for replica in world.replicas[1:]:
            del world.fleet.replicas[replica.address]
        world.fleet.expected = 1

        assert [] == look(world).notes


@pytest.mark.parametrize("listed", ["replica-0:8500", "replica-1:8500,replica-2:8500"])
def test_an_override_that_hides_the_first_ring_makes_no_difference_of_a_canary(world: World, listed: str) -> None:
    expose(world, seconds=4.0)
    world._settings = world._settings.model_copy(update={"replicas": listed})
    world.fleet.first_ring = SimulatedFleet([], clock=world.clock, expected=1)
    for address in {replica.address for replica in world.replicas} - set(listed.split(",")):
        del world.fleet.replicas[address]
    world.fleet.expected = len(world.fleet.replicas)
    found = look(world)

    assert [] == found.differences
    assert any("UNDERSTUDY_REPLICAS" in note for note in found.notes)
