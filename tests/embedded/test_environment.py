"""The variables of every process of the stack."""

import pytest

from embedded.environment import stack_environment
from embedded.settings import StackSettings


@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_verbs_have_the_roll_out_of_the_servers(settings: StackSettings, rollout: str) -> None:
    """The flags of the servers are tested in supervision/test_procfile.py."""
    environment = stack_environment(settings.model_copy(update={"rollout": rollout}))

    assert rollout == environment["UNDERSTUDY_ROLLOUT"]


def test_no_proxy_is_used_for_processes_on_this_machine(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "example.org")
    environment = stack_environment(settings)

    assert ["example.org", "127.0.0.1", "localhost"] == environment["no_proxy"].split(",")
    assert environment["no_proxy"] == environment["NO_PROXY"]


def test_the_signing_key_of_airflow_is_created_once_and_readable_by_this_user_only(settings: StackSettings) -> None:
    first, again = (stack_environment(settings)["AIRFLOW__API_AUTH__JWT_SECRET"] for _ in range(2))

    assert first == again
    assert 0o600 == (settings.run / "jwt-secret").stat().st_mode & 0o777
