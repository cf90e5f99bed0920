"""The variables of every process of the stack."""

from pathlib import Path

import pytest

from embedded import saved_settings
from embedded.environment import stack_environment, supervisor_environment
from embedded.settings import StackSettings, load_settings
from pipeline.settings import load_settings as load_pipeline_settings


def test_no_variable_names_a_fleet_or_a_model_also_if_the_caller_has_one(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list of replicas would send the verbs of every model to the servers of one."""
    names = ("MODEL", "REPLICAS", "EXPECTED_REPLICAS", "ROLLOUT", "MLFLOW_URL", "CONFIG_POLL_SECONDS", "LOAD_SECONDS")
    for name in names:
        monkeypatch.setenv(f"UNDERSTUDY_{name}", "1")

    environment = stack_environment(settings)

    assert [] == [name for name in names if f"UNDERSTUDY_{name}" in environment]
    assert str(settings.bucket) == environment["UNDERSTUDY_ROOT"]


def test_the_supervisor_has_all_settings_without_a_file(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest = settings.model_copy(update={"rollout": "latest"}).with_models(["digits", "pets"])
    for name, value in supervisor_environment(latest).items():
        monkeypatch.setenv(name, value)

    assert latest == load_settings()


def test_the_cache_of_trainings_is_in_the_folder_of_the_stack(settings: StackSettings) -> None:
    assert str(settings.var / "cache") == stack_environment(settings)["UNDERSTUDY_CACHE"]


def test_a_cache_that_a_person_names_is_that_of_the_stack_and_stays_it(
    settings: StackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """...also for later commands without the variable, and for verbs that are typed by hand."""
    monkeypatch.setenv("UNDERSTUDY_VAR", str(settings.var))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "fast disk"))
    saved_settings.save(load_settings())
    monkeypatch.delenv("UNDERSTUDY_CACHE")

    assert str(tmp_path / "fast disk") == stack_environment(load_settings())["UNDERSTUDY_CACHE"]
    monkeypatch.delenv("UNDERSTUDY_ROOT", raising=False)
    assert tmp_path / "fast disk" == load_pipeline_settings().cache


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
