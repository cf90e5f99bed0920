"""The commands in docs/gke.md and docs/minikube.md name what exists, in the words that a shell makes of them.

There is no cloud and no cluster here: what `gcloud` and `kubectl` would do is not tried.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from pipeline.cli import app
from pipeline.runs.run_key import RunKey
from tests.chart.helm import CHART, CHARTS, NEWEST, Manifest, containers, of_kind, pods
from tests.chart.page import OPTIONS, PROJECT, Call, Page, labels, run
from tests.chart.schemas import require_fit
from tests.chart.test_other_charts import AIRFLOW, MLFLOW

KINDS = {
    "deployment": "Deployment",
    "gateway": "Gateway",
    "hpa": "HorizontalPodAutoscaler",
    "job": "Job",
    "pod": "Pod",
    "service": "Service",
    "serviceaccount": "ServiceAccount",
}
# What the charts of Airflow and MLflow create, as their templates name it for the releases `airflow` and `mlflow`.
OTHERS = {
    ("airflow", "Deployment", "airflow-scheduler"),
    ("airflow", "Service", "airflow-api-server"),
    ("mlflow", "Service", "mlflow"),
}
# Of Airflow's chart too: the container of the scheduler.
SCHEDULER_CONTAINER = "scheduler"
GRPC = {"protocol": "TCP", "port": "grpc"}


@pytest.fixture(scope="module")
def gke(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return run("gke.md", tmp_path_factory.mktemp("gke"))


@pytest.fixture(scope="module")
def minikube(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return run("minikube.md", tmp_path_factory.mktemp("minikube"))


@pytest.fixture(params=["gke", "minikube"])
def page(request: pytest.FixtureRequest) -> Page:
    found: Page = request.getfixturevalue(request.param)
    return found


def test_every_command_of_another_tool_exists_with_its_options(page: Page) -> None:
    """...which is so if it is in cloud_options.yaml."""
    seen = [(call.command, call.options) for tool in OPTIONS for call in page.of(tool)]

    assert len(seen) > 20


def test_the_chart_renders_with_the_values_of_each_command(page: Page) -> None:
    """A name that the schema of the values does not have is refused by helm."""
    assert page.renders
    for objects in page.renders:
        assert {"understudy-digits-first", "understudy-digits-rest"} == of_kind(objects, "Deployment").keys()


def test_every_object_that_is_named_exists(page: Page) -> None:
    known = {("understudy", each["kind"], each["metadata"]["name"]) for each in page.objects} | OTHERS
    known |= set(created(page))
    named = [each for call in page.of("kubectl") for each in objects_named(call)]

    assert len(named) > 5
    assert [] == [each for each in named if each not in known]


def created(page: Page) -> Iterator[tuple[str, str, str]]:
    """What the page makes without a manifest."""
    for call in page.of("kubectl"):
        if call.command == "create deployment":
            yield call.namespace, "Deployment", call.arguments[0]
        elif call.command == "expose":
            yield call.namespace, "Service", call.arguments[1]


def objects_named(call: Call) -> Iterator[tuple[str, str, str]]:
    """Namespace, kind and name of what kubectl is to work on: `kind name`, `kind/name`, or the name of a pod."""
    words = call.arguments
    if not words or call.command in ("run", "label", "apply", "top") or call.command.startswith("create"):
        return
    first = words[0]
    if "/" in first:
        kind, _, name = first.partition("/")
        yield call.namespace, KINDS[kind], name
    elif call.command == "exec":
        yield call.namespace, "Pod", first
    elif first in KINDS and len(words) > 1:
        yield call.namespace, KINDS[first], words[1]


def test_every_selector_finds_something(page: Page) -> None:
    asked = [(call, call.option("selector")) for call in page.of("kubectl") if call.option("selector")]

    assert asked
    for call, selector in asked:
        wanted = {tuple(pair.split("=")) for pair in selector.split(",")}
        kinds = {KINDS[word.removesuffix("s")] for word in call.arguments[0].split(",")} if call.arguments else {"Pod"}
        for kind in kinds:
            assert any(wanted <= found.items() for found in labels_of(page, kind)), (kind, selector)


def labels_of(page: Page, kind: str) -> list[dict[str, str]]:
    makers = {kind, "Deployment"} if kind == "Pod" else {kind}
    return [found for each in page.objects if each["kind"] in makers for found in labels(each)]


def test_the_columns_of_labels_are_not_empty(page: Page) -> None:
    found = labels_of(page, "Pod")
    columns = {name for call in page.of("kubectl") for name in call.option("label-columns").split(",") if name}

    assert {"group", "ring"} == columns
    assert all(any(name in each for each in found) for name in columns)


def test_every_container_that_is_named_exists(page: Page) -> None:
    known = {each["name"] for pod in pods(page.objects).values() for each in containers(pod)} | {SCHEDULER_CONTAINER}
    named = {call.option("container") for call in page.of("kubectl") if call.option("container")}

    assert set() == named - known


def test_every_manifest_on_the_page_fits_the_schema_of_its_kind(page: Page) -> None:
    """...but for Gateways: those have no schema here."""
    applied = page.applied

    assert applied
    for each in applied:
        if each["kind"] != "Gateway":
            require_fit(each, NEWEST)


def test_every_namespace_is_created_or_always_there(page: Page) -> None:
    made = {call.arguments[0] for call in page.of("kubectl") if call.command == "create namespace"}
    used = {call.namespace for tool in ("kubectl", "helm") for call in page.of(tool) if call.namespace}
    minio = {"minio"}  # of the section that says so

    assert {"understudy", "mlflow"} <= made
    assert used <= made | {"default"} | minio


def test_every_command_of_understudy_is_one(page: Page) -> None:
    commands = [call.inner[1:] for call in page.of("kubectl") if call.inner[:1] == ["understudy"]]
    commands += [list(call.words) for call in page.of("understudy")]

    assert len(commands) > 5
    for words in commands:
        parse(words)
        if "--run" in words:
            RunKey(words[words.index("--run") + 1])


def parse(words: list[str]) -> None:
    """Raises what the command line says about wrong words; runs nothing."""
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, list(words))


def test_every_target_of_make_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))

    assert set() == {call.words[0] for call in page.of("make")} - targets


def test_every_script_and_link_exists(page: Page) -> None:
    called = [PROJECT / call.program for call in page.calls if "/" in call.program]
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page.text) if "://" not in link]
    here = PROJECT / "docs" / page.name

    assert links
    assert [] == [path for path in called if not path.exists()]
    for target, _, anchor in links:
        path = (here.parent / target) if target else here
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_no_placeholder_is_left_in_the_values(gke: Page) -> None:
    files = sorted((gke.folder / "var" / "gke").rglob("*.yaml"))

    assert len(files) > 6
    for path in files:
        assert yaml.safe_load(path.read_text())
        assert [] == re.findall("my-project|my-models", path.read_text()), path


def test_the_images_that_are_run_are_those_that_are_pushed(gke: Page) -> None:
    registry = {word for call in gke.of("make") for word in call.words if word.startswith("REGISTRY=")}
    assert {"REGISTRY=europe-west4-docker.pkg.dev/vision-4711/understudy"} == registry
    (prefix,) = (each.removeprefix("REGISTRY=") for each in registry)
    run_ones = {image for each in gke.renders for pod in pods(each).values() for image in images_of(pod)}
    run_ones |= {call.option("image") for call in gke.of("kubectl") if call.command == "run"}

    assert {"tensorflow/serving", f"{prefix}/understudy-pipeline"} == {each.partition(":")[0] for each in run_ones}
    assert {"v9-8-g76543ab"} == {each.partition(":")[2] for each in run_ones if each.startswith(prefix)}
    for name, key in (("airflow-values.yaml", "defaultAirflowRepository"), ("mlflow-values.yaml", "image.repository")):
        found: Any = yaml.safe_load((gke.folder / "var" / "gke" / name).read_text())
        for part in key.split("."):
            found = found[part]
        assert f"{prefix}/understudy-{name.partition('-')[0]}" == found


def images_of(pod: Manifest) -> list[str]:
    return [each["image"] for each in containers(pod)]


def test_each_account_of_kubernetes_may_act_as_the_one_of_google_that_it_names(gke: Page) -> None:
    bound = {
        (call.option("member").partition("[")[2].removesuffix("]"), call.arguments[0])
        for call in gke.of("gcloud")
        if call.option("role") == "roles/iam.workloadIdentityUser"
    }

    assert set(annotated(gke)) == bound


def annotated(gke: Page) -> Iterator[tuple[str, str]]:
    """`namespace/account`, and the account of Google in its annotation."""
    for each in gke.objects:
        if each["kind"] == "ServiceAccount":
            yield f"understudy/{each['metadata']['name']}", google(each["metadata"])
    airflow = yaml.safe_load((gke.folder / "var" / "gke" / "airflow-values.yaml").read_text())
    for part, name in (("scheduler", "scheduler"), ("apiServer", "api-server"), ("triggerer", "triggerer")):
        yield f"airflow/airflow-{name}", google(airflow[part]["serviceAccount"])
    mlflow = yaml.safe_load((gke.folder / "var" / "gke" / "mlflow-values.yaml").read_text())
    yield f"mlflow/{mlflow['fullnameOverride']}", google(mlflow["serviceAccount"])


def google(holder: Manifest) -> str:
    name: str = holder["annotations"]["iam.gke.io/gcp-service-account"]
    return name


def test_the_accounts_of_google_are_created_and_may_use_the_bucket(gke: Page) -> None:
    made = {call.arguments[0] for call in gke.of("gcloud") if call.command == "iam service-accounts create"}
    roles = {
        call.option("member").removeprefix("serviceAccount:").partition("@")[0]: call.option("role")
        for call in gke.of("gcloud")
        if call.command == "storage buckets add-iam-policy-binding"
    }

    assert {name.partition("@")[0] for _, name in annotated(gke)} == roles.keys()
    assert roles.keys() | {"understudy-nodes"} == made
    assert "roles/storage.objectViewer" == roles.pop("understudy-serving")
    assert {"roles/storage.objectUser"} == set(roles.values())


def test_the_secrets_of_airflow_and_mlflow_are_created_with_their_keys(gke: Page) -> None:
    texts = [(CHARTS / name).read_text() for name in ("airflow-values.yaml", "mlflow-values.yaml")]
    line = re.compile(r"^#   ((?:airflow|mlflow)-[\w-]+) +([\w.-]+) ", re.MULTILINE)
    described = {found for text in texts for found in line.findall(text)}
    made = {
        (call.arguments[0], (call.option("from-literal") or call.option("from-file")).partition("=")[0])
        for call in gke.of("kubectl")
        if call.command == "create secret generic"
    }

    assert len(described) == 6
    assert described == made


@pytest.mark.parametrize(("chart", "known"), [("airflow", AIRFLOW), ("mlflow", MLFLOW)])
def test_values_of_other_charts_are_set_at_paths_that_exist(chart: str, known: dict[str, str], gke: Page) -> None:
    options = [option for call in installs_of(gke, chart) for option in call.options]
    paths = {value.partition("=")[0] for name, value in options if name in ("set", "set-string")}

    assert paths
    assert paths <= known.keys()


def installs_of(page: Page, release: str) -> list[Call]:
    return [call for call in page.of("helm") if call.command == "upgrade" and call.arguments[:1] == [release]]


def test_the_versions_of_other_charts_are_those_that_the_values_are_for(gke: Page) -> None:
    for name, chart in (("airflow-values.yaml", "airflow"), ("mlflow-values.yaml", "mlflow")):
        (version,) = {call.option("version") for call in installs_of(gke, chart)}
        assert f"version {version}" in (CHARTS / name).read_text().partition("\n\n")[0]


@pytest.mark.parametrize(("name", "namespace"), [("gke", "airflow"), ("minikube", "understudy")])
def test_what_runs_the_verbs_may_reach_the_servers(name: str, namespace: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    for objects in page.renders:
        rules = of_kind(objects, "NetworkPolicy")["understudy-digits"]["spec"]["ingress"]
        peers = [peer for rule in rules if GRPC in rule["ports"] for peer in rule["from"]]
        names = [peer.get("namespaceSelector", {}).get("matchLabels") for peer in peers]
        assert {"kubernetes.io/metadata.name": namespace} in names


def test_steps_are_pods_when_the_file_that_airflow_mounts_is_written(gke: Page) -> None:
    """The chart writes it before Airflow's pods get the values that mount it."""
    (written,) = [at for at, call in enumerate(gke.calls) if any("60-steps.yaml" in word for word in call.words)][:1]
    (mounted,) = [at for at, call in enumerate(gke.calls) if any("airflow-pods" in word for word in call.words)]
    found = [objects for objects in gke.renders if "understudy-pods" in of_kind(objects, "ConfigMap")]

    assert written < mounted
    assert found
    for objects in found:
        assert "understudy-step-pods" in of_kind(objects, "RoleBinding")


def test_the_servers_take_models_of_the_tensorflow_of_the_pipeline(page: Page) -> None:
    lock = (PROJECT / "requirements.txt").read_text()
    (trained,) = re.findall(r"^tensorflow==(\d+\.\d+)\.", lock, re.MULTILINE)

    for objects in page.renders:
        (container,) = of_kind(objects, "Job")["understudy-digits-init"]["spec"]["template"]["spec"]["containers"]
        place = container["args"].index("--server-tensorflow")
        assert trained == container["args"][place + 1]


def test_a_pod_behind_a_load_balancer_of_google_serves_for_a_minute_while_it_ends(gke: Page) -> None:
    for objects in gke.renders:
        if not of_kind(objects, "HTTPRoute"):
            continue
        for each in of_kind(objects, "Deployment").values():
            pod = each["spec"]["template"]["spec"]
            assert 60 == pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert 75 == pod["terminationGracePeriodSeconds"]
    assert any(of_kind(objects, "HTTPRoute") for objects in gke.renders)


def test_the_image_that_is_sent_is_the_one_of_helm_test(gke: Page) -> None:
    (pixel,) = re.findall(r'b64decode\("([^"]+)"\)', (CHART / "files" / "ask.py").read_text())

    (sent,) = (call.words[1] for call in gke.of("curl"))
    assert {"instances": [{"b64": pixel}]} == json.loads(sent)


def test_the_pool_of_gpus_is_the_one_that_the_values_ask_for(gke: Page) -> None:
    (pool,) = (call for call in gke.of("gcloud") if call.command == "container node-pools create")
    values = yaml.safe_load((CHART / "ci" / "gke-gpu-values.yaml").read_text())["fleets"]["digits"]
    most = sum(
        group.get("autoscaling", {}).get("maxReplicas", group.get("replicas")) for group in values["groups"].values()
    )

    kind = values["nodeSelector"]["cloud.google.com/gke-accelerator"]
    assert f"type={kind},count={values['gpus']},gpu-driver-version=default" == pool.option("accelerator")
    assert values["tolerations"][0]["key"] == pool.option("node-taints").partition("=")[0]
    assert str(most) == pool.option("total-max-nodes")


def test_the_costs_are_calculated_correctly(gke: Page) -> None:
    rows = re.findall(r"\| (\d+) x ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", gke.text)

    assert 4 == len(rows)
    for count, price, hour, month in rows:
        assert pytest.approx(float(hour), abs=1e-6) == int(count) * float(price)
        assert pytest.approx(float(month), abs=0.02) == float(hour) * 730
    values = yaml.safe_load((CHART / "ci" / "gke-cpu-values.yaml").read_text())["fleets"]["digits"]
    reads = 730 * 3600 // values["pollSeconds"]
    assert f"`pollSeconds`, which is {values['pollSeconds']}: 3 x {reads} = {3 * reads} reads" in gke.text


def test_the_pod_with_the_commands_is_restricted_and_has_the_bucket_of_the_servers(minikube: Page) -> None:
    pod = of_kind(minikube.objects, "Pod")["shell"]["spec"]
    (container,) = pod["containers"]
    fleet = yaml.safe_load((CHART / "ci" / "minikube-values.yaml").read_text())["fleets"]["digits"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    assert {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} == container["securityContext"]
    assert [{"name": "bucket", "persistentVolumeClaim": {"claimName": fleet["existingClaim"]}}] == pod["volumes"]
    assert [{"name": "bucket", "mountPath": fleet["root"]}] == container["volumeMounts"]
    assert {"name": "UNDERSTUDY_ROOT", "value": fleet["root"]} in container["env"]
    assert fleet["existingClaim"] in of_kind(minikube.objects, "PersistentVolumeClaim")


def test_the_steps_of_a_release_are_run_in_their_order(minikube: Page) -> None:
    steps = [call.inner[1] for call in minikube.of("kubectl") if "--run" in call.inner]

    assert ["snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "withdraw"] == steps


def test_minikube_loads_the_images_that_are_never_pulled(minikube: Page) -> None:
    loaded = {call.arguments[0] for call in minikube.of("minikube") if call.command == "image load"}
    applied = images_of(of_kind(minikube.objects, "Pod")["shell"]["spec"])
    made = {call.option("image") for call in minikube.of("kubectl") if call.option("image")}
    rendered = {image for each in minikube.renders for pod in pods(each).values() for image in images_of(pod)}
    pulled = {image for image in rendered if image.startswith("tensorflow/serving:")}

    assert pulled
    assert {*applied, *made, *rendered} - pulled == loaded
