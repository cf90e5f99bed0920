"""Changes of a fleet: what an option replaces, what stays, and what is refused."""

from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.fleets.changes import (
    FleetChange,
    changed_fields,
    named_values,
    require_same_rollout,
    static_addresses,
    whole_numbers,
)
from pipeline.fleets.fleet_spec import FleetSpec

BEFORE = FleetSpec.model_validate({"groups": {"main": {"replicas": "a:1,b:1"}}, "load_seconds": 30.0})
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_what_no_option_names_stays() -> None:
    after = FleetChange(deployment={"follow_seconds": 9.0}).applied(BEFORE)

    assert {"follow_seconds": ("60", "9")} == changed_fields(BEFORE, after)
    assert {} == changed_fields(BEFORE, FleetChange().applied(BEFORE))


def test_replicas_replace_all_groups_and_their_minimum() -> None:
    after = FleetChange(replicas={"ring": "a:1", "rest": "b:1,c:1"}, minimum={"rest": 1}).applied(BEFORE)

    assert {"ring": 1, "rest": 1} == {name: group.minimum for name, group in after.groups.items()}
    assert {"a:1", "b:1", "c:1"} == static_addresses(after)


def test_a_minimum_alone_keeps_the_replicas() -> None:
    after = FleetChange(minimum={"main": 1}).applied(BEFORE)

    assert (BEFORE.groups["main"].replicas, 1) == (after.groups["main"].replicas, after.groups["main"].minimum)


def test_a_minimum_of_a_group_that_does_not_exist() -> None:
    with pytest.raises(BadInputError, match=r"--minimum names the group 'ring', and the groups are main. Nothing was"):
        FleetChange(minimum={"ring": 1}).applied(BEFORE)


def test_limits_that_do_not_fit_together() -> None:
    with pytest.raises(BadInputError, match=r"abandoned_seconds \(3600\) must be greater than load_seconds \+"):
        FleetChange(deployment={"load_seconds": 4000.0}).applied(BEFORE)


def test_tls_is_switched_on_and_off(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    own = FleetChange(tls_ca=str(tmp_path / "ca.pem"), tls_server_name="digits").applied(BEFORE)
    system = FleetChange(tls_ca="system").applied(own)

    assert own.tls is not None
    assert system.tls is not None
    assert (PEM, "digits") == (own.tls.ca, own.tls.server_name)
    assert (None, "digits") == (system.tls.ca, system.tls.server_name)
    assert FleetChange(tls_ca="none").applied(own).tls is None
    assert own.tls == FleetChange(deployment={"load_seconds": 5.0}).applied(own).tls
    with pytest.raises(BadInputError, match=r"--tls-ca: .*no.pem cannot be read as PEM"):
        FleetChange(tls_ca=str(tmp_path / "no.pem")).applied(BEFORE)


def test_another_roll_out_is_refused_once_something_was_released() -> None:
    after = FleetChange(deployment={"rollout": "latest"}).applied(BEFORE)

    with pytest.raises(BadInputError, match=r"v3 serves by the roll-out 'pinned'.*Nothing was changed"):
        require_same_rollout(BEFORE, after, serving=3)
    require_same_rollout(BEFORE, BEFORE, serving=3)


def test_values_by_group() -> None:
    assert {"main": "a:1,b:1"} == named_values(["a:1,b:1"], option="--replicas")
    assert {"ring": "a:1", "rest": "dns://b:1"} == named_values(["ring=a:1", "rest=dns://b:1"], option="--replicas")
    assert {"ring": 2} == whole_numbers({"ring": "2"}, option="--minimum")
    with pytest.raises(BadInputError, match="--replicas is given twice for the group 'main'"):
        named_values(["a:1", "b:1"], option="--replicas")
    for wrong in ("0", "-1", "two", "", "²"):
        with pytest.raises(BadInputError, match="is not a whole number from 1"):
            whole_numbers({"main": wrong}, option="--minimum")


class TestFirstRing:
    RING = FleetChange(replicas={"first": "a:1", "rest": "b:1"}, first_ring="first", deployment={"soak_seconds": 3.0})

    def test_is_a_group_and_stays_until_it_is_changed(self) -> None:
        after = self.RING.applied(BEFORE)

        assert {
            "replicas": (
                "static://a:1,b:1 (at least 2)",
                "first=static://a:1 (at least 1, first ring) and rest=static://b:1 (at least 1)",
            ),
            "soak_seconds": ("10", "3"),
        } == changed_fields(BEFORE, after)
        assert "first" == FleetChange(deployment={"silent_seconds": 2.0}).applied(after).first_ring

    def test_none_ends_it_and_its_config_is_kept_up_to_date(self) -> None:
        """Servers may still poll it."""
        after = FleetChange(first_ring="none").applied(self.RING.applied(BEFORE))

        assert (None, True) == (after.first_ring, after.ring_config)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (FleetChange(first_ring="ring"), "the first ring is the group 'ring', and the groups are main. Give the"),
            (FleetChange(first_ring="main"), "the only group, 'main', cannot be the first ring: no replica would be"),
            (FleetChange(deployment={"silent_seconds": 0.0}), "silent_seconds"),
            (
                FleetChange(
                    replicas={"first": "a:1", "rest": "b:1"}, first_ring="first", deployment={"soak_seconds": 3600.0}
                ),
                r"abandoned_seconds \(3600\) must be greater than load_seconds \+ soak_seconds \+ follow_seconds",
            ),
        ],
    )
    def test_that_cannot_be_used(self, change: FleetChange, told: str) -> None:
        with pytest.raises(BadInputError, match=told):
            change.applied(BEFORE)

    def test_replicas_without_its_group_need_another_answer(self) -> None:
        with pytest.raises(
            BadInputError, match=r"the groups are main\. Give the replicas of that group too, or another"
        ):
            FleetChange(replicas={"main": "a:1,b:1"}).applied(self.RING.applied(BEFORE))
