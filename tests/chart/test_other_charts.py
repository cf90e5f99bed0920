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

from pipeline.spec import Training
from tests.chart.helm import CHART, CHARTS, of_kind, rendered
from tests.chart.step_pods import ENABLED

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "executors.md").read_text(encoding="utf-8")

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
# The files on top of airflow-values.yaml.
PODS = {
    "extraEnv": TEXT,
    "volumes": LIST,
    "volumeMounts": LIST,
    "config": MAP,
    "scheduler.args": LIST,
    "scheduler.resources": MAP,
}
CELERY = {
    "executor": TEXT,
    "redis.enabled": FLAG,
    "data.brokerUrlSecretName": TEXT,
    "data.resultBackendSecretName": TEXT,
    "config": MAP,
    "dagProcessor.env": LIST,
    "scheduler.env": LIST,
    "scheduler.resources": MAP,
    "workers.celery.replicas": NUMBER,
    "workers.celery.keda.enabled": FLAG,
    "workers.celery.terminationGracePeriodSeconds": NUMBER,
    "workers.celery.serviceAccount.annotations": MAP,
    "workers.celery.resources": MAP,
    "workers.celery.sets": LIST,
}
# What an item of `workers.celery.sets` may have.
CELERY_SET = {
    "name": TEXT,
    "queue": TEXT,
    "replicas": NUMBER,
    "terminationGracePeriodSeconds": NUMBER,
    "resources": MAP,
}
KUBERNETES_EXECUTOR = {
    "executor": TEXT,
    "allowPodLaunching": FLAG,
    "config": MAP,
    "priorityClasses": LIST,
    "workers.kubernetes.resources": MAP,
    "workers.kubernetes.terminationGracePeriodSeconds": NUMBER,
    "workers.kubernetes.safeToEvict": FLAG,
    "workers.kubernetes.serviceAccount.create": FLAG,
    "workers.kubernetes.serviceAccount.annotations": MAP,
    "scheduler.resources": MAP,
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


FILES = {
    "airflow-values.yaml": AIRFLOW,
    "airflow-pods-values.yaml": PODS,
    "airflow-celery-values.yaml": CELERY,
    "airflow-kubernetes-executor-values.yaml": KUBERNETES_EXECUTOR,
    "mlflow-values.yaml": MLFLOW,
}
ON_TOP = [name for name in FILES if name.startswith("airflow-") and name != "airflow-values.yaml"]


def test_all_values_files_for_other_charts_are_tested() -> None:
    assert FILES.keys() == {path.name for path in CHARTS.glob("*-values.yaml")}


@pytest.mark.parametrize(("name", "known"), FILES.items())
def test_every_value_is_one_that_the_chart_knows(name: str, known: dict[str, str]) -> None:
    found = dict(leaves(values(name), known))

    assert known.keys() == found.keys()
    assert [] == [path for path, value in found.items() if not isinstance(value, TYPES[known[path]])]


@pytest.mark.parametrize("name", ["airflow-values.yaml", "airflow-pods-values.yaml"])
def test_airflow_has_the_pool_of_retrains_and_more_slots_than_it(name: str) -> None:
    airflow = values(name)
    pool = re.search(r'^POOL = "(\w+)"$', (PROJECT / "dags" / "retrain.py").read_text(), re.MULTILINE)
    assert pool

    command = airflow["scheduler"]["args"][-1]
    created = re.search(rf'airflow pools set (?:--include-deferred )?{pool[1]} (\d+) "', command)
    assert created
    assert int(created[1]) < airflow["config"]["core"]["parallelism"]


def test_the_commands_of_airflow_end_in_the_component_itself() -> None:
    """Without `exec` the shell would keep SIGTERM from it, and tasks would be killed with the pod."""
    for name, part, component in (
        ("airflow-values.yaml", "scheduler", "scheduler"),
        ("airflow-values.yaml", "apiServer", "api-server"),
        ("airflow-pods-values.yaml", "scheduler", "scheduler"),
    ):
        arguments = values(name)[part]["args"]
        assert ["bash", "-c"] == arguments[:2]
        assert arguments[2].endswith(f"&& exec airflow {component}")


def test_every_secret_that_is_named_is_described_at_the_top() -> None:
    for name in ("airflow-values.yaml", "airflow-celery-values.yaml", "mlflow-values.yaml"):
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
    accounts = {each["name"] for each in binding["subjects"] if each["kind"] == "ServiceAccount"}

    assert {f"airflow-{part}" for part in parts} == accounts
    assert "as the release `airflow` in the namespace `airflow`" in (CHARTS / "airflow-values.yaml").read_text()


def test_airflow_and_the_chart_use_the_same_bucket() -> None:
    variables = {each["name"]: each["value"] for each in values("airflow-values.yaml")["env"]}
    gke = yaml.safe_load((CHART / "ci" / "gke-cpu-values.yaml").read_text())

    assert gke["fleets"]["digits"]["root"] == variables["UNDERSTUDY_ROOT"]


@pytest.mark.parametrize("name", ON_TOP)
def test_a_file_on_top_replaces_no_list_that_it_does_not_mean_to(name: str) -> None:
    """Of maps helm takes both, and of lists the last one."""
    lists = [path for path, value in leaves(values(name), FILES[name]) if isinstance(value, list)]
    below = dict(leaves(values("airflow-values.yaml"), AIRFLOW))

    assert {"scheduler.args"} >= below.keys() & set(lists)


@pytest.mark.parametrize("name", ON_TOP)
def test_a_file_on_top_is_for_the_same_version_of_the_chart(name: str) -> None:
    version = "version 1.22.0"

    assert version in (CHARTS / "airflow-values.yaml").read_text()
    assert version in (CHARTS / name).read_text().partition("\n\n")[0]


def test_airflow_mounts_the_file_that_the_chart_writes_where_its_variable_says() -> None:
    airflow = values("airflow-pods-values.yaml")
    variables = {each["name"]: each["value"] for each in yaml.safe_load(airflow["extraEnv"])}
    (volume,) = airflow["volumes"]
    (mount,) = airflow["volumeMounts"]
    written = rendered("gke-cpu-values.yaml", release="understudy", sets=ENABLED)
    made = of_kind(written, "ConfigMap")[volume["configMap"]["name"]]

    assert {"UNDERSTUDY_EXECUTION": "pod", "UNDERSTUDY_PODS": "/etc/understudy/pods.yaml"} == variables
    assert [f"{mount['mountPath']}/{name}" for name in made["data"]] == [variables["UNDERSTUDY_PODS"]]
    assert "airflow" == made["metadata"]["namespace"]
    assert mount["name"] == volume["name"]
    assert "subPath" not in mount, "it would keep what the file was when the pod started"


def test_steps_as_pods_count_in_the_pool_of_retrains_while_they_run() -> None:
    """The task of such a step is deferred, and deferred tasks take no slot unless the pool says so."""
    assert "airflow pools set --include-deferred retrain" in values("airflow-pods-values.yaml")["scheduler"]["args"][2]


def test_celery_has_workers_of_their_own_for_the_queue_of_the_on_call_tasks() -> None:
    celery = values("airflow-celery-values.yaml")
    (on_call,) = celery["workers"]["celery"]["sets"]

    assert on_call.keys() == CELERY_SET.keys()
    assert [] == [name for name, value in on_call.items() if not isinstance(value, TYPES[CELERY_SET[name]])]
    for part in ("dagProcessor", "scheduler"):
        assert [{"name": "UNDERSTUDY_ON_CALL_QUEUE", "value": on_call["queue"]}] == celery[part]["env"]
    assert "default" != on_call["queue"], "retrains are there"


def test_workers_of_celery_have_as_long_to_end_as_the_longest_step_may_take() -> None:
    """...unless a model file says more, in `training.hours`."""
    hours = re.findall(r"execution_timeout=timedelta\(hours=(\d+)\)", (PROJECT / "dags/retrain.py").read_text())
    hours.append(str(Training(epochs=1).hours))

    celery = values("airflow-celery-values.yaml")["workers"]["celery"]
    assert max(map(float, hours)) * 3600 == celery["terminationGracePeriodSeconds"]


def test_steps_give_way_to_the_pods_of_rollbacks_and_servers_do_not() -> None:
    """Pods without a class have the priority 0. An autoscaler adds no node for pods below -10."""
    (made,) = values("airflow-kubernetes-executor-values.yaml")["priorityClasses"]

    assert -10 <= made["value"] < 0
    assert "" == yaml.safe_load((CHART / "values.yaml").read_text())["priorityClassName"]


@pytest.mark.parametrize("name", ["airflow-celery-values.yaml", "airflow-kubernetes-executor-values.yaml"])
def test_the_page_of_executors_names_the_accounts_that_start_pods(name: str) -> None:
    """As Airflow's chart names them for the release `airflow`: a set of workers has an account of its own."""
    section = next(part for part in PAGE.split("\n## ") if name in part)
    workers = values(name)["workers"]
    sets = [f"airflow-worker-{each['name']}" for each in workers.get("celery", {}).get("sets", ())]
    accounts = ["airflow-worker", *sets] if "celery" in workers else ["airflow-worker-kubernetes"]

    assert f"airflowServiceAccounts: [{', '.join([*accounts, 'airflow-triggerer'])}]" in section
    for account in accounts:
        assert f"`{account}`" in section.partition("On GKE")[2], "it acts as an account of Google too"
