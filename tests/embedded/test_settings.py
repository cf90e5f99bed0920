import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded.environment import jwt_secret, stack_environment
from embedded.errors import StackError
from embedded.settings import StackSettings, load_all_settings, load_settings

VARIABLES = ("UNDERSTUDY_ROLLOUT", "UNDERSTUDY_VAR")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names neither a roll-out nor a folder."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_each_roll_out_has_a_folder_of_its_own(silent: pytest.MonkeyPatch) -> None:
    """A bucket belongs to one roll-out, and MLflow's versions to one bucket."""
    pinned, latest = load_all_settings()

    assert ("pinned", "var") == (pinned.rollout, pinned.var.name)
    assert ("latest", pinned.var / "latest") == (latest.rollout, latest.var)
    assert pinned == load_settings()


def test_a_roll_out_that_is_named_is_the_only_one_meant(silent: pytest.MonkeyPatch) -> None:
    silent.setenv("UNDERSTUDY_ROLLOUT", "pinned")

    assert ["pinned"] == [each.rollout for each in load_all_settings()]

    silent.setenv("UNDERSTUDY_ROLLOUT", "latest")

    assert ["latest"] == [each.rollout for each in load_all_settings()]
    assert "latest" == load_settings().var.name


def test_a_folder_that_is_named_is_the_only_one_meant_and_kept(silent: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent.setenv("UNDERSTUDY_VAR", str(tmp_path))

    assert [tmp_path] == [each.var for each in load_all_settings()]

    silent.setenv("UNDERSTUDY_ROLLOUT", "latest")

    assert tmp_path == load_settings().var


def test_each_model_has_as_many_replicas_as_serving_ports(silent: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent.setenv("UNDERSTUDY_VAR", str(tmp_path))
    silent.setenv("UNDERSTUDY_SERVING_PORTS", "8500, 8510,8530")

    first, second = load_settings().with_models(["digits", "pets"]).fleets

    assert first.addresses == ("127.0.0.1:8500", "127.0.0.1:8510", "127.0.0.1:8530")
    assert second.addresses == ("127.0.0.1:8540", "127.0.0.1:8550", "127.0.0.1:8570")


def test_before_the_first_start_every_model_file_counts_also_one_that_cannot_be_read(
    silent: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent.setenv("UNDERSTUDY_VAR", str(tmp_path / "var"))
    silent.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    for name in ("pets", "cats", "Not-A-Name"):
        (tmp_path / f"{name}.yaml").write_text("{", encoding="utf-8")

    assert ["cats", "pets"] == [fleet.model for fleet in load_settings().fleets]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UNDERSTUDY_AIRFLOW_PORT", "eighty"),
        ("UNDERSTUDY_MLFLOW_PORT", "70000"),
        ("UNDERSTUDY_SERVING_PORTS", "8500;8510"),
        ("UNDERSTUDY_SERVING_PORTS", ""),
        ("UNDERSTUDY_SERVING_PORTS", "8500,65535"),
        ("UNDERSTUDY_ROLLOUT", "newest"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(StackError, match=variable):
        load_settings()


def test_the_signing_key_is_made_once_long_and_private(settings: StackSettings) -> None:
    first = jwt_secret(settings)

    assert len(first) >= 64
    assert first == jwt_secret(settings)
    assert stat.S_IMODE((settings.run / "jwt-secret").stat().st_mode) == 0o600


def test_threads_that_create_the_signing_key_at_once_get_the_same_key(settings: StackSettings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: jwt_secret(settings), range(32)))

    assert 1 == len(keys)
    assert [settings.run / "jwt-secret"] == list(settings.run.iterdir())


def test_every_process_has_the_addresses_of_this_stack(settings: StackSettings) -> None:
    moved = settings.model_copy(update={"airflow_port": 18080, "mlflow_port": 15000})

    environment = stack_environment(moved)

    assert environment["AIRFLOW__API__PORT"] == "18080"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert environment["UNDERSTUDY_MLFLOW_PORT"] == "15000"
    assert environment["UNDERSTUDY_ROOT"] == str(settings.var / "bucket")
