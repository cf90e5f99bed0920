"""docs/google.md and docs/new-images.md: their commands, settings and rights. There is no cloud here to try them in."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.new_images import NewImages, Upload
from tests.chart.helm import CHART, NEWEST, helm, objects_in
from tests.chart.page import OPTIONS, Page, run
from tests.chart.schemas import require_fit
from tests.chart.step_pods import step_pods
from tests.chart.test_docs import anchors
from tests.google_cloud.running import PROJECT

PAGES = ("google.md", "new-images.md")
PIPELINE = "serviceAccount:understudy-pipeline@vision-4711.iam.gserviceaccount.com"


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return run(request.param, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Page]:
    return [run(name, tmp_path_factory.mktemp("page")) for name in PAGES]


def test_every_command_of_gcloud_exists_with_its_options(page: Page) -> None:
    """...which is so if it is in cloud_options.yaml, where a new one is added after a look at gcloud."""
    seen = [(call.command, call.options) for call in page.of("gcloud")]

    assert len(seen) >= 6
    assert all(command in OPTIONS["gcloud"] for command, _ in seen)


def test_every_link_exists(page: Page) -> None:
    links = [
        link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page.text.replace("\n", " ")) if "://" not in link
    ]

    assert links
    for target, _, anchor in links:
        path = PROJECT / "docs" / (target or page.name)
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_every_role_that_is_granted_is_in_the_table_and_goes_to_the_pipeline_alone(pages: list[Page]) -> None:
    granted = [call for page in pages for call in page.of("gcloud") if call.command.endswith("add-iam-policy-binding")]
    rows = re.findall(r"^\| `understudy-pipeline` \|.*?\| `(roles/[\w.]+)` \|", pages[0].text, re.MULTILINE)
    before = {"roles/storage.objectUser"}  # in gke.md

    assert set(rows) - before == {call.option("role") for call in granted}
    assert {PIPELINE} == {call.option("member") for call in granted}
    assert all(not call.command.startswith("projects") for call in granted)


def test_the_secret_that_is_created_has_the_prefix_of_the_settings(pages: list[Page]) -> None:
    (created,) = (call for call in pages[0].of("gcloud") if call.command == "secrets create")
    (block,) = re.findall(r"```yaml\n(.*?)```", pages[0].text, re.DOTALL)
    settings = yaml.safe_load(block)["config"]["secrets"]
    prefix = yaml.safe_load(settings["backend_kwargs"])["connections_prefix"]

    assert created.arguments[0].startswith(f"{prefix}-")


def test_the_file_with_the_password_is_readable_by_its_owner_alone_and_deleted(
    pages: list[Page], tmp_path: Path
) -> None:
    (line,) = re.findall(r"^.*> var/gke/alerts.*$", pages[0].text, re.MULTILINE)
    (tmp_path / "var" / "gke").mkdir(parents=True)
    subprocess.run(["bash", "-c", f"umask 022\nopenssl() {{ echo 5ec7e7; }}\n{line}"], cwd=tmp_path, check=True)
    written = tmp_path / "var" / "gke" / "alerts"

    assert "https://ann:5ec7e7@alerts.example.com" == written.read_text()
    assert 0o600 == written.stat().st_mode & 0o777
    assert not (pages[0].folder / "var" / "gke" / "alerts").exists()


def test_the_notification_publishes_to_the_topic_of_the_subscription_in_the_model_file(pages: list[Page]) -> None:
    (block,) = re.findall(r"```yaml\nnew_images:\n(.*?)```", pages[1].text, re.DOTALL)
    new = NewImages.model_validate(yaml.safe_load(block))
    (notification,) = (call for call in pages[1].of("gcloud") if call.command.endswith("notifications create"))
    (subscription,) = (call for call in pages[1].of("gcloud") if call.command == "pubsub subscriptions create")

    assert new.pubsub
    assert new.upload
    assert new.pubsub.subscription == subscription.arguments[0]
    assert notification.option("topic") == subscription.option("topic")
    assert new.upload.prefix == notification.option("object-prefix")
    assert {"pubsub", "upload", "connection"} == NewImages.model_fields.keys()
    assert all(f"`{name}" in pages[1].text for name in ("pubsub.project", "upload.inactivity_minutes", "connection`"))


def test_the_page_has_the_limits_and_the_states_of_the_task_that_waits(pages: list[Page]) -> None:
    (most,) = (each.le for each in Upload.model_fields["inactivity_minutes"].metadata if hasattr(each, "le"))

    assert f"at most {most} |" in pages[1].text
    assert {"up_for_retry", "failed"} == set(re.findall(r"`uploads` is `(\w+)`", pages[1].text))
    assert "after a minute it waits for all of `inactivity_minutes` again" in pages[1].text
    assert " red" not in pages[1].text


def test_the_pod_of_snapshot_alone_mounts_the_images_with_the_values_on_the_page(
    pages: list[Page], tmp_path: Path
) -> None:
    (block,) = re.findall(r"```yaml\n(stepPods:\n.*?)```", pages[1].text, re.DOTALL)
    mlflow = "networkPolicy: {mlflow: {mlflow: {namespace: mlflow}}}\n"  # of the page on pods
    (tmp_path / "values.yaml").write_text(block + mlflow)
    words = ["--values", str(CHART / "ci" / "gke-cpu-values.yaml"), "--values", str(tmp_path / "values.yaml")]
    words += ["--set", "rbac.airflowServiceAccounts={airflow-scheduler,airflow-triggerer}"]
    done = helm("template", "understudy", str(CHART), "--kube-version", f"{NEWEST}.0", *words)
    assert done.returncode == 0, done.stderr
    pods = step_pods(objects_in(done.stdout))
    pod = pods["snapshot"]
    (container,) = pod["spec"]["containers"]
    (volume,) = (each for each in pod["spec"]["volumes"] if "csi" in each)
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])

    require_fit(pod, NEWEST)
    assert {"snapshot"} == {verb for verb, each in pods.items() if "gcsfuse" in str(each)}
    assert "true" == pod["metadata"]["annotations"]["gke-gcsfuse/volumes"]
    assert ("gcsfuse.csi.storage.gke.io", True) == (volume["csi"]["driver"], volume["csi"]["readOnly"])
    assert mount["readOnly"]
    assert f"`images: {mount['mountPath']}/digits`" in pages[1].text
    assert "understudy-pipeline" == pod["spec"]["serviceAccountName"]


def test_logs_are_deleted_only_in_their_folder(pages: list[Page]) -> None:
    (rule,) = yaml.safe_load((pages[0].folder / "var" / "gke" / "lifecycle.json").read_text())["rule"]
    folder = yaml.safe_load((PROJECT / "charts" / "airflow-values.yaml").read_text())["config"]["logging"]

    (prefix,) = rule["condition"]["matchesPrefix"]
    assert f"gs://my-models/{prefix}" == folder["remote_base_log_folder"] + "/"
