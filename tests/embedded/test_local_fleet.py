"""Which ports the replicas of each model get."""

import pytest

from embedded.errors import StackError
from embedded.local_fleet import LocalFleet, assign_ports


def test_every_model_has_ports_of_its_own_for_grpc_and_rest() -> None:
    ports = assign_ports(["cats", "digits", "pets"], first=(8500, 8510), kept={}, others=())

    assert {"cats": (8500, 8510), "digits": (8520, 8530), "pets": (8540, 8550)} == ports


def test_ports_that_the_stack_uses_for_something_else_are_skipped() -> None:
    """8541 is the REST port after 8540."""
    ports = assign_ports(["cats", "digits"], first=(8500, 8510), kept={}, others=(8520, 8541))

    assert {"cats": (8500, 8510), "digits": (8560, 8570)} == ports


def test_ports_are_skipped_that_the_first_model_has_itself() -> None:
    ports = assign_ports(["cats", "digits"], first=(8500, 8520), kept={}, others=())

    assert (8540, 8560) == ports["digits"]


def test_a_model_whose_file_is_gone_keeps_its_ports_and_no_other_gets_them() -> None:
    ports = assign_ports(["cats", "digits"], first=(8500,), kept={"digits": (8500,), "pets": (8520,)}, others=())

    assert {"digits": (8500,), "pets": (8520,), "cats": (8540,)} == ports


def test_without_ports_left_the_variable_is_named() -> None:
    with pytest.raises(StackError, match=r"replicas of pets.*Set UNDERSTUDY_SERVING_PORTS to lower ports"):
        assign_ports(["digits", "pets"], first=(65530,), kept={}, others=())


def test_the_last_port_for_rest_is_the_highest_there_is() -> None:
    ports = assign_ports(["digits", "pets"], first=(65514,), kept={}, others=())

    assert (65535,) == LocalFleet("pets", ports["pets"]).rest_ports
