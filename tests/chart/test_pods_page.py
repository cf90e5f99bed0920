"""What docs/pods.md and docs/executors.md say is what the chart, Airflow's code and the values have."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from dags.tasks.pod_manifest import manifest
from dags.tasks.pod_settings import PodFields, PodSettings, load_pods
from dags.tasks.step_settings import StepSettings
from pipeline.settings import Settings
from tests.chart.helm import CHART, CHARTS, NEWEST, helm, objects_in, of_kind
from tests.chart.page import OPTIONS, PROJECT, Page, run
from tests.chart.schemas import require_fit
from tests.chart.step_pods import ENABLED, settings_in, step_pods
from tests.chart.test_docs import anchors

PAGES = {name: (PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("pods", "executors")}
BLOCKS = [
    (name, text)
    for name, page in PAGES.items()
    for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
]
FILE = [text for _, text in BLOCKS if text.startswith("namespace:")]
# What a failed task shows of the texts of Kubernetes itself: reasons, statuses, parts of messages.
OF_KUBERNETES = {
    *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "CreateContainerConfigError", "ContainerCreating"),
    *("Unschedulable", "Evicted", "NodeShutdown", "Terminated", "Preempting", "DeadlineExceeded"),
    *("403", "401", "422", "500", "forbidden", "is invalid", "exceeded quota"),
}
CHART_VALUES = [text for _, text in BLOCKS if not text.startswith("namespace:")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return run("pods.md", tmp_path_factory.mktemp("pods"))


def test_every_command_of_another_tool_exists_with_its_options(page: Page) -> None:
    seen = [(call.command, call.options) for tool in OPTIONS for call in page.of(tool)]

    assert len(seen) > 5


def test_the_values_of_each_command_make_pods_that_fit_the_schema_of_kubernetes(page: Page) -> None:
    assert 2 == len(page.renders)
    for objects in page.renders:
        pods = step_pods(objects)
        assert {"train", "rollback"} & pods.keys()
        for pod in pods.values():
            require_fit(pod, NEWEST)


def test_on_a_laptop_no_step_needs_the_bucket_or_the_servers_from_there(page: Page) -> None:
    laptop, _ = page.renders

    assert {"announce", "rollback", "pin", "freeze", "unfreeze", "readmit", "reconcile"} <= step_pods(laptop).keys()


def test_the_airflow_of_a_laptop_has_the_variables_the_file_and_the_pool(page: Page) -> None:
    assert [
        ["db", "migrate"],
        ["pools", "set", "--include-deferred", "retrain", "1", "Steps of retrains"],
        ["standalone"],
    ] == [call.words for call in page.of(".venv/bin/airflow")]
    block = re.findall(r"^```sh\n((?:export AIRFLOW|export UNDERSTUDY).*?)^```$", page.text, re.DOTALL | re.MULTILINE)
    variables = dict(re.findall(r"(\w+)=(\S+)", block[0]))
    fleet = yaml.safe_load((CHART / "ci" / "minikube-values.yaml").read_text())["fleets"]["digits"]

    settings = {f"UNDERSTUDY_{name.upper()}" for each in (StepSettings, Settings) for name in each.model_fields}
    assert [] == [name for name in variables if name.startswith("UNDERSTUDY_") and name not in settings]
    assert fleet["root"] == variables["UNDERSTUDY_ROOT"]
    assert (page.folder / variables["UNDERSTUDY_PODS"].removeprefix("$PWD/")).exists(), "kubectl has written it"
    assert f"`{fleet['existingClaim']}`" in page.text
    for name in ("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER"):
        assert (PROJECT / variables[name].removeprefix("$PWD/")).is_dir()


def test_the_account_of_an_airflow_outside_is_made_and_may_find_and_connect_to_the_cluster(page: Page) -> None:
    """roles/container.clusterViewer has container.clusters.connect, container.clusters.get and .list."""
    calls = page.of("gcloud")
    (made,) = [call.arguments for call in calls if call.command == "iam service-accounts create"]
    (role,) = [call for call in calls if call.command == "projects add-iam-policy-binding"]
    binding = of_kind(page.renders[1], "RoleBinding")["understudy-step-pods"]

    assert ["airflow"] == made
    assert "roles/container.clusterViewer" == role.option("role")
    assert [role.option("member").removeprefix("serviceAccount:")] == [each["name"] for each in binding["subjects"]]
    assert settings_in(page.renders[1]).gke


def test_only_the_pod_of_publish_has_the_private_key(tmp_path: Path) -> None:
    (text,) = [each for each in CHART_VALUES if "signing.pem" in each]
    (tmp_path / "values.yaml").write_text(text)
    values = ("--values", str(CHART / "ci" / "gke-cpu-values.yaml"), "--values", str(tmp_path / "values.yaml"))
    done = helm("template", "u", str(CHART), "--kube-version", f"{NEWEST}.0", *values, *words_of(ENABLED))
    pods = step_pods(objects_in(done.stdout))

    assert ["publish"] == [verb for verb, pod in pods.items() if "understudy-signing" in str(pod)]
    for verb, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        mounts = [each["mountPath"] for each in container["volumeMounts"]]
        paths = [each["value"] for each in container["env"] if each["value"].startswith("/")]
        assert "UNDERSTUDY_VERIFYING_KEY" in [each["name"] for each in container["env"]], verb
        assert [] == [path for path in paths if str(Path(path).parent) not in mounts], verb


def test_the_pod_of_train_has_its_cache_on_a_volume_beside_what_the_bucket_needs(tmp_path: Path) -> None:
    (text,) = [each for each in CHART_VALUES if "UNDERSTUDY_CACHE" in each]
    (tmp_path / "values.yaml").write_text(text)
    values = ("--values", str(CHART / "ci" / "minikube-values.yaml"), "--values", str(tmp_path / "values.yaml"))
    done = helm("template", "u", str(CHART), "--kube-version", f"{NEWEST}.0", *values, *words_of(ENABLED))
    pod = step_pods(objects_in(done.stdout))["train"]["spec"]
    (container,) = pod["containers"]
    variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}

    settings = Settings(cache=Path(variables["UNDERSTUDY_CACHE"]), cache_gb=float(variables["UNDERSTUDY_CACHE_GB"]))
    assert settings.cache_gb < 100
    assert "understudy-train-cache" == volumes[mounts[str(settings.cache)]]["persistentVolumeClaim"]["claimName"]
    assert "/bucket" in mounts
    assert "/tmp" in mounts


def words_of(sets: Iterable[str]) -> list[str]:
    return [word for each in sets for word in ("--set", each)]


def test_the_file_on_the_page_is_taken_by_airflow_and_makes_pods(tmp_path: Path) -> None:
    (text,) = FILE
    (tmp_path / "pods.yaml").write_text(text)

    pods = load_pods(tmp_path / "pods.yaml")

    for verb in ("train", "gate"):
        require_fit(manifest(pods.of(verb), verb=verb), NEWEST)
    assert 1 == (pods.of("train").resources or {})["limits"]["nvidia.com/gpu"]


@pytest.mark.parametrize("text", CHART_VALUES, ids=[text.splitlines()[0] for text in CHART_VALUES])
def test_the_chart_takes_the_values_on_the_page(text: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(text)
    words = ["--values", str(CHART / "ci" / "gke-cpu-values.yaml"), "--set", "stepPods.enabled=true"]
    words += ["--set", "networkPolicy.mlflow.mlflow.namespace=mlflow"]
    words += ["--values", str(tmp_path / "values.yaml")]
    if "airflowServiceAccounts" not in text:
        words += ["--set", "rbac.airflowServiceAccounts={airflow-scheduler}"]

    done = helm("template", "understudy", str(CHART), "--kube-version", f"{NEWEST}.0", *words)

    assert done.returncode == 0, done.stderr
    for pod in step_pods(objects_in(done.stdout)).values():
        require_fit(pod, NEWEST)


def test_each_field_of_the_file_has_a_row() -> None:
    fields = {field.alias for model in (PodFields, PodSettings) for field in model.model_fields.values()}
    section = PAGES["pods"].partition("## The file")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)

    assert fields == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_what_a_failed_task_shows_is_said_by_the_code_or_by_kubernetes() -> None:
    code = "".join(path.read_text() for path in (PROJECT / "dags").rglob("*.py"))
    section = PAGES["pods"].partition("## What a failed task shows")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)[1:]
    quoted = [part for cell in cells for part in re.findall(r"`([^`]+)`", cell)]
    parts = {part.removesuffix(" 15").partition(" (")[0] for each in quoted for part in each.split(": ")}

    assert len(parts) > 20
    assert set() == {part for part in parts if part not in code} - OF_KUBERNETES
    assert parts >= OF_KUBERNETES


def test_every_way_in_which_a_pod_ends_without_an_answer_has_a_row() -> None:
    """The texts of the code up to what is filled in; an exit code is no such way."""
    code = (PROJECT / "dags" / "tasks" / "pod_endings.py").read_text()
    ways = set(re.findall(r'"((?:the pod|no node|its container|it was)[^:;{(]*?)(?:[:;{(]| for want)', code))
    section = PAGES["pods"].partition("## What a failed task shows")[2].partition("\n## ")[0]

    assert len(ways) >= 6
    assert [] == [way for way in ways if f"| `{way.strip()}" not in section and f", `{way.strip()}" not in section]


def test_a_name_that_the_page_calls_secret_is_refused_with_a_value() -> None:
    (names,) = re.findall(r"under a name with ([A-Z, ]+) or ([A-Z]+) is refused", PAGES["pods"])

    words = [*names[0].split(", "), names[1]]
    assert len(words) == 5
    for word in words:
        with pytest.raises(ValidationError, match="has a secret as its value"):
            PodSettings.model_validate({"env": [{"name": f"MY_{word}", "value": "x"}]})


def test_airflow_may_do_in_the_cluster_what_the_page_lists(page: Page) -> None:
    role = of_kind(page.renders[0], "Role")["understudy-step-pods"]
    section = PAGES["pods"].partition("and nothing else:")[2].partition("A test compares")[0]

    for rule in role["rules"]:
        for resource in rule["resources"]:
            rows = re.findall(rf"^\| ([\w, ]+) {resource} \|", section, re.MULTILINE)
            assert set(rule["verbs"]) == set(re.findall(r"\w+", " ".join(rows))) - {"and"}, resource


@pytest.mark.parametrize("name", PAGES)
def test_every_link_exists(name: str) -> None:
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", PAGES[name]) if "://" not in link]

    assert links
    for target, _, anchor in links:
        path = PROJECT / "docs" / (target or f"{name}.md")
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_the_secrets_of_celery_are_created_with_their_keys() -> None:
    head = (CHARTS / "airflow-celery-values.yaml").read_text().partition("\n\n")[0]
    described = set(re.findall(r"^#   (airflow-[\w-]+) +([\w.-]+) ", head, re.MULTILINE))
    made = set(re.findall(r"create secret generic (\S+) \\\n +--from-literal=(\w+)=", PAGES["executors"]))

    assert 2 == len(described)
    assert described == made


def test_every_values_file_of_airflow_is_on_one_of_the_pages() -> None:
    files = [path.name for path in CHARTS.glob("airflow-*values.yaml")]

    assert len(files) == 4
    assert [] == [name for name in files if not any(f"charts/{name}" in text for text in PAGES.values())]
    assert yaml.safe_load((CHARTS / "airflow-pods-values.yaml").read_text())
