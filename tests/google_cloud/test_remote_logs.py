"""Logs of tasks in the bucket: the settings of charts/airflow-values.yaml, with Airflow's and Google's code."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.google_cloud.cloud import google_cloud
from tests.google_cloud.running import PROJECT, Ended, run
from tests.google_cloud.storage_relay import storage_relay
from tests.hunts import hunt
from tests.object_storage import ObjectStore, in_use

AIRFLOW = yaml.safe_load((PROJECT / "charts" / "airflow-values.yaml").read_text())
MLFLOW = yaml.safe_load((PROJECT / "charts" / "mlflow-values.yaml").read_text())
LOGGING = AIRFLOW["config"]["logging"]
VARIABLES = {each["name"]: each["value"] for each in AIRFLOW["env"] if "value" in each}
Write = Callable[..., tuple[Ended, list[str]]]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Write]:
    """Runs `write_log` with these settings, in a bucket that exists or does not; what it found, and all objects."""
    folder = tmp_path_factory.mktemp("logs")
    with (
        google_cloud(folder, hosts=[], handlers=[]) as cloud,
        in_use(ObjectStore()) as store,
        storage_relay(store.endpoint) as relay,
    ):
        bucket = store.bucket()

        def write_log(*words: str, name: str = bucket.name) -> tuple[Ended, list[str]]:
            environment = cloud | {
                "STORAGE_EMULATOR_HOST": relay,
                "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": VARIABLES["AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"],
                **{
                    f"AIRFLOW__LOGGING__{option.upper()}": value.replace("my-models", name)
                    for option, value in LOGGING.items()
                },
            }
            found = run("write_log", *words, home=tmp_path_factory.mktemp("airflow"), environment=environment)
            return found, [blob.name for blob in bucket._client.list_blobs(bucket.name)]

        yield write_log
        bucket.close()


def events(lines: Any) -> list[str]:
    return [json.loads(line)["event"] for line in lines if line.strip()]


@hunt
def test_a_log_is_written_and_read_without_a_key(write: Write) -> None:
    """The token is that of the metadata server, as with Workload Identity; a request without one is refused."""
    found, objects = write()

    assert "GCSRemoteLogIO" == found.answer["handler"]
    assert ["epoch 1 of 2: loss 0.5"] == events(found.answer["first"])
    assert ["epoch 1 of 2: loss 0.5", "epoch 2 of 2: loss 0.4"] == events(found.answer["both"])
    assert "" == found.answer["local"]
    assert ["airflow-logs/dag_id=retrain_digits/run_id=manual__2026-12-01/task_id=train/attempt=1.log"] == objects


@hunt
def test_without_its_bucket_a_task_ends_as_it_would_and_its_log_stays_on_the_machine(write: Write) -> None:
    found, _ = write("unreadable", name="bucket-that-is-gone")

    assert ["epoch 1 of 2: loss 0.5", "epoch 2 of 2: loss 0.4"] == events(found.answer["local"].splitlines())
    assert "Could not write logs to gs://bucket-that-is-gone/airflow-logs/" in found.log


def test_logs_the_pipeline_and_mlflow_have_folders_of_their_own() -> None:
    folders = [
        LOGGING["remote_base_log_folder"],
        VARIABLES["UNDERSTUDY_ROOT"],
        MLFLOW["mlflow"]["artifactsDestination"],
    ]

    assert all(folder.startswith("gs://my-models/") for folder in folders)
    assert [] == [
        (one, other) for one in folders for other in folders if one != other and f"{other}/".startswith(f"{one}/")
    ]
    assert 3 == len(set(folders))
