import stat

import pytest

from embedded.environment import jwt_secret, stack_environment
from embedded.errors import StackError
from embedded.settings import StackSettings, load_settings


def test_as_many_replicas_as_serving_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SERVING_PORTS", "8500, 8510,8520")

    assert load_settings().replicas == ("127.0.0.1:8500", "127.0.0.1:8510", "127.0.0.1:8520")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UNDERSTUDY_AIRFLOW_PORT", "eighty"),
        ("UNDERSTUDY_MLFLOW_PORT", "70000"),
        ("UNDERSTUDY_SERVING_PORTS", "8500;8510"),
        ("UNDERSTUDY_SERVING_PORTS", ""),
        ("UNDERSTUDY_MODEL", "../digits"),
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


def test_everything_is_told_the_addresses_of_this_stack(settings: StackSettings) -> None:
    moved = settings.model_copy(update={"airflow_port": 18080, "mlflow_port": 15000, "serving_ports": (18500,)})

    environment = stack_environment(moved)

    assert environment["AIRFLOW__API__PORT"] == "18080"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert environment["UNDERSTUDY_MLFLOW_URL"] == "http://127.0.0.1:15000"
    assert environment["UNDERSTUDY_REPLICAS"] == "127.0.0.1:18500"
    assert environment["UNDERSTUDY_ROOT"] == str(settings.var / "bucket")
