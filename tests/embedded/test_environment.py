"""What every process of the stack is told."""

import pytest

from embedded.environment import stack_environment
from embedded.settings import StackSettings


@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_verbs_are_told_of_the_roll_out_of_the_servers(settings: StackSettings, rollout: str) -> None:
    """What the servers are told is in test_procfile.py."""
    told = stack_environment(settings.model_copy(update={"rollout": rollout}))

    assert rollout == told["UNDERSTUDY_ROLLOUT"]


def test_no_proxy_is_asked_for_a_process_next_door(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "example.org")
    told = stack_environment(settings)

    assert ["example.org", "127.0.0.1", "localhost"] == told["no_proxy"].split(",")
    assert told["no_proxy"] == told["NO_PROXY"]


def test_the_key_that_airflow_signs_with_is_made_once_and_for_this_user_alone(settings: StackSettings) -> None:
    first, again = (stack_environment(settings)["AIRFLOW__API_AUTH__JWT_SECRET"] for _ in range(2))

    assert first == again
    assert 0o600 == (settings.run / "jwt-secret").stat().st_mode & 0o777
