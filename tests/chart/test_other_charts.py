"""The values for the charts of Airflow and MLflow name what exists there and here.

helm ignores a key that a chart does not know. Each path that the values set is in the lists below, with the type that
the chart's values.schema.json (Airflow 1.22.0) or values.yaml (MLflow 0.1.1) has for it. A new path is looked up there.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, CHARTS, of_kind, rendered

PROJECT = Path(__file__).parents[2]

TEXT, NUMBER, FLAG, LIST, MAP = "text", "number", "flag", "list", "map"

AIRFLOW = {
    "airflowVersion": TEXT,
    "defaultAirflowRepository": TEXT,
    "defaultAirflowTag": TEXT,
    "executor": TEXT,
    "allowPodLaunching": FLAG,
    "fernetKeySecretName": TEXT,
    "apiSecretKeySecretName": TEXT,
    "jwtSecretName": TEXT,
    "data.metadataSecretName": TEXT,
    "postgresql.enabled": FLAG,
    "statsd.enabled": FLAG,
    "workers.celery.persistence.enabled": FLAG,
    "dags.persistence.enabled": FLAG,
    "dags.gitSync.enabled": FLAG,
    "config": MAP,
    "env": LIST,
    "createUserJob.enabled": FLAG,
    "triggerer.persistence.enabled": FLAG,
    "apiServer.extraVolumes": LIST,
    "apiServer.extraVolumeMounts": LIST,
    **{f"{part}.args": LIST for part in ("scheduler", "apiServer")},
    **{f"{part}.serviceAccount.annotations": MAP for part in ("scheduler", "apiServer", "triggerer")},
    **{f"{part}.resources": MAP for part in ("scheduler", "apiServer", "dagProcessor", "triggerer")},
}
MLFLOW = {
    "fullnameOverride": TEXT,
    "image.repository": TEXT,
    "image.tag": TEXT,
    "server.value_options": MAP,
    "mlflow.backendStoreUriFrom": MAP,
    "mlflow.artifactsDestination": TEXT,
    "env": LIST,
    "podSecurityContext": MAP,
    "serviceAccount.annotations": MAP,
    "resources": MAP,
}
TYPES: dict[str, tuple[type, ...]] = {TEXT: (str,), NUMBER: (int, float), FLAG: (bool,), LIST: (list,), MAP: (dict,)}


def values(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CHARTS / name).read_text())
    return content


def leaves(part: dict[str, Any], known: dict[str, str], above: str = "") -> Iterator[tuple[str, Any]]:
    """The paths down to what the chart has as one value."""
    for name, value in part.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and path not in known:
            yield from leaves(value, known, f"{path}.")
        else:
            yield path, value


@pytest.mark.parametrize(("name", "known"), [("airflow-values.yaml", AIRFLOW), ("mlflow-values.yaml", MLFLOW)])
def test_every_value_is_one_that_the_chart_knows(name: str, known: dict[str, str]) -> None:
    found = dict(leaves(values(name), known))

    assert known.keys() == found.keys()
    assert [] == [path for path, value in found.items() if not isinstance(value, TYPES[known[path]])]


def test_airflow_has_the_pool_of_retrains_and_more_slots_than_it() -> None:
    airflow = values("airflow-values.yaml")
    pool = re.search(r'^POOL = "(\w+)"$', (PROJECT / "dags" / "retrain.py").read_text(), re.MULTILINE)
    assert pool

    created = re.search(rf'airflow pools set {pool[1]} (\d+) "', airflow["scheduler"]["args"][-1])
    assert created
    assert int(created[1]) < airflow["config"]["core"]["parallelism"]


def test_the_commands_of_airflow_end_in_the_component_itself() -> None:
    """Without `exec` the shell would keep SIGTERM from it, and tasks would be killed with the pod."""
    airflow = values("airflow-values.yaml")

    for part, component in (("scheduler", "scheduler"), ("apiServer", "api-server")):
        assert ["bash", "-c"] == airflow[part]["args"][:2]
        assert airflow[part]["args"][2].endswith(f"&& exec airflow {component}")


def test_every_secret_that_is_named_is_described_at_the_top() -> None:
    for name in ("airflow-values.yaml", "mlflow-values.yaml"):
        text = (CHARTS / name).read_text()
        head = text.partition("\n\n")[0]
        named = set(re.findall(r"(?:SecretName|secretName|secretKeyRef: \{name): ([\w-]+)", text))

        assert named
        for secret in named:
            assert re.search(rf"^#   {secret} +\S", head, re.MULTILINE), secret


def test_the_fleet_names_the_service_of_mlflow() -> None:
    mlflow = values("mlflow-values.yaml")
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())["defaults"]

    port = mlflow["server"]["value_options"]["port"]
    assert f"http://{mlflow['fullnameOverride']}.mlflow:{port}" == defaults["mlflowUrl"]
    host = defaults["mlflowUrl"].removeprefix("http://").partition(":")[0]
    assert f"{host}:*" in mlflow["server"]["value_options"]["allowed_hosts"].split(",")


def test_airflow_starts_steps_with_the_accounts_that_may() -> None:
    """Their names begin with that of the release of Airflow, which the head of its values says."""
    binding = of_kind(rendered("full-values.yaml"), "RoleBinding")["u-understudy-step-pods"]
    parts = values("airflow-values.yaml").keys() & {"scheduler", "triggerer"}

    assert {f"airflow-{part}" for part in parts} == {each["name"] for each in binding["subjects"]}
    assert "as the release `airflow` in the namespace `airflow`" in (CHARTS / "airflow-values.yaml").read_text()


def test_airflow_and_the_chart_use_the_same_bucket() -> None:
    variables = {each["name"]: each["value"] for each in values("airflow-values.yaml")["env"]}
    gke = yaml.safe_load((CHART / "ci" / "gke-cpu-values.yaml").read_text())

    assert gke["fleets"]["digits"]["root"] == variables["UNDERSTUDY_ROOT"]
