"""The fleet records that `make up` writes, by the real verbs, in a bucket on the disk."""

from pathlib import Path

import pytest

from embedded import fleet_records
from embedded.environment import POLL_SECONDS
from embedded.errors import StackError
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.fleets.changes import FleetChange
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.storage.local import LocalBucket


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

    changed = fleet_records.write(moved)

    assert ["digits: fleet record 2", "pets: fleet record 2"] == sorted(changed)
    assert {"digits": (8520,), "pets": (8540,)} == moved.replica_ports
    assert "static://127.0.0.1:8520" == record(moved, "digits").fleet.groups["main"].replicas
    assert "http://127.0.0.1:15000" == record(moved, "digits").fleet.mlflow_url
    assert fleet_records.REASON == record(moved, "digits").reason


@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_a_record_that_is_right_is_not_changed(settings: StackSettings, rollout: str) -> None:
    """...also if a person has divided the replicas into groups, or changed a time limit."""
    stack = settings.model_copy(update={"rollout": rollout})
    fleet_records.write(stack)
    first = record(stack, "digits")
    groups = {"first": "127.0.0.1:8500", "rest": "127.0.0.1:8510"}
    change = FleetChange(replicas=groups, deployment={"load_seconds": 50.0})
    second = first.model_copy(update={"number": 2, "fleet": change.applied(first.fleet)})
    assert FleetRecords(LocalBucket(stack.bucket), "digits").create(second)

    assert [] == fleet_records.write(stack)

    assert second == record(stack, "digits")


def test_a_record_that_cannot_be_read_is_named(settings: StackSettings) -> None:
    (settings.bucket / layout.fleets("digits")).mkdir(parents=True)
    (settings.bucket / layout.fleet("digits", 1)).write_text("{", encoding="utf-8")

    with pytest.raises(StackError, match=r"the fleet record of digits cannot be read: fleets/digits/1\.json"):
        fleet_records.write(settings)
