"""The output of the commands."""

import shlex

import pytest

from embedded.__main__ import _addresses
from embedded.settings import StackSettings
from tests.ports import free_port


def test_the_variables_for_verbs_can_be_pasted_into_a_shell(
    settings: StackSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """...also if the folder of the stack has a space in its name."""
    assert " " in str(settings.var)

    _addresses(settings.model_copy(update={"mlflow_port": free_port()}))

    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("By hand"))
    assert f"UNDERSTUDY_ROOT={settings.bucket}" in shlex.split(line)
