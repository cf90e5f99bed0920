"""Connections from Secret Manager, with Airflow's own look-up, the provider's class and Google's client, unchanged."""

import hashlib
import json
import re
from typing import Any

import pytest
import yaml

from tests.google_cloud import secret_manager
from tests.google_cloud.cloud import google_cloud
from tests.google_cloud.metadata_server import PROJECT
from tests.google_cloud.running import PROJECT as CHECKOUT
from tests.google_cloud.running import Ended, run
from tests.hunts import hunt

pytestmark = hunt

MLFLOW, DATABASE, HERE = "correct-horse-battery", "postgresql+psycopg2://airflow:staple@10.77.0.3/airflow", "of-here"
SECRETS: dict[str, str | None] = {
    "airflow-connections-mlflow": f"https://ann:{MLFLOW}@mlflow.example.com",
    "airflow-connections-empty": None,
    "airflow-config-database": DATABASE,
}


def documented() -> dict[str, Any]:
    """The settings of the page, as the chart of Airflow takes them."""
    text = (CHECKOUT / "docs" / "google.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(config:\n  secrets:.*?)```", text, re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)["config"]["secrets"]
    return found


@pytest.fixture(scope="module")
def secrets() -> secret_manager.SecretManager:
    return secret_manager.SecretManager(PROJECT, dict(SECRETS), {"airflow-connections-forbidden"})


@pytest.fixture(scope="module")
def ended(secrets: secret_manager.SecretManager, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What Airflow has found with the documented settings, at the log level at which it says most."""
    folder = tmp_path_factory.mktemp("secrets")
    settings = documented()
    with google_cloud(folder, hosts=[secret_manager.HOST], handlers=[secrets.handlers()]) as cloud:
        environment = cloud | {
            "AIRFLOW__SECRETS__BACKEND": settings["backend"],
            "AIRFLOW__SECRETS__BACKEND_KWARGS": settings["backend_kwargs"],
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET": "database",
            "AIRFLOW__API__SECRET_KEY_SECRET": "absent",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW_CONN_HERE": f"https://bob:{HERE}@here.example.com",
            "AIRFLOW_CONN_FORBIDDEN": f"https://bob:{HERE}@here.example.com",
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://",
        }
        names = ("mlflow", "here", "forbidden", "nowhere", "empty", "google_cloud_default")
        return run("read_secrets", *names, home=folder, environment=environment)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_connection_comes_from_secret_manager(ended: Ended) -> None:
    expected = {"type": "https", "login": "ann", "password": digest(MLFLOW)}

    assert expected == ended.answer["connections"]["mlflow"]
    assert "CloudSecretManagerBackend" == ended.answer["backends"][0]


@pytest.mark.parametrize("name", ["here", "forbidden"])
def test_a_connection_that_is_absent_there_or_refused_comes_from_the_environment(ended: Ended, name: str) -> None:
    assert digest(HERE) == ended.answer["connections"][name]["password"]


def test_a_refusal_is_in_the_log_with_the_name_and_the_permission(ended: Ended) -> None:
    assert "No access for Secret ID airflow-connections-forbidden" in ended.log
    assert "secretmanager.versions.access" in ended.log


def test_the_connection_that_the_page_keeps_in_the_environment_is_refused_first(ended: Ended) -> None:
    """A role on single secrets does not tell whether another one exists. The page says that this line is expected."""
    page = (CHECKOUT / "docs" / "google.md").read_text(encoding="utf-8")
    line = "No access for Secret ID airflow-connections-google_cloud_default"

    assert "google_cloud_platform" == ended.answer["connections"]["google_cloud_default"]["type"]
    assert line in ended.log
    assert f"`{line}`" in page


def test_a_connection_that_is_nowhere_is_refused_and_one_without_a_version_is_not_found(ended: Ended) -> None:
    connections = ended.answer["connections"]

    assert (None, None) == (connections["nowhere"], connections["empty"])
    assert "No access for Secret ID airflow-connections-nowhere" in ended.log
    assert "Secret ID airflow-connections-empty not found" in ended.log


def test_a_setting_whose_name_ends_with_secret_comes_from_there(ended: Ended) -> None:
    assert digest(DATABASE) == ended.answer["database"]


def test_a_setting_whose_secret_is_absent_silently_becomes_another_one(ended: Ended) -> None:
    """So the page recommends Kubernetes' secrets for settings: their absence stops the pod."""
    assert ended.answer["has_secret_key"]
    assert "absent" not in ended.log.replace("airflow-config-absent", "")


def test_no_secret_value_is_in_any_log(ended: Ended) -> None:
    """Also where a task logs the whole connection: Airflow masks what it has read."""
    assert 3 == ended.log.count("password='***'")
    assert [] == [value for value in (MLFLOW, "staple", HERE) if value in ended.log]


def test_variables_are_never_asked_for(secrets: secret_manager.SecretManager, ended: Ended) -> None:
    """Each would cost a call, and there are none."""
    names = {name.split("/")[3] for name in secrets.asked}

    assert {"config", "connections"} == {name.split("-")[1] for name in names}
    assert json.loads(documented()["backend_kwargs"])["variables_prefix"] is None
