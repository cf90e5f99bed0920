"""Which replicas poll what is made for the first ring, by records in a bucket on the disk."""

import pytest

from embedded import first_ring
from embedded.errors import StackError
from embedded.settings import StackSettings
from pipeline import layout
from tests.embedded.conftest import record_fleet

GROUPS = {"a": {"replicas": "127.0.0.1:8500"}, "b": {"replicas": "127.0.0.1:8510"}}


def in_ring(settings: StackSettings) -> list[str]:
    """The addresses of the replicas of digits that poll what is made for the first ring."""
    (fleet,) = settings.fleets
    polled = first_ring.polled(settings, fleet)
    return [address for address, path in polled.items() if path == settings.bucket / "first_ring/digits.config"]


def test_the_replicas_of_the_recorded_ring_poll_its_config(settings: StackSettings) -> None:
    record_fleet(settings, "digits", groups=GROUPS, first_ring="b")

    assert ["127.0.0.1:8510"] == in_ring(settings)
    assert ["127.0.0.1:8510: loads a candidate before the others do"] == first_ring.lines(settings)


def test_replica_1_still_polls_that_config_after_people_have_removed_the_ring(settings: StackSettings) -> None:
    record_fleet(settings, "digits", groups=GROUPS, ring_config=True)

    assert ["127.0.0.1:8500"] == in_ring(settings)
    assert ["none. A candidate that ends the servers that load it ends all of them"] == first_ring.lines(settings)


@pytest.mark.parametrize("recorded", [True, False])
def test_without_a_ring_all_replicas_poll_the_same(settings: StackSettings, recorded: bool) -> None:
    if recorded:
        record_fleet(settings, "digits", groups=GROUPS)

    assert [] == in_ring(settings)


def test_the_ring_of_each_model_is_named_and_one_port_is_the_reason_for_none(settings: StackSettings) -> None:
    two = settings.with_models(["digits", "pets"])
    one = settings.model_copy(update={"serving_ports": (8500,)}).with_models(["digits"])
    record_fleet(settings, "digits", groups=GROUPS, first_ring="a")

    assert [
        "127.0.0.1:8500 of digits: loads a candidate before the others do",
        "none of pets. A candidate that ends the servers that load it ends all of them",
    ] == first_ring.lines(two)
    (settings.bucket / layout.fleet("digits", 1)).unlink()
    assert [
        "none: UNDERSTUDY_SERVING_PORTS has one port. A candidate that ends the servers that load it ends all of them"
    ] == first_ring.lines(one)


def test_a_record_that_cannot_be_read_is_named(settings: StackSettings) -> None:
    (settings.bucket / layout.fleets("digits")).mkdir(parents=True)
    (settings.bucket / layout.fleet("digits", 1)).write_text("{", encoding="utf-8")

    with pytest.raises(StackError, match=r"the fleet record of digits cannot be read: fleets/digits/1\.json"):
        first_ring.polled(settings, settings.fleets[0])
