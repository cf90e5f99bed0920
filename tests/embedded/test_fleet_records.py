"""The fleet records that `make up` writes, by the real verbs, in a bucket on the disk."""

from pathlib import Path

import pytest

from embedded import fleet_records
from embedded.environment import POLL_SECONDS
from embedded.errors import StackError
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.fleets.changes import static_addresses
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.storage.local import LocalBucket
from tests.embedded.conftest import record_fleet


def record(settings: StackSettings, model: str) -> FleetRecord:
    found = FleetRecords(LocalBucket(settings.bucket), model).newest()
    assert found is not None
    return found


@pytest.fixture
def two(settings: StackSettings, tmp_path: Path) -> StackSettings:
    """A stack of two models. The file of one of them is broken, so that its name is all that is known."""
    models = tmp_path / "models"
    models.mkdir()
    for name in ("digits", "pets"):
        (models / f"{name}.yaml").write_text("name: [", encoding="utf-8")
    one_each = settings.model_copy(update={"models": models, "serving_ports": (8500,)})
    return one_each.with_models(["digits", "pets"])


def test_every_model_gets_a_record_of_its_own_and_a_config(two: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """...whatever replicas the variables of the caller name; its time limits count."""
    monkeypatch.setenv("UNDERSTUDY_REPLICAS", "127.0.0.1:9")
    monkeypatch.setenv("UNDERSTUDY_LOAD_SECONDS", "40")

    assert [] == fleet_records.write(two)

    for model, address in (("digits", "127.0.0.1:8500"), ("pets", "127.0.0.1:8520")):
        fleet = record(two, model).fleet
        assert [f"static://{address}"] == [group.replicas for group in fleet.groups.values()]
        assert (POLL_SECONDS, 40, two.mlflow_url) == (fleet.config_poll_seconds, fleet.load_seconds, fleet.mlflow_url)
        assert (two.bucket / layout.config(model)).exists()


def test_ports_that_have_moved_are_recorded_also_if_they_were_those_of_another_model(two: StackSettings) -> None:
    """...which may have lost its file."""
    fleet_records.write(two)
    moved = two.model_copy(update={"serving_ports": (8520,), "mlflow_port": 15000}).with_models(["digits"])

    messages = fleet_records.write(moved)

    assert ["digits: fleet record 2", "pets: fleet record 2"] == sorted(messages)
    assert {"digits": (8520,), "pets": (8540,)} == moved.replica_ports
    assert "static://127.0.0.1:8520" == record(moved, "digits").fleet.groups["main"].replicas
    assert "http://127.0.0.1:15000" == record(moved, "digits").fleet.mlflow_url
    assert fleet_records.REASON == record(moved, "digits").reason


@pytest.fixture(params=["pinned", "latest"])
def stack(settings: StackSettings, request: pytest.FixtureRequest) -> StackSettings:
    """A stack with two replicas of digits."""
    return settings.model_copy(update={"rollout": request.param})


def groups(fleet: FleetSpec) -> dict[str, str]:
    return {name: group.replicas for name, group in fleet.groups.items()}


BOTH = {"first": "static://127.0.0.1:8500", "rest": "static://127.0.0.1:8510"}


def test_replica_1_is_the_first_ring_and_its_config_exists_before_any_release(
    stack: StackSettings,
) -> None:
    """A server that polls it starts before the first release."""
    assert [] == fleet_records.write(stack)

    fleet = record(stack, "digits").fleet
    assert (BOTH, "first", fleet_records.SOAK_SECONDS) == (groups(fleet), fleet.first_ring, fleet.soak_seconds)
    for config in (layout.first_ring_config("digits"), layout.config("digits")):
        assert (stack.bucket / config).exists()


def test_the_record_of_an_earlier_make_up_gets_a_first_ring(stack: StackSettings) -> None:
    """...and a short soak, because nobody could have chosen one."""
    record_fleet(stack, "digits")

    assert ["digits: fleet record 2"] == fleet_records.write(stack)

    now = record(stack, "digits")
    assert (BOTH, "first", fleet_records.SOAK_SECONDS) == (
        groups(now.fleet),
        now.fleet.first_ring,
        now.fleet.soak_seconds,
    )
    assert fleet_records.RING_REASON == now.reason
    assert (stack.bucket / layout.first_ring_config("digits")).exists()


def test_the_ring_is_the_group_of_replica_1_if_people_have_divided_the_replicas(settings: StackSettings) -> None:
    """...before there were first rings. Their groups stay."""
    divided = {"b": {"replicas": "127.0.0.1:8510"}, "a": {"replicas": "127.0.0.1:8500"}}
    before = record_fleet(settings, "digits", groups=divided)

    fleet_records.write(settings)

    assert ("a", before.fleet.groups) == (
        record(settings, "digits").fleet.first_ring,
        record(settings, "digits").fleet.groups,
    )


DIVIDED = {"first": {"replicas": "127.0.0.1:8500"}, "rest": {"replicas": "127.0.0.1:8510"}}


@pytest.mark.parametrize(
    "fleet",
    [
        {"groups": DIVIDED, "first_ring": "first", "load_seconds": 50.0, "soak_seconds": 60.0},
        {"groups": DIVIDED, "first_ring": "rest"},
        {"groups": DIVIDED, "ring_config": True},
        {"ring_config": True},
    ],
    ids=["times", "another ring", "no ring", "no ring and one group"],
)
def test_what_people_have_recorded_stays(settings: StackSettings, fleet: dict[str, object]) -> None:
    by_hand = record_fleet(settings, "digits", **fleet)

    assert [] == fleet_records.write(settings)

    assert by_hand == record(settings, "digits")


def test_a_ring_that_people_have_removed_stays_removed_where_ports_move(settings: StackSettings) -> None:
    record_fleet(settings, "digits", groups=DIVIDED, ring_config=True)
    moved = settings.model_copy(update={"serving_ports": (8600, 8610)}).with_models(["digits"])

    fleet_records.write(moved)

    fleet = record(moved, "digits").fleet
    assert (None, True, {*moved.fleets[0].addresses}) == (fleet.first_ring, fleet.ring_config, static_addresses(fleet))


def test_a_ring_whose_ports_have_moved_is_the_ring_of_the_new_ones(settings: StackSettings) -> None:
    """...and keeps the soak that people have recorded."""
    record_fleet(
        settings, "digits", groups={"a": DIVIDED["rest"], "b": DIVIDED["first"]}, first_ring="a", soak_seconds=60.0
    )
    moved = settings.model_copy(update={"serving_ports": (8600, 8610)}).with_models(["digits"])

    fleet_records.write(moved)

    fleet = record(moved, "digits").fleet
    assert ("first", "static://127.0.0.1:8600", 60.0) == (fleet.first_ring, groups(fleet)["first"], fleet.soak_seconds)


def test_one_replica_alone_is_no_ring(settings: StackSettings) -> None:
    record_fleet(settings, "digits", groups=DIVIDED, first_ring="first")
    one = settings.model_copy(update={"serving_ports": (8500,)}).with_models(["digits"])

    fleet_records.write(one)

    fleet = record(one, "digits").fleet
    assert (None, {"main": "static://127.0.0.1:8500"}) == (fleet.first_ring, groups(fleet))


def test_a_second_replica_makes_the_first_one_the_ring(settings: StackSettings) -> None:
    """A ring that ended because there was one port is not taken for one that people have removed."""
    record_fleet(settings, "digits", groups={"main": {"replicas": "127.0.0.1:8500"}}, ring_config=True)

    fleet_records.write(settings)

    assert ("first", BOTH) == (record(settings, "digits").fleet.first_ring, groups(record(settings, "digits").fleet))


def test_a_record_that_cannot_be_read_is_named(settings: StackSettings) -> None:
    (settings.bucket / layout.fleets("digits")).mkdir(parents=True)
    (settings.bucket / layout.fleet("digits", 1)).write_text("{", encoding="utf-8")

    with pytest.raises(StackError, match=r"the fleet record of digits cannot be read: fleets/digits/1\.json"):
        fleet_records.write(settings)
