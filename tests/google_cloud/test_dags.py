"""The DAG of a model that has `new_images` in its file, as Airflow reads and stores it."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pipeline.new_images import Upload
from tests.google_cloud.cloud import without_google
from tests.google_cloud.running import PROJECT, run
from tests.hunts import hunt, share

# Airflow takes seconds to read the DAGs, once for all of these tests.
pytestmark = [hunt, share]

PUBSUB = {"project": "my-project", "subscription": "digits-images"}
UPLOAD = {"bucket": "my-images", "prefix": "digits/", "inactivity_minutes": 20}
MODELS: dict[str, dict[str, Any]] = {
    "both": {"new_images": {"pubsub": PUBSUB, "upload": UPLOAD}},
    "messages": {"schedule": None, "new_images": {"pubsub": PUBSUB, "connection": "images"}},
    "uploads": {"new_images": {"upload": {"bucket": "my-images"}}},
    "longest": {"new_images": {"upload": UPLOAD | {"inactivity_minutes": 24 * 60}}},
    "plain": {},
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("dags")
    (folder / "models").mkdir()
    digits = yaml.safe_load((PROJECT / "models" / "digits.yaml").read_text(encoding="utf-8"))
    for name, more in MODELS.items():
        content = yaml.safe_dump(digits | {"name": name, **more})
        (folder / "models" / f"{name}.yaml").write_text(content, encoding="utf-8")
    environment = without_google() | {"UNDERSTUDY_MODELS": str(folder / "models")}
    return run("describe_dags", home=folder, environment=environment).answer


def test_the_dags_are_read_without_errors_or_warnings(described: Any) -> None:
    assert ({}, []) == (described["errors"], described["warnings"])
    assert MODELS.keys() == described["dags"].keys()


def test_a_subscription_starts_runs_beside_the_schedule_or_alone(described: Any) -> None:
    summaries = {name: dag["summary"] for name, dag in described["dags"].items()}
    assets = {name: dag["assets"] for name, dag in described["dags"].items()}

    assert {
        "both": "Asset or 0 3 * * 1",
        "messages": "Asset",
        "uploads": "0 3 * * 1",
        "longest": "0 3 * * 1",
        "plain": "0 3 * * 1",
    } == summaries
    assert ({"both", "messages"}, ["both/images"]) == ({name for name in assets if assets[name]}, assets["both"])


def test_the_watcher_waits_in_pub_sub_and_acknowledges(described: Any) -> None:
    (watcher,) = described["dags"]["both"]["watchers"]
    (other,) = described["dags"]["messages"]["watchers"]
    expected = {
        "project_id": "my-project",
        "subscription": "digits-images",
        "max_messages": 1000,
        "ack_messages": True,
        "return_immediately": False,
        "gcp_conn_id": "google_cloud_default",
    }

    assert "airflow.providers.google.cloud.triggers.pubsub.PubsubPullTrigger" == watcher["classpath"]
    assert expected.items() <= watcher["kwargs"].items()
    assert "images" == other["kwargs"]["gcp_conn_id"]


def test_the_upload_is_waited_for_before_anything_is_read(described: Any) -> None:
    firsts = {name: dag["first"] for name, dag in described["dags"].items()}
    task = described["dags"]["both"]["uploads"]

    assert {"both", "uploads", "longest"} == {name for name, first in firsts.items() if first == ["uploads"]}
    assert {"messages", "plain"} == {name for name, first in firsts.items() if first == ["snapshot"]}
    assert ["snapshot"] == task["before"]
    assert task["deferrable"]
    assert (20 * 60, 60) == (task["inactivity"], task["looks_every"])
    assert 30 * 60 == described["dags"]["uploads"]["uploads"]["inactivity"]
    assert (1, 60) == tuple(task["retries"]), "docs/new-images.md says when it waits again"
    assert "understudy" == task["owner"]
    assert "retrain" != task["pool"], "with `--include-deferred` it would take a slot of that pool for a day"
    assert task["doc"]


@pytest.mark.parametrize(("name", "minutes"), [("both", 20), ("longest", 24 * 60)])
def test_an_upload_of_a_day_leaves_time_for_the_minutes_without_a_new_object(
    described: Any, name: str, minutes: int
) -> None:
    """The largest `inactivity_minutes` is a day: with a limit of one day it could never succeed."""
    task = described["dags"][name]["uploads"]

    assert (24 * 60 + minutes) * 60 == task["timeout"]
    assert task["timeout"] < task["limit"], "Airflow tries a task that is over `execution_timeout` again"


def test_more_than_a_day_without_a_new_object_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1440"):
        Upload.model_validate(UPLOAD | {"inactivity_minutes": 24 * 60 + 1})


def test_only_one_run_at_a_time(described: Any) -> None:
    assert {1} == {dag["max_active_runs"] for dag in described["dags"].values()}


def test_the_page_of_the_dag_says_what_starts_it(described: Any) -> None:
    paragraphs = {name: dag["paragraph"] for name, dag in described["dags"].items()}

    assert "A run is started by the schedule `0 3 * * 1` (UTC) or a person." == paragraphs["plain"]
    assert (
        "A run is started by a message in the subscription `digits-images` of the project `my-project` or a person. A "
        "run that a message has started ends skipped in `snapshot` if its images are those of the newest run that was "
        "decided."
    ) == paragraphs["messages"]
    assert "until no object was added below `gs://my-images/` for 30 minutes" in paragraphs["uploads"]
    assert "by the schedule `0 3 * * 1` (UTC) or a message in" in paragraphs["both"]
    assert "until no object was added below `gs://my-images/digits/` for 20 minutes" in paragraphs["both"]


def test_snapshot_is_told_whether_an_event_has_started_the_run(described: Any) -> None:
    told = described["dags"]["plain"]["event"]

    assert "true" == told.pop("asset_triggered")
    assert {"false"} == set(told.values())
    assert {"manual", "scheduled"} <= told.keys()
