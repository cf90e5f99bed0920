"""Variables and addresses in docker-compose.yaml that no program would complain about if they were misspelt."""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dags.tasks.step_settings import StepSettings
from pipeline.settings import Settings
from tests.platform.compose_file import ALL_ADDRESSES, PROJECT, Checkout
from tests.platform.platform_processes import NOT_EXECUTED, Platform
from tests.platform.rewriting import Ports, Rules, UnknownPlaceError

OURS = PROJECT / "docker"


@pytest.fixture(scope="module")
def services(checkout: Checkout) -> Mapping[str, Any]:
    found: Mapping[str, Any] = checkout.resolved(COMPOSE_PROFILES="cpu,gpu,gcs,s3")["services"]
    return found


def variables(services: Mapping[str, Any], prefix: str) -> set[str]:
    """All that begin so, of all services."""
    return {name for each in services.values() for name in each.get("environment", {}) if name.startswith(prefix)}


def package(name: str) -> Path:
    """Where a package is, which is not imported: that takes seconds."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def test_airflow_has_every_option_that_is_set(services: Mapping[str, Any]) -> None:
    options = package("airflow") / "config_templates" / "config.yml"
    known = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, content in yaml.safe_load(options.read_text(encoding="utf-8")).items()
        for option in content["options"]
    }

    assert len(variables(services, "AIRFLOW__")) > 18
    assert set() == variables(services, "AIRFLOW__") - known


def test_mlflow_has_every_variable_that_is_set(services: Mapping[str, Any]) -> None:
    mlflow = package("mlflow")
    text = "".join(
        (mlflow / name).read_text(encoding="utf-8") for name in ("environment_variables.py", "cli/__init__.py")
    )
    known = set(re.findall(r"\bMLFLOW_[A-Z_]+\b", text))
    ours = set(re.findall(r"\bMLFLOW_[A-Z_]+\b", "".join(_scripts())))

    assert set() == variables(services, "MLFLOW_") - known - ours


def test_a_verb_reads_every_variable_that_is_set(services: Mapping[str, Any]) -> None:
    known = {f"UNDERSTUDY_{name.upper()}" for name in (*Settings.model_fields, *StepSettings.model_fields)}

    assert set() == variables(services, "UNDERSTUDY_") - known


def test_a_script_of_this_project_reads_every_other_variable(services: Mapping[str, Any]) -> None:
    """...but those that PostgreSQL, Grafana, MinIO, TensorFlow and the clients of object stores and of HTTP read."""
    foreign = ("AIRFLOW__", "UNDERSTUDY_", "MLFLOW_", "GF_", "POSTGRES_", "MINIO_", "MC_", "TF_", "AWS_", "GOOGLE_")
    proxies = {"NO_PROXY", "no_proxy"}
    ours = {name for name in variables(services, "") if not name.startswith(foreign)} - proxies
    read = set(re.findall(r"\b[A-Z][A-Z_]+\b", "".join(_scripts())))

    assert {"FLEETS", "MODEL_CONFIG"} <= ours
    assert set() == ours - read


def _scripts() -> list[str]:
    scripts = [*OURS.rglob("*.sh"), *OURS.rglob("*.py")]
    return [path.read_text(encoding="utf-8") for path in scripts]


@pytest.mark.parametrize("storage", [(), ("--storage", "s3"), ("--storage", "gcs", "--bucket", "gs://models")])
def test_every_address_has_a_service_and_every_path_a_mount(tmp_path: Path, storage: tuple[str, ...]) -> None:
    """...in every command, health check and variable."""
    made = Checkout(tmp_path)
    made.make_env(*storage)
    platform = Platform(made.resolved(COMPOSE_PROFILES=f"{ALL_ADDRESSES},gcs"), tmp_path / "platform")
    # Without MinIO, nothing has its bucket.
    names = set(made.resolved()["services"]) - NOT_EXECUTED - {"minio"}

    for name in names:
        assert platform.container(name).command, name


class TestRules:
    RULES = Rules(
        "web",
        Ports({("web", 80): 20080, ("api", 5000): 20500}, {8080: 20080}),
        {"/data": Path("/volumes/one"), "/data/deep": Path("/volumes/two")},
    )

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("http://api:5000/execution/", "http://127.0.0.1:20500/execution/"),
            ("name=api:5000,web:80", "name=127.0.0.1:20500,127.0.0.1:20080"),
            ("0.0.0.0:80", "127.0.0.1:20080"),
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - it is rewritten
            ("http://localhost:8080", "http://localhost:20080"),
            ("80", "20080"),
            ("--port=80", "--port=20080"),
            ("5000", "5000"),
            ("/data/deep/file", "/volumes/two/file"),
            ("--config=/data/deeper", "--config=/volumes/one/deeper"),
            ("api:*,localhost:*", "api:*,localhost:*"),
        ],
    )
    def test_what_is_rewritten(self, text: str, expected: str) -> None:
        assert expected == self.RULES.rewritten(text)

    @pytest.mark.parametrize(
        "text", ["http://apy:5000", "api:5001", "http://localhost:80", "127.0.0.1:81", "/date/file"]
    )
    def test_what_is_refused(self, text: str) -> None:
        with pytest.raises(UnknownPlaceError, match=r"web: nothing"):
            self.RULES.rewritten(text)
