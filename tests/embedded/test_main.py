"""The output of the commands."""

import shlex

import pytest

from embedded.__main__ import _addresses
from embedded.settings import StackSettings
from tests.embedded.conftest import record_fleet
from tests.ports import free_port


def test_the_variables_for_verbs_can_be_pasted_into_a_shell(
    settings: StackSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """...also if the folder of the stack has a space in its name."""
    assert " " in str(settings.var)

    _addresses(settings.model_copy(update={"mlflow_port": free_port()}))

    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("By hand"))
    assert ["By", "hand", f"UNDERSTUDY_ROOT={settings.bucket}"] == shlex.split(line)


def test_the_first_ring_is_named(settings: StackSettings, capsys: pytest.CaptureFixture[str]) -> None:
    groups = {"first": {"replicas": "127.0.0.1:8500"}, "rest": {"replicas": "127.0.0.1:8510"}}
    record_fleet(settings, "digits", groups=groups, first_ring="first")

    _addresses(settings.model_copy(update={"mlflow_port": free_port()}))

    assert "Ring      127.0.0.1:8500: loads a candidate before the others do" in capsys.readouterr().out.splitlines()


def test_each_model_is_shown_with_its_own_addresses(
    settings: StackSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    _addresses(settings.model_copy(update={"mlflow_port": free_port()}).with_models(["digits", "pets"]))

    lines = capsys.readouterr().out.splitlines()
    assert "Models    digits, pets, roll-out pinned" == lines[0]
    first = lines.index("Replicas  127.0.0.1:8500, 127.0.0.1:8510   gRPC of digits")
    assert [
        "          http://127.0.0.1:8501, http://127.0.0.1:8511   REST of digits",
        "          127.0.0.1:8520, 127.0.0.1:8530   gRPC of pets",
        "          http://127.0.0.1:8521, http://127.0.0.1:8531   REST of pets",
    ] == lines[first + 1 : first + 4]
