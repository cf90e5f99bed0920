"""New images as a model file names them: Pub/Sub and uploads, with the provider's and Google's code, unchanged."""

from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from tests.google_cloud import pubsub
from tests.google_cloud.cloud import google_cloud, without_google
from tests.google_cloud.metadata_server import PROJECT
from tests.google_cloud.running import PROJECT as CHECKOUT
from tests.google_cloud.running import run
from tests.hunts import hunt
from tests.object_storage import ObjectStore, in_use

# How long nothing must be added.
SECONDS = 1.5


def write_model(folder: Path, **new_images: Any) -> Path:
    """A folder of model files, with the model `digits` and its `new_images`."""
    content = yaml.safe_load((CHECKOUT / "models" / "digits.yaml").read_text(encoding="utf-8"))
    folder.mkdir()
    # Never due while a test runs.
    content |= {"schedule": "0 3 29 2 *", "new_images": new_images}
    (folder / "digits.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


@hunt
def test_messages_that_wait_together_are_one_event_and_are_acknowledged(tmp_path: Path) -> None:
    """A message that comes later is the next event: the request waits for it in Pub/Sub."""
    subscription = pubsub.Subscription(f"projects/{PROJECT}/subscriptions/digits-images")
    models = write_model(tmp_path / "models", pubsub={"project": PROJECT, "subscription": "digits-images"})
    subscription.publish(*({"objectId": f"digits/7/{number}.png"} for number in range(10)))

    def publish_later() -> None:
        subscription.wait_for_pulls(2)
        subscription.publish({"objectId": "digits/8/1.png"})

    with google_cloud(tmp_path, hosts=[pubsub.HOST], handlers=[subscription.handlers()]) as cloud:
        later = Thread(target=publish_later)
        later.start()
        environment = cloud | {"UNDERSTUDY_MODELS": str(models)}
        fired = run("pull_messages", "2", home=tmp_path, environment=environment).answer
        later.join()

    assert ["success", "success"] == [event["status"] for event in fired]
    assert [10, 1] == [len(event["message"]) for event in fired]
    assert "digits/8/1.png" == fired[1]["message"][0]["message"]["attributes"]["objectId"]
    assert [10, 1] == [len(ids) for ids in subscription.acknowledged]
    assert 0 == subscription.waiting
    assert {False} == set(subscription.pulls)


@hunt
def test_an_upload_has_ended_when_nothing_was_added_for_the_time_of_the_model_file(tmp_path: Path) -> None:
    """Objects of other prefixes do not count, and the names of objects are not handed to Airflow's database.

    The provider's asynchronous client sends an emulator no token, so this one asks for none.
    """
    with google_cloud(tmp_path, hosts=[], handlers=[]) as cloud, in_use(ObjectStore()) as store:
        bucket = store.bucket()
        bucket.write("other/1.png", b"1")
        bucket.write("digits/7/1.png", b"1")
        upload = {"bucket": bucket.name, "prefix": "digits/", "inactivity_minutes": SECONDS / 60}
        models = write_model(tmp_path / "models", upload=upload)
        environment = cloud | {"UNDERSTUDY_MODELS": str(models), "STORAGE_EMULATOR_HOST": store.endpoint}
        found = run("wait_for_upload", bucket.name, home=tmp_path, environment=environment).answer
        bucket.close()

    assert "success" == found["event"]["status"], found["event"]
    assert "Sensor found 4 objects" in found["event"]["message"]
    assert found["seconds_after_the_last"] >= SECONDS
    assert [] == found["previous_objects"]
    assert "execute_complete" == found["resumes_with"]
    assert not found["a_person_waits"]


@hunt
def test_events_that_come_together_or_during_a_run_make_one_run(tmp_path: Path) -> None:
    """Airflow's own scheduler and database: ten events, then five while that run is active, then its end.

    While the DAG is paused nobody pulls, and the messages wait in Pub/Sub.
    """
    models = write_model(tmp_path / "models", pubsub={"project": PROJECT, "subscription": "digits-images"})
    environment = without_google() | {"UNDERSTUDY_MODELS": str(models)}
    run("migrate", home=tmp_path, environment=environment)
    found = run("schedule_events", home=tmp_path, environment=environment).answer

    assert 0 == found["triggers_while_paused"]
    assert [0, 1, 1, 2] == found["counts"]
    assert "asset_triggered" == found["type"]
